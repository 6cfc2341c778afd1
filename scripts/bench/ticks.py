"""The tick at scale: many connected players with passive income on one process, and others who click."""

from __future__ import annotations

import contextlib
import statistics
from typing import Final

from scripts.bench import stacks
from scripts.bench.load import Load, together
from scripts.bench.stage import cpu_s, prepared, stage

PLAYERS: Final = 10_000
CLICKING: Final = 200
CLICKS_A_SECOND: Final = 1_000
_SECONDS: Final = 15
_OWNED: Final = "1:1,45:3"
"""A sandwich, and food trucks that earn every second."""


async def ticks(players: int = PLAYERS) -> dict[str, float]:
    """Measure the CPU of server and Redis for the ticks alone, then with clicks, and how fast those are.

    `log_mb_per_s` is what the append-only file grows by.
    """
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
            server_s, redis_s, log = server.cpu_s(), cpu_s(built.redis_pid), built.log_bytes()
            bursts = [await clicking.pace(rate, 1) for _ in range(_SECONDS)]
            seconds = sum(burst.seconds for burst in bursts)
            found |= {
                f"{name}_server_core": (server.cpu_s() - server_s) / seconds,
                f"{name}_redis_core": (cpu_s(built.redis_pid) - redis_s) / seconds,
                f"{name}_log_mb_per_s": (built.log_bytes() - log) / seconds / 1e6,
                f"{name}_load_core": sum(burst.load_cpu_s for burst in bursts) / seconds,
                f"{name}_ticks_per_s": (sum(peer.pushes for peer in resting.peers) - pushes) / seconds,
            }
        whole = together(bursts)
        found |= {
            "p50_ms": whole.percentile_ms(0.5),
            "p99_ms": whole.percentile_ms(0.99),
            "p99_ms_median_second": statistics.median(burst.percentile_ms(0.99) for burst in bursts),
            "clicks_per_s": whole.rate,
        }
        await clicking.leave()
        await resting.leave()
    return found
