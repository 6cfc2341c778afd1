"""Fifty clients without manners beside fifty honest players, who lose nothing and hardly notice."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import statistics
import sys
import time
from itertools import chain
from typing import TYPE_CHECKING

import httpx

from tests.support.game_server import REPOSITORY, GameServer, running_game
from tests.support.limits import LIMIT_S
from tests.support.players import EXTERNAL, PASSWORD, Player, joined

if TYPE_CHECKING:
    from collections.abc import Sequence

HONEST = 50
CLICKS_A_SECOND = 6
ROUNDS = 6
ROUND_S = 1.2
FUZZ_ACCOUNTS = 5


async def test_honest_players_lose_nothing_and_hardly_notice(module_databases: dict[str, str]) -> None:
    """Every click counts once, no connection is lost; beside fuzzers at least half as many are answered.

    Quiet and fuzzed rounds take turns, so that whatever else the machine does slows both kinds.
    """
    with running_game({**EXTERNAL, **module_databases}) as game:
        access = await access_tokens(game, HONEST + FUZZ_ACCOUNTS)
        quiet, fuzzed = [], []
        async with contextlib.AsyncExitStack() as stack:
            honest = [await joined(stack, game, token) for token in access[:HONEST]]
            for each in honest:
                await each.ask("upgrade_buy", id=1)
            clicked = [0] * HONEST
            await click_for(honest, clicked, ROUND_S)
            fuzzer = await begin(game, access[HONEST:])
            for _ in range(ROUNDS):
                fuzzed.append(await click_for(honest, clicked, ROUND_S))
                fuzzer.send_signal(signal.SIGSTOP)
                quiet.append(await click_for(honest, clicked, ROUND_S))
                fuzzer.send_signal(signal.SIGCONT)
            fuzzer.terminate()
            visits = await ended(fuzzer)
            for index, each in enumerate(honest):
                session = await each.ask("session", client=f"honest{index}")
                assert (session["session"]["dishes"], session["last_seq"]) == (clicked[index],) * 2
                assert {message["request_type"] for message in each.pushes} <= {"achievement"}
        assert visits > 0
        assert not [line for line in game.log.splitlines() if '"error"' in line or "Traceback" in line]
    before, beside = (slowest_hundredth([*chain.from_iterable(rounds)]) for rounds in (quiet, fuzzed))
    print(f"p99 quiet {before * 1000:.1f} ms, fuzzed {beside * 1000:.1f} ms, {visits} visits")  # noqa: T201
    assert sum(map(len, fuzzed)) >= sum(map(len, quiet)) / 2


async def access_tokens(game: GameServer, count: int) -> list[str]:
    """Open so many accounts; return a token for each."""
    async with httpx.AsyncClient(base_url=game.url, timeout=LIMIT_S) as client:
        bodies = [{"email": f"fuzz{number}@example.com", "password": PASSWORD} for number in range(count)]
        answers = [await client.post("/reg", json=body) for body in bodies]
    return [answer.json()["tokens"]["access_token"] for answer in answers]


async def click_for(honest: Sequence[Player], clicked: list[int], seconds: float) -> list[float]:
    """Let every honest player click at an even pace; return how long each answer took."""
    end_s = time.perf_counter() + seconds
    took_s: list[float] = []

    async def play(index: int) -> None:
        await asyncio.sleep(index / HONEST / CLICKS_A_SECOND)
        while time.perf_counter() < end_s:
            began_s = time.perf_counter()
            answer = await honest[index].ask("cook", client=f"honest{index}", seq=clicked[index] + 1)
            took_s.append(time.perf_counter() - began_s)
            clicked[index] += 1
            assert (answer["applied"], answer["dishes"]) == (1, clicked[index])
            await asyncio.sleep(max(0.0, began_s + 1 / CLICKS_A_SECOND - time.perf_counter()))

    await asyncio.gather(*(play(index) for index in range(len(honest))))
    return took_s


def slowest_hundredth(took_s: Sequence[float]) -> float:
    """Return the 99th percentile."""
    return statistics.quantiles(took_s, n=100)[-1]


async def begin(game: GameServer, tokens: Sequence[str]) -> asyncio.subprocess.Process:
    """Start the fuzzer as a process, so that its work is not on the players' clock; wait until it began."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tests.support.fuzzing",
        *(str(game.port), "1", str(3 * LIMIT_S), *tokens),
        cwd=REPOSITORY,
        stdout=asyncio.subprocess.PIPE,
    )
    if process.stdout is None:
        raise RuntimeError("the fuzzer has no output")
    async with asyncio.timeout(LIMIT_S):
        assert await process.stdout.readline() == b"began\n"
    return process


async def ended(fuzzer: asyncio.subprocess.Process) -> int:
    """Wait until the fuzzer is done; return how many connections it used up."""
    async with asyncio.timeout(LIMIT_S):
        output, _ = await fuzzer.communicate()
    assert fuzzer.returncode == 0
    return int(output)
