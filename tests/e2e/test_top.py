"""`python -m scripts.top` as an operator runs it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import pty
import re
import select
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from scripts.ports import free_port
from server.observability.readings import Change, Reading
from tests.support.game_server import REPOSITORY, GameServer
from tests.support.limits import LIMIT_S
from tests.support.players import player

if TYPE_CHECKING:
    from collections.abc import Mapping


async def top(*arguments: str) -> tuple[int, list[str]]:
    """Run it to its end; return its code and lines."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "scripts.top",
        *arguments,
        cwd=REPOSITORY,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await asyncio.wait_for(process.communicate(), LIMIT_S)
    return process.returncode or 0, output.decode().splitlines()


async def test_one_look_at_a_server_that_plays(game: GameServer) -> None:
    """Plain lines name what goes on between two looks, and the code is 0."""
    over = asyncio.Event()
    async with player(game) as one:
        await one.ask("session")
        await one.ask("upgrade_buy", id=1)

        async def cook() -> None:
            while not over.is_set():
                await one.ask("cook")

        cooking = asyncio.create_task(cook())
        shown = {"cooks": "0/s"}
        async with asyncio.timeout(LIMIT_S):
            while cooks_of(shown) <= 1:  # a busy machine may cook nothing between two looks
                code, lines = await top("--once", "--interval", "0.5", game.url)
                assert code == 0
                shown = dict(line.removeprefix(f"{game.url} ").split(": ", 1) for line in lines)
        over.set()
        await cooking

    assert shown["condition"] == "ok"
    assert shown["workers up"] == "1 of 1"
    assert shown["users"] == "1"
    assert re.fullmatch(r"[\d.]+ m?s / [\d.]+ m?s", shown["latency p50 / p99"])
    assert shown["unavailable"] == "0/s"


def cooks_of(shown: Mapping[str, str]) -> float:
    """Read how many cooks a second are shown."""
    return float(shown["cooks"].removesuffix("/s").replace(",", ""))


async def test_a_server_that_is_not_there(game: GameServer) -> None:
    """A server that does not answer, or is none, is shown with the reason; the code is 1."""
    nobody = f"http://127.0.0.1:{free_port()}"

    lines: list[str] = []
    async with asyncio.timeout(LIMIT_S):
        while f"{game.url} condition: ok" not in lines:  # a busy machine may take too long for an answer
            code, lines = await top("--once", "--interval", "0.1", nobody, game.url.removeprefix("http://"))
            assert code == 1
            assert f"{nobody} ! does not answer: [Errno 111] Connection refused" in lines

    code, lines = await top("--once", "--interval", "0.1", f"{game.url}/nowhere")
    assert (code, len(lines)) == (1, 1)
    assert "! does not answer: " in lines[0]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["ftp://cook"], "is no http:// or https:// address"),
        (["--interval", "0"], "give seconds from 0.1 to 3600"),
        (["--interval", "often"], "give seconds from 0.1 to 3600"),
        (["--ocne"], "unrecognized arguments"),
    ],
)
async def test_arguments_that_make_no_sense(arguments: list[str], said: str) -> None:
    """They are refused with code 2 and a line that says why."""
    code, lines = await top(*arguments)

    assert code == 2
    assert said in lines[-1]


async def test_help() -> None:
    """--help says what it does and what its codes mean."""
    code, lines = await top("--help")

    assert code == 0
    assert "Exit codes: 0 all serve" in " ".join(lines)


def test_the_live_view(game: GameServer) -> None:
    """On a terminal it draws a table again and again, and Ctrl-C ends it with 0."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "scripts.top", "--interval", "0.1", game.url],
        cwd=REPOSITORY,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env=os.environ | {"TERM": "xterm-256color", "COLUMNS": "100", "LINES": "50"},
        start_new_session=True,
    )
    os.close(theirs)
    try:
        seen = ""
        end_s = time.monotonic() + LIMIT_S
        while seen.count("event loop late p99") < 3:
            assert time.monotonic() < end_s, seen
            if select.select([ours], [], [], 0.1)[0]:
                seen += os.read(ours, 65_536).decode(errors="replace")
        assert f"127.0.0.1:{game.port}" in seen
        assert "1 of 1" in seen

        process.send_signal(signal.SIGINT)
        while process.poll() is None:
            assert time.monotonic() < end_s
            # The terminal is gone with its last writer.
            with contextlib.suppress(OSError):
                if select.select([ours], [], [], 0.1)[0]:
                    os.read(ours, 65_536)
        assert process.returncode == 0
    finally:
        process.kill()
        process.wait()
        os.close(ours)


def reading(at_s: float, samples: Mapping[str, Mapping[tuple[tuple[str, str], ...], float]]) -> Reading:
    """Make a reading of samples."""
    return Reading(
        "http://cook",
        at_s=at_s,
        condition="ok",
        samples={
            name: {frozenset(labels): value for labels, value in found.items()}
            for name, found in samples.items()
        },
    )


def test_a_worker_that_began_anew_counts_from_zero() -> None:
    """Rates add up over workers, and one that was started again between two looks takes nothing away."""
    first, second = (("worker", "0"),), (("worker", "1"),)
    change = Change(
        reading(10, {"clicks": {first: 100, second: 1000}}), reading(12, {"clicks": {first: 150, second: 30}})
    )

    assert change.growth("clicks") == 80
    assert change.rate("clicks") == 40
    assert change.rate("clicks", worker="0") == 25
    assert change.rate("unknown") == 0


def test_quantiles_are_those_of_the_time_between() -> None:
    """What a histogram saw before does not count; within a bucket it is spread evenly."""
    bounds = ("0.1", "0.2", "+Inf")

    def buckets(*counts: int) -> dict[tuple[tuple[str, str], ...], float]:
        return {(("le", bound),): count for bound, count in zip(bounds, counts, strict=True)}

    change = Change(
        reading(0, {"wait_bucket": buckets(1000, 1000, 1000)}),
        reading(1, {"wait_bucket": buckets(1010, 1020, 1020)}),
    )
    beyond = Change(reading(0, {}), reading(1, {"wait_bucket": buckets(0, 0, 4)}))

    assert change.quantile(0.25, "wait") == pytest.approx(0.05)
    assert change.quantile(0.75, "wait") == pytest.approx(0.15)
    assert beyond.quantile(0.5, "wait") == 0.2
    assert Change(beyond.after, beyond.after).quantile(0.5, "wait") is None
    assert change.quantile(0.5, "unknown") is None
