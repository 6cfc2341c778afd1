"""A crowd that comes back at once: how soon everybody plays, and how long the others wait meanwhile."""

from __future__ import annotations

import asyncio
import contextlib
import time
from dataclasses import dataclass
from typing import Final

from scripts.bench import stacks
from scripts.bench.load import Burst, Load, Peer
from scripts.bench.stage import prepared, stage

PLAYERS: Final = 10_000
WITHIN_S: Final = 10.0
CALM_PLAYERS: Final = 20
CALM_CLICKS_A_SECOND: Final = 200.0
_CALM_FOR_S: Final = 15.0
_SHARES: Final = (0.5, 0.99, 1.0)


@dataclass(slots=True)
class Coming:
    """What a crowd met: seconds until the last of them played, its joins, and the clicks of calm players."""

    players: int
    seconds: float
    joins_s: list[float]
    calm: Burst


async def coming(players: int = PLAYERS) -> Coming:
    """Let players with valid tokens and saved sessions come evenly within WITHIN_S, while others click.

    None of them is in Redis. The crowd comes as evenly as the load's core lets it: where that is slower, so
    is everybody's join.
    """
    with stage() as built, contextlib.ExitStack() as stopping:
        await prepared(built)
        server = stopping.enter_context(stacks.game(built, {"LOG_LEVEL": "error", "MAX_CONNECTIONS": "0"}))
        calm = Load()
        await calm.connect(server.url, built.tokens(await built.players(CALM_PLAYERS)), join=True)
        tokens = built.tokens(await built.players(players))
        clicking = asyncio.ensure_future(calm.pace(CALM_CLICKS_A_SECOND, _CALM_FOR_S))
        began_s = time.perf_counter()
        crowd = Load()
        joins_s = await asyncio.gather(
            *(
                _come(crowd, server.url, token, began_s + WITHIN_S * at / players)
                for at, token in enumerate(tokens)
            )
        )
        seconds = time.perf_counter() - began_s
        burst = await clicking
        await crowd.leave()
        await calm.leave()
    return Coming(players, seconds, sorted(joins_s), burst)


async def _come(crowd: Load, url: str, token: str, due_s: float) -> float:
    """Connect and join when it is time; returns how long that took."""
    await asyncio.sleep(max(0.0, due_s - time.perf_counter()))
    began_s = time.perf_counter()
    await crowd.come(url, Peer(crowd, token))
    return time.perf_counter() - began_s


def figures(found: Coming) -> dict[str, object]:
    """Return what was found by name: seconds and milliseconds."""
    last = found.players - 1
    return {
        "players": found.players,
        "seconds": found.seconds,
        "join_ms": [found.joins_s[int(last * share)] * 1000 for share in _SHARES],
        "click_ms": [found.calm.percentile_ms(share) for share in _SHARES],
    }


def described(found: Coming) -> str:
    """Say what was found."""
    of = figures(found)
    return (
        f"{found.players:,} players came within {WITHIN_S:g} s; all played after {found.seconds:.1f} s\n"
        f"ms for a join, half of them, 99 % and all: {_rounded(of['join_ms'])}\n"
        f"ms for a click of {CALM_PLAYERS} others meanwhile, the same: {_rounded(of['click_ms'])}"
    )


def _rounded(values: object) -> list[float]:
    return [round(value, 1) for value in values] if isinstance(values, list) else []
