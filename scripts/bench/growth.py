"""Whether a click stays as cheap and as fast with a million sessions in Redis as with a thousand.

Each number of sessions has databases and a server of its own, and they are measured in turns, so that what
else the machine does meets them alike. All sessions but those of the players who click are copies of theirs,
as the server wrote them, with a TTL that ends none of them meanwhile.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import random
import statistics
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from persistence.live.keys import Keys, bucket_of
from persistence.live.record import STAMP_AT
from persistence.live.scripts import load_scripts
from scripts.bench import stacks
from scripts.bench.load import Load
from scripts.bench.scaling import rewritten
from scripts.bench.stage import main_thread_s, prepared, stage

if TYPE_CHECKING:
    from collections.abc import Sequence

    from game.session import UserId
    from scripts.bench.load import Burst
    from scripts.bench.stacks import Stack
    from scripts.bench.stage import Stage

Figures = dict[str, float]

FEW: Final = 1_000
MANY: Final = 1_000_000
_TTL_S: Final = 3600
_SECONDS: Final = 1.5
_HALF_SECONDS: Final = 1.0
_PLAYERS_A_BATCH: Final = 50_000
_COPIES_AT_ONCE: Final = 5_000
_SPREAD_OVER: Final = 100_000
"""Sessions of 0.5 KB: no cache of a processor holds so many."""
_SPREAD_CLICKS: Final = 20_000
_CLICKS_AT_ONCE: Final = 64
_LIMITS: Final = ("1.0", 1_000_000)
_CAP_S: Final = 28_800
_KEYS: Final = Keys()

_COPY: Final = """
for id = tonumber(ARGV[1]), tonumber(ARGV[2]) do
  local session = 'session:{' .. id % 1024 .. '}:' .. string.format('%d', id)
  redis.call('COPY', KEYS[1], session)
  redis.call('EXPIRE', session, ARGV[3])
