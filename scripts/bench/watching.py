"""Players who only watch: many connected players with passive income, who send nothing.

With `against` the code of another folder is measured in turns with this one, each with a database of its own:
a release refuses a database that a newer one has migrated.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import asyncpg

from scripts.bench import stacks
from scripts.bench.load import Load
from scripts.bench.stage import cpu_s, stage, with_database

if TYPE_CHECKING:
    from pathlib import Path

    from scripts.bench.stacks import Stack
    from scripts.bench.stage import Stage

PLAYERS: Final = 10_000
_SECONDS: Final = 60
_IDLE_SECONDS: Final = 10
_SETTLED_S: Final = 55
"""The first write of income comes so long after a player's `session` at the earliest; from then on they come
as often as always."""
_OWNED: Final = "1:1,45:3,70:5"
"""A sandwich, food trucks that sell and ovens that cook every second."""


@dataclass(frozen=True, slots=True)
class _Reading:
    """What was used so far, and counted."""

    server_s: float
    redis_s: float
    commands: int
    log_bytes: int
    rows: int


async def watching(
    players: int = PLAYERS, rounds: int = 1, against: Path | None = None
) -> list[tuple[str, dict[str, float]]]:
    """Measure what players who watch cost, each round by each code.

    `commands` are Redis' own count for a player and second, those in scripts too; `commands_idle` are those
    of a server without a player, over as many. `rows` are what PostgreSQL was given for a player and second.
    """
    codes: dict[str, dict[str, str]] = {"before": {"PYTHONPATH": str(against)}} if against else {}
    codes["now"] = {}
    found: list[tuple[str, dict[str, float]]] = []
    with stage() as built:
        stages = {code: await with_database(built, f"bench_{code}") for code in codes}
        tokens: dict[str, list[str]] = {}
        for _ in range(rounds):
            for code, settings in codes.items():
                own = stages[code]
                with own.redis() as client:
                    client.flushall()
                with stacks.game(own, {"LOG_LEVEL": "error", **settings}) as server:
                    if code not in tokens:
                        tokens[code] = own.tokens(await own.players(players, _OWNED))
                        await _past_achievements(own)
                    found.append((code, await _measured(own, server, tokens[code])))
    return found


async def _past_achievements(built: Stage) -> None:
    """Give the players counters between two thresholds: none is reached while they watch."""
    connection = await asyncpg.connect(built.dsn)
    try:
        await connection.execute(
            "UPDATE sessions SET cooked = 2e5, earned = 2e6, dishes = 1e3, achieved = '1,2,3,10,11,12,18'"
        )
    finally:
        await connection.close()


async def _measured(built: Stage, server: Stack, tokens: list[str]) -> dict[str, float]:
    idle = await _over(built, server, _IDLE_SECONDS)
    load = Load()
    await load.connect(server.url, tokens, join=True)
    await asyncio.sleep(_SETTLED_S)
    pushes = sum(peer.pushes for peer in load.peers)
    used = await _over(built, server, _SECONDS)
    pushes = sum(peer.pushes for peer in load.peers) - pushes
    await load.leave()
    players = len(tokens)
    return {
        "players": players,
        "pushes_per_s": pushes / _SECONDS / players,
        "commands": used["commands"] / players,
        "commands_idle": idle["commands"] / players,
        "server_core": used["server_core"],
        "server_core_idle": idle["server_core"],
        "redis_core": used["redis_core"],
        "redis_core_idle": idle["redis_core"],
        "log_mb_per_s": used["log_mb_per_s"],
        "rows": used["rows"] / players,
    }


async def _over(built: Stage, server: Stack, seconds: float) -> dict[str, float]:
    """Look on for some seconds; everything is for one second."""
    before = await _read(built, server)
    await asyncio.sleep(seconds)
    after = await _read(built, server)
    return {
        "server_core": (after.server_s - before.server_s) / seconds,
        "redis_core": (after.redis_s - before.redis_s) / seconds,
        "commands": (after.commands - before.commands) / seconds,
        "log_mb_per_s": (after.log_bytes - before.log_bytes) / seconds / 1e6,
        "rows": (after.rows - before.rows) / seconds,
    }


async def _read(built: Stage, server: Stack) -> _Reading:
    with built.redis() as client:
        commands = int(client.info("stats")["total_commands_processed"])
    connection = await asyncpg.connect(built.dsn)
    try:
        rows = await connection.fetchval(
            "SELECT n_tup_ins + n_tup_upd FROM pg_stat_user_tables WHERE relname = 'sessions'"
        )
    finally:
        await connection.close()
    return _Reading(server.cpu_s(), cpu_s(built.redis_pid), commands, built.log_bytes(), rows)
