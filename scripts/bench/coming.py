"""A crowd that comes back at once: how soon everybody plays, and how long the others wait meanwhile.

By the clock that follows what else the machine does. So the server's CPU is counted too: what a player who
comes takes of it, and the longest pass of its event loop (`scripts.bench.passes`).
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from dataclasses import dataclass
from typing import Final

from scripts.bench import passes, stacks
from scripts.bench.load import Burst, Load
from scripts.bench.stage import cpu_s, prepared, stage

PLAYERS: Final = 10_000
WITHIN_S: Final = 10.0
CALM_PLAYERS: Final = 20
CALM_CLICKS_A_SECOND: Final = 200.0
_CALM_FOR_S: Final = 15.0
_SHARES: Final = (0.5, 0.99, 1.0)


@dataclass(slots=True)
class Coming:
    """What a crowd met: seconds until the last of them played, its joins, and the clicks of calm players.

    `failed` counts connections that were tried again. `server_s`, `redis_s` and `load_s` are CPU until the
    last player played; the longest pass of the server's loop until then, and the longest look of its garbage
    collector, are in CPU of its thread.
    """

    players: int
    seconds: float
    joins_s: list[float]
    failed: int
    calm: Burst
    server_s: float
    redis_s: float
    load_s: float
    longest_pass_s: float
    longest_collection_s: float


async def coming(players: int = PLAYERS) -> Coming:
    """Let players with valid tokens and saved sessions come evenly within WITHIN_S, while others click.

    None of them is in Redis. The crowd comes as evenly as the load's core lets it: where that is slower, so
    is everybody's join.
    """
    with stage() as built, contextlib.ExitStack() as stopping:
        await prepared(built)
        noted = built.settings.data_dir / "passes"
        settings = {"LOG_LEVEL": "error", "MAX_CONNECTIONS": "0", passes.FILE: str(noted)}
        serving = stopping.enter_context(contextlib.ExitStack())
        server = serving.enter_context(stacks.game(built, settings, module="scripts.bench.passes"))
        calm = Load()
        await calm.connect(server.url, built.tokens(await built.players(CALM_PLAYERS)), join=True)
        tokens = built.tokens(await built.players(players))
        clicking = asyncio.ensure_future(calm.pace(CALM_CLICKS_A_SECOND, _CALM_FOR_S))
        crowd = Load()
        used_s = server.cpu_s(), cpu_s(built.redis_pid), time.process_time()
        began_s, first_s = time.perf_counter(), time.monotonic()
        came = await asyncio.gather(
            *(
                _come(crowd, server.url, token, began_s + WITHIN_S * at / players)
                for at, token in enumerate(tokens)
            )
        )
        seconds, last_s = time.perf_counter() - began_s, time.monotonic()
        now_s = server.cpu_s(), cpu_s(built.redis_pid), time.process_time()
        burst = await clicking
        await crowd.leave()
        await calm.leave()
        serving.close()
        long = [each for each in passes.read(noted) if first_s <= each.ended_s <= last_s]
    server_s, redis_s, load_s = (after - before for before, after in zip(used_s, now_s, strict=True))
    return Coming(
        players,
        seconds,
        sorted(took_s for took_s, _ in came),
        sum(failed for _, failed in came),
        burst,
        server_s,
        redis_s,
        load_s,
        longest_pass_s=max((each.cpu_s for each in long if each.kind == passes.TURN), default=0.0),
        longest_collection_s=max(
            (each.cpu_s for each in long if each.kind == passes.COLLECTION), default=0.0
        ),
    )


async def _come(crowd: Load, url: str, token: str, due_s: float) -> tuple[float, int]:
    """Connect and join when it is time; returns how long that took, and how often it was tried in vain."""
    await asyncio.sleep(max(0.0, due_s - time.perf_counter()))
    began_s = time.perf_counter()
    failed = await crowd.come(url, token)
    return time.perf_counter() - began_s, failed


def figures(found: Coming) -> dict[str, object]:
    """Return what was found by name: seconds and milliseconds."""
    last = found.players - 1
    return {
        "players": found.players,
        "seconds": found.seconds,
        "failed": found.failed,
        "join_ms": [found.joins_s[int(last * share)] * 1000 for share in _SHARES],
        "click_ms": [found.calm.percentile_ms(share) for share in _SHARES],
        "server_us": found.server_s / found.players * 1e6,
        "redis_us": found.redis_s / found.players * 1e6,
        "load_us": found.load_s / found.players * 1e6,
        "longest_pass_ms": found.longest_pass_s * 1000,
        "longest_collection_ms": found.longest_collection_s * 1000,
    }


def described(found: Coming) -> str:
    """Say what was found."""
    of = figures(found)
    return (
        f"{found.players:,} players came within {WITHIN_S:g} s; all played after {found.seconds:.1f} s\n"
        f"connections that were tried again: {found.failed}\n"
        f"ms for a join, half of them, 99 % and all: {_rounded(of['join_ms'])}\n"
        f"ms for a click of {CALM_PLAYERS} others meanwhile, the same: {_rounded(of['click_ms'])}\n"
        "µs of CPU a player, calm clicks included, of server, Redis and load: "
        f"{_rounded([of['server_us'], of['redis_us'], of['load_us']])}\n"
        "ms of CPU, the longest pass of the server's loop and the longest look of its garbage collector: "
        f"{_rounded([of['longest_pass_ms'], of['longest_collection_ms']])}"
    )


def _rounded(values: object) -> list[float]:
    return [round(value, 1) for value in values] if isinstance(values, list) else []