end
"""


@dataclass(slots=True)
class _World:
    """Databases with the sessions of `players`, some of whom click, and what was seen of each turn."""

    built: Stage
    server: Stack
    load: Load
    players: list[UserId]
    bytes_a_session: float = 0.0
    turns: dict[str, list[float]] = field(default_factory=dict)

    def note(self, **figures: float) -> None:
        """Keep figures of one turn."""
        for name, value in figures.items():
            self.turns.setdefault(name, []).append(value)


async def growth(connections: int, rounds: int, many: int = MANY) -> list[Figures]:
    """Measure clicks with FEW and with `many` sessions.

    Returns the medians of each, then those of what each round's many were over its few. `half_…` are
    latencies at one rate for both, half of what the slower reached in that round. `spread_redis_us` is what
    Redis' main thread takes for a click on any of up to _SPREAD_OVER sessions, sent by hand while no server
    runs: the other figures are those of `connections` players, whose sessions are in a cache.
    """
    with contextlib.ExitStack() as stages:
        with contextlib.ExitStack() as servers:
            worlds = [await _world(stages, servers, connections, sessions) for sessions in (FEW, many)]
            for number in range(rounds):
                await _round(worlds[:: -1 if number % 2 else 1])
            for world in worlds:
                await world.load.leave()
        picked = [random.sample(world.players, min(len(world.players), _SPREAD_OVER)) for world in worlds]
        for world, players in zip(worlds, picked, strict=True):
            _spread(world, players)  # a first mark costs more than the clicks after it
        for _ in range(rounds):
            for world, players in zip(worlds, picked, strict=True):
                some = random.sample(players * (_SPREAD_CLICKS // len(players) + 1), _SPREAD_CLICKS)
                world.note(spread_redis_us=_spread(world, some))
    found = [_medians(world) for world in worlds]
    few, most = (world.turns for world in worlds)
    ratios = {
        name: statistics.median(b / a for a, b in zip(few[name], most[name], strict=True)) for name in few
    }
    ends = {name: found[-1][name] / found[0][name] for name in ("sessions", "redis_bytes_a_session")}
    return [*found, ends | ratios]


async def _world(
    stages: contextlib.ExitStack, servers: contextlib.ExitStack, connections: int, sessions: int
) -> _World:
    """Let players click, and fill Redis and PostgreSQL with more like them."""
    built = stages.enter_context(stage())
    await prepared(built)
    server = servers.enter_context(stacks.game(built))
    load = Load()
    clicking = await built.players(connections)
    await load.connect(server.url, built.tokens(clicking), join=True)
    await load.saturate(1)
    others: list[UserId] = []
    while len(others) < sessions - connections:
        others += await built.players(min(_PLAYERS_A_BATCH, sessions - connections - len(others)))
    used = await asyncio.to_thread(_copied, built, clicking, others)
    await rewritten(built)
    return _World(built, server, load, clicking + others, used / len(others))


def _copied(built: Stage, clicking: Sequence[UserId], others: Sequence[UserId]) -> int:
    """Copy the sessions of those who click to all the others; returns the bytes that Redis uses for them."""
    first, last = min(others), max(others)
    firsts = range(first, last + 1, _COPIES_AT_ONCE)
    with built.redis() as client:
        before = client.info("memory")["used_memory_dataset"]
        for copied, at in zip(itertools.cycle(clicking), firsts, strict=False):
            client.eval(_COPY, 1, _KEYS.session(copied), at, min(at + _COPIES_AT_ONCE - 1, last), _TTL_S)
        return int(client.info("memory")["used_memory_dataset"]) - int(before)


async def _round(worlds: Sequence[_World]) -> None:
    """Let each world click as fast as its answers come, and then all at the same rate."""
    rates = []
    for world in worlds:
        pid = world.built.redis_pid
        server_s, redis_s = world.server.cpu_s(), main_thread_s(pid)
        burst = await world.load.saturate(_SECONDS)
        world.note(
            clicks_per_s=burst.rate,
            cpu_us=(world.server.cpu_s() - server_s) / burst.clicks * 1e6,
            redis_us=(main_thread_s(pid) - redis_s) / burst.clicks * 1e6,
            **_latencies("", burst),
        )
        rates.append(burst.rate)
    for world in worlds:
        world.note(**_latencies("half_", await world.load.pace(min(rates) / 2, _HALF_SECONDS)))


def _latencies(prefix: str, burst: Burst) -> Figures:
    return {f"{prefix}{name}_ms": burst.percentile_ms(share) for name, share in (("p50", 0.5), ("p99", 0.99))}


def _spread(world: _World, players: Sequence[UserId]) -> float:
    """Click once for each of these players; returns µs of Redis' main thread for a click."""
    with world.built.redis() as client:
        sha = client.script_load(load_scripts()["cook"].source)
        stamp = client.hget(_KEYS.session(next(iter(players))), "rates")[STAMP_AT:]
        began_s = main_thread_s(world.built.redis_pid)
        for at in range(0, len(players), _CLICKS_AT_ONCE):
            pipeline = client.pipeline(transaction=False)
            for user in players[at : at + _CLICKS_AT_ONCE]:
                keys = (_KEYS.session(user), _KEYS.dirty(bucket_of(user)))
                arguments = (stamp, user, _KEYS.channel(user), 0, "bench", 1, *_LIMITS, "", "", _CAP_S)
                pipeline.evalsha(sha, len(keys), *keys, *arguments)
            for status, *_ in pipeline.execute():
                if status != b"ok":
                    raise RuntimeError(f"cook replied {status!r}")
        return (main_thread_s(world.built.redis_pid) - began_s) / len(players) * 1e6


def _medians(world: _World) -> Figures:
    return {
        "sessions": len(world.players),
        "redis_bytes_a_session": world.bytes_a_session,
        **{name: statistics.median(values) for name, values in world.turns.items()},
    }
