"""The main measurement: floor, plain stack and server in turns, a cook in flight on each connection."""

from __future__ import annotations

import contextlib
import statistics
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from scripts.bench import stacks
from scripts.bench.load import Load
from scripts.bench.stage import cpu_s, prepared, stage

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Coroutine
    from pathlib import Path

    from scripts.bench.load import Burst
    from scripts.bench.stacks import Stack
    from scripts.bench.stage import Stage

FLOOR: Final = "echo (floor)"
NAIVE: Final = "plain stack"
SERVER: Final = "server"
SERVER_TAGGED: Final = "server, client/seq"
SINGLE: Final = "single calls"
SINGLE_TAGGED: Final = "single calls, client/seq"
BEFORE: Final = "before"
BEFORE_TAGGED: Final = "before, client/seq"

SHARES: Final = (0.5, 0.99, 0.999)
_WARM_UP_S: Final = 0.5


@dataclass(frozen=True, slots=True)
class Plan:
    """Turns of each stack: `rounds` of `seconds` at its peak, as many of `half_seconds` at half of it.

    `against` is the folder of other code, which gets databases of its own.
    """

    connections: int = 200
    rounds: int = 5
    seconds: float = 1.5
    half_seconds: float = 1.0
    with_naive: bool = True
    with_single: bool = False
    against: Path | None = None


@dataclass(slots=True)
class Turn:
    """One turn of one stack: what the load saw, and what it cost server and Redis."""

    burst: Burst
    server_cpu_s: float
    redis_cpu_s: float


@dataclass
class Contestant:
    """One row of the table."""

    name: str
    stack: Stack
    load: Load
    redis_pid: int
    turns: list[Turn] = field(default_factory=list)
    halves: list[Turn] = field(default_factory=list)

    def cpu_us(self) -> float:
        """CPU of the server for one click, over all turns."""
        return _per_click_us(self.turns, [turn.server_cpu_s for turn in self.turns])

    def figures(self) -> dict[str, float]:
        """Everything measured, by name."""
        bursts = [turn.burst for turn in self.turns]
        each = [turn.server_cpu_s / turn.burst.clicks * 1e6 for turn in self.turns]
        found = {
            "cpu_us": self.cpu_us(),
            "cpu_us_best": min(each),
            "cpu_us_worst": max(each),
            "redis_us": _per_click_us(self.turns, [turn.redis_cpu_s for turn in self.turns]),
            "load_us": _per_click_us(self.turns, [burst.load_cpu_s for burst in bursts]),
            "clicks_per_s": statistics.median(burst.rate for burst in bursts),
            "server_busy": sum(t.server_cpu_s for t in self.turns) / sum(b.seconds for b in bursts),
        }
        for share in SHARES:
            name = f"p{share * 100:g}"
            found[f"{name}_ms"] = statistics.median(burst.percentile_ms(share) for burst in bursts)
            if self.halves:
                halves = [turn.burst.percentile_ms(share) for turn in self.halves]
                found[f"half_{name}_ms"] = statistics.median(halves)
                found[f"half_{name}_ms_worst"] = max(halves)
        if self.halves:
            found["half_clicks_per_s"] = statistics.median(turn.burst.rate for turn in self.halves)
        return found


def _per_click_us(turns: list[Turn], costs_s: list[float]) -> float:
    return sum(costs_s) / sum(turn.burst.clicks for turn in turns) * 1e6


async def measure(plan: Plan) -> dict[str, dict[str, float]]:
    """Run the whole comparison; returns the figures of each row, ratios to the floor included."""
    with stage() as built, contextlib.ExitStack() as stopping:
        await prepared(built)
        contestants = [one async for one in _contestants(built, plan, stopping)]
        for contestant in contestants:
            await contestant.load.saturate(_WARM_UP_S)
        for _ in range(plan.rounds):
            for contestant in contestants:
                turn = await _turn(contestant, contestant.load.saturate(plan.seconds))
                contestant.turns.append(turn)
        for _ in range(plan.rounds if plan.half_seconds else 0):
            for contestant in contestants:
                half = statistics.median(turn.burst.rate for turn in contestant.turns) / 2
                turn = await _turn(contestant, contestant.load.pace(half, plan.half_seconds))
                contestant.halves.append(turn)
        found = {contestant.name: contestant.figures() for contestant in contestants}
        for contestant in contestants:
            await contestant.load.leave()
    for figures in found.values():
        figures["ratio"] = figures["cpu_us"] / found[FLOOR]["cpu_us"]
    return found


async def _turn(contestant: Contestant, stretch: Coroutine[Any, Any, Burst]) -> Turn:
    server_s, redis_s = contestant.stack.cpu_s(), cpu_s(contestant.redis_pid)
    burst = await stretch
    return Turn(burst, contestant.stack.cpu_s() - server_s, cpu_s(contestant.redis_pid) - redis_s)


async def _contestants(built: Stage, plan: Plan, stopping: contextlib.ExitStack) -> AsyncIterator[Contestant]:
    """Start every stack and connect its own players."""
    server = stopping.enter_context(stacks.game(built))
    floor = stopping.enter_context(stacks.floor(built))
    load = Load()
    await load.connect(floor.url, built.tokens(await built.players(plan.connections)), echo=True)
    yield Contestant(FLOOR, floor, load, built.redis_pid)
    if plan.with_naive:
        naive = stopping.enter_context(stacks.naive(built))
        tokens = built.tokens(await built.players(plan.connections))
        await _bring_into_redis(server, tokens)
        load = Load()
        await load.connect(naive.url, tokens)
        yield Contestant(NAIVE, naive, load, built.redis_pid)
    rows = [(SERVER, built, server, False), (SERVER_TAGGED, built, server, True)]
    if plan.with_single:
        single = stopping.enter_context(stacks.game(built, module="scripts.bench.single_calls"))
        rows += [(SINGLE, built, single, False), (SINGLE_TAGGED, built, single, True)]
    if plan.against:
        other = stopping.enter_context(stage())
        before = stopping.enter_context(stacks.game(other, {"PYTHONPATH": str(plan.against)}))
        rows += [(BEFORE, other, before, False), (BEFORE_TAGGED, other, before, True)]
    for name, at, stack, tagged in rows:
        load = Load()
        tokens = at.tokens(await at.players(plan.connections))
        await load.connect(stack.url, tokens, tagged=tagged, join=True)
        yield Contestant(name, stack, load, at.redis_pid)


async def _bring_into_redis(server: Stack, tokens: list[str]) -> None:
    """Let the server load the sessions that the plain stack will click on, and nobody listen to them."""
    load = Load()
    await load.connect(server.url, tokens, join=True)
    await load.leave()
