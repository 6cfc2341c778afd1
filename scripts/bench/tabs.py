"""Many tabs: what a click costs a player with many connections, over two processes; other code in turns.

Each code has a database of its own: a release refuses a database that a newer one has migrated.
"""

from __future__ import annotations

import contextlib
import dataclasses
import statistics
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

import asyncpg

from runtime.settings import Secret
from scripts.bench import stacks
from scripts.bench.load import Load
from scripts.bench.stage import stage

if TYPE_CHECKING:
    from pathlib import Path

    from scripts.bench.stage import Stage

CONNECTIONS_OF_A_PLAYER: Final = (1, 10, 100)
_PLAYERS: Final = 20
_BURSTS: Final = 3
_SECONDS: Final = 1.5


async def tabs(rounds: int, against: Path | None = None) -> list[dict[str, float]]:
    """Measure a click of players with more and more connections, each round by each code.

    `cpu_us` and `before_us` are the medians of both servers' CPU for a click, what the other connections
    receive included; `ratio` is the one over the other.
    """
    codes: dict[str, dict[str, str]] = {"before": {"PYTHONPATH": str(against)}} if against else {}
    codes["now"] = {}
    found: dict[tuple[int, str], list[float]] = {}
    with stage() as built:
        stages = {code: await _with_database(built, f"bench_{code}") for code in codes}
        for _ in range(rounds):
            for connections in CONNECTIONS_OF_A_PLAYER:
                for code, settings in codes.items():
                    with built.redis() as client:
                        client.flushall()
                    cost = await _click_us(stages[code], settings, connections)
                    found.setdefault((connections, code), []).append(cost)
    return [_figures(found, connections) for connections in CONNECTIONS_OF_A_PLAYER]


async def _with_database(built: Stage, name: str) -> Stage:
    """Give a code a database: its servers migrate it."""
    connection = await asyncpg.connect(built.dsn)
    try:
        await connection.execute(f"CREATE DATABASE {name}")
    finally:
        await connection.close()
    dsn = urlsplit(built.dsn)._replace(path=f"/{name}").geturl()
    settings = dataclasses.replace(built.settings, db_connection=Secret(dsn))
    return dataclasses.replace(built, settings=settings)


async def _click_us(built: Stage, settings: dict[str, str], connections: int) -> float:
    """Let one connection of each player click; return what a click cost both servers together."""
    chosen = {"MAX_CONNECTIONS_PER_USER": "0", **settings}
    with contextlib.ExitStack() as stopping:
        servers = [stopping.enter_context(stacks.game(built, chosen)) for _ in range(2)]
        clicking, listening = Load(), Load()
        tokens = built.tokens(await built.players(_PLAYERS))
        first, _ = servers
        await clicking.connect(first.url, tokens, join=True)
        for index, server in enumerate(servers):
            others = range(1, connections)
            await listening.connect(server.url, tokens * sum(at % 2 == index for at in others), join=True)
        await clicking.saturate(_SECONDS)
        before_s = sum(server.cpu_s() for server in servers)
        bursts = [await clicking.saturate(_SECONDS) for _ in range(_BURSTS)]
        used_s = sum(server.cpu_s() for server in servers) - before_s
        await clicking.leave()
        await listening.leave()
    return used_s / sum(burst.clicks for burst in bursts) * 1e6


def _figures(found: dict[tuple[int, str], list[float]], connections: int) -> dict[str, float]:
    figures = {"connections": float(connections), "cpu_us": statistics.median(found[connections, "now"])}
    before = found.get((connections, "before"))
    if before:
        figures["before_us"] = statistics.median(before)
        figures["ratio"] = figures["cpu_us"] / figures["before_us"]
    return figures
