"""The tick at scale: many connected players with passive income on one process, and others who click."""

from __future__ import annotations

import contextlib
from typing import Final

from scripts.bench import stacks
from scripts.bench.load import Load
from scripts.bench.stage import cpu_s, prepared, stage

PLAYERS: Final = 10_000
CLICKING: Final = 200
CLICKS_A_SECOND: Final = 1_000
_SECONDS: Final = 15.0
_OWNED: Final = "1:1,45:3"
"""A sandwich, and food trucks that earn every second."""


async def ticks(players: int = PLAYERS) -> dict[str, float]:
    """Measure the CPU of server and Redis for the ticks alone, then with clicks, and how fast those are."""
    with stage() as built, contextlib.ExitStack() as stopping:
        await prepared(built)
        server = stopping.enter_context(stacks.game(built, {"LOG_LEVEL": "error"}))
        resting = Load()
        await resting.connect(server.url, built.tokens(await built.players(players, _OWNED)), join=True)
        clicking = Load()
        await clicking.connect(server.url, built.tokens(await built.players(CLICKING)), join=True)
        await clicking.pace(CLICKS_A_SECOND, 3)
        found: dict[str, float] = {"players": players}
        for name, rate in (("alone", 1), ("clicks", CLICKS_A_SECOND)):
            pushes = sum(peer.pushes for peer in resting.peers)
            server_s, redis_s = server.cpu_s(), cpu_s(built.redis_pid)
            burst = await clicking.pace(rate, _SECONDS)
            found |= {
                f"{name}_server_core": (server.cpu_s() - server_s) / burst.seconds,
                f"{name}_redis_core": (cpu_s(built.redis_pid) - redis_s) / burst.seconds,
                f"{name}_load_core": burst.load_cpu_s / burst.seconds,
                f"{name}_ticks_per_s": (sum(peer.pushes for peer in resting.peers) - pushes) / burst.seconds,
            }
        found |= {"p50_ms": burst.percentile_ms(0.5), "p99_ms": burst.percentile_ms(0.99)}
        found["clicks_per_s"] = burst.rate
        await clicking.leave()
        await resting.leave()
    return found
