"""Bytes on the port of a server, as no decent client sends them."""

from __future__ import annotations

import asyncio
import contextlib
import re
from typing import TYPE_CHECKING

from tests.support.limits import LIMIT_S

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.game_server import GameServer


_OF_DATABASES = re.compile(
    r'"event": ?"(lane_|postgresql_|topology_|flush_|lease_|leaderboard_|redis_|housekeeping_|tidying_)'
)
HANDSHAKE = (
    b"GET /ws HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)


async def everything_after(server: GameServer, *pieces: bytes, pause_s: float = 0.0) -> bytes:
    """Send pieces on a new connection, then read until the server closes it; raises TimeoutError."""
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    received = b""
    try:
        async with asyncio.timeout(LIMIT_S):
            with contextlib.suppress(ConnectionError):
                for piece in pieces:
                    writer.write(piece)
                    await writer.drain()
                    await asyncio.sleep(pause_s)
            with contextlib.suppress(ConnectionError):
                while chunk := await reader.read(65536):
                    received += chunk
    finally:
        writer.transport.abort()
    return received


def answers_in(received: bytes) -> list[int]:
    """Return the status of each HTTP answer in what was received."""
    return [int(line.split()[1]) for line in received.split(b"\r\n") if line.startswith(b"HTTP/1.1 ")]


@contextlib.contextmanager
def quiet_log(server: GameServer, lines: int = 1) -> Iterator[None]:
    """Check that the block makes the server say at most so many lines, none of them of an error.

    What a server says of its databases is not the block's: within a second of its start, which is waited for,
    and where a busy machine lets them answer late.
    """
    server.wait_for_log("redis_restart_reconciled")
    before = len(server.log)
    yield
    said = [line for line in server.log[before:].splitlines() if not _OF_DATABASES.search(line)]
    assert len(said) <= lines, said
    assert not [line for line in said if '"error"' in line or "Traceback" in line], said
