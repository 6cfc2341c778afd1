"""The command that holds any server to the contract: ours passes, one with a fault fails in its row alone."""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
import sys
from typing import TYPE_CHECKING

from scripts.conform.__main__ import ROWS, judge
from scripts.ports import free_port
from tests.support.game_server import REPOSITORY, GameServer
from tests.support.limits import LIMIT_S

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

ONCE = "a number that was applied is not applied again, on any connection"


def test_our_server_passes_every_row(game: GameServer) -> None:
    """Exit code 0, and a table with a line for each row."""
    command = [sys.executable, "-m", "scripts.conform", game.url]
    done = subprocess.run(
        command, cwd=REPOSITORY, capture_output=True, text=True, timeout=LIMIT_S, check=False
    )
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    assert done.stdout.count("pass ") == len(ROWS)
    assert f"{len(ROWS)} of {len(ROWS)} rows passed" in done.stdout


@contextlib.asynccontextmanager
async def garbled(game: GameServer, right: bytes, wrong: bytes) -> AsyncIterator[str]:
    """Stand before a server and replace what it says by something as long; give the address."""
    assert len(right) == len(wrong)

    async def carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, garble: bool) -> None:
        with contextlib.suppress(ConnectionError):
            while data := await reader.read(65536):
                writer.write(data.replace(right, wrong) if garble else data)
                await writer.drain()
        writer.close()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        theirs, ours = await asyncio.open_connection("127.0.0.1", game.port)
        await asyncio.gather(carry(reader, ours, garble=False), carry(theirs, writer, garble=True))

    tasks: list[asyncio.Task[None]] = []
    server = await asyncio.start_server(
        lambda *streams: tasks.append(asyncio.create_task(serve(*streams))), "127.0.0.1", 0
    )
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    async with asyncio.timeout(LIMIT_S):
        await asyncio.gather(*tasks)


async def test_a_fault_fails_the_row_that_it_breaks(game: GameServer) -> None:
    """A server that does not say `duplicate`: the row of numbers fails and says why, others pass."""
    rows = tuple(row for row in ROWS if row.says == ONCE or "count applies" in row.says)
    async with garbled(game, b'"duplicate":', b'"duplicatf":') as url:
        faults = await judge(url, rows)
    assert {row.says: bool(fault) for row, fault in faults.items()} == {
        "count applies as many as succeed": False,
        ONCE: True,
    }
    assert "the same number again" in next(filter(None, faults.values()))


async def test_an_answer_of_another_shape_fails(game: GameServer) -> None:
    """A field that is missing is seen in every row that meets it."""
    rows = tuple(row for row in ROWS if "count applies" in row.says)
    async with garbled(game, b'"applied":', b'"applicd":') as url:
        (fault,) = (await judge(url, rows)).values()
    assert "UpgradeBuyResponse is not as described: 'applied' is a required property" in fault


def test_where_nobody_answers_it_says_so() -> None:
    """Exit code 2 and one line."""
    command = [sys.executable, "-m", "scripts.conform", f"http://127.0.0.1:{free_port()}"]
    done = subprocess.run(
        command, cwd=REPOSITORY, capture_output=True, text=True, timeout=LIMIT_S, check=False
    )
    assert done.returncode == 2
    assert done.stdout.startswith("nobody answers at ")
