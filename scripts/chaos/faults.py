"""Makes faults happen and ends them again."""

from __future__ import annotations

import asyncio
import contextlib
import random
import signal
from collections import defaultdict
from typing import TYPE_CHECKING, Any, cast

import psutil
import redis.asyncio
from redis.exceptions import RedisError

from scripts.chaos.plan import FLUSHER, Fault, Kind
from scripts.chaos.programs import Database, PythonProgram, signal_all, tree

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from scripts.chaos.links import Link
    from scripts.chaos.world import World


class Saboteur:
    """Carries out faults. Those on the same target follow each other; others may happen together."""

    def __init__(self, world: World, seed: int) -> None:
        self._world = world
        self._chance = random.Random(f"saboteur {seed}")  # noqa: S311 - a test's chance, not a secret
        self._locks: dict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    async def carry_out(self, fault: Fault) -> None:
        """Make the fault happen, hold it, and end it; returns once what was killed is started again."""
        act, key = self._act(fault)
        async with self._locks[key]:
            await act()

    def _act(self, fault: Fault) -> tuple[Callable[[], Awaitable[None]], str]:
        """Return what carries out a fault, and the name of its target."""
        world, kind = self._world, fault.kind
        if kind in (Kind.SERVER_KILLED, Kind.FLUSHER_KILLED):
            name = fault.target or FLUSHER
            return lambda: self._kill(world.programs[name], fault.for_s), name
        if kind in (Kind.SERVER_STOPPED, Kind.FLUSHER_STOPPED):
            name = fault.target or FLUSHER
            return lambda: self._pause(world.programs[name], fault.for_s), name
        if kind is Kind.WORKER_KILLED:
            return lambda: self._kill_child(world.programs[fault.target]), fault.target
        if kind is Kind.REDIS_KILLED:
            return lambda: self._kill(world.redis, fault.for_s), "redis"
        if kind is Kind.REDIS_STOPPED:
            return lambda: self._pause(world.redis, fault.for_s), "redis"
        if kind is Kind.SCRIPTS_FLUSHED:
            return self._flush_scripts, "redis"
        if kind is Kind.POSTGRES_KILLED:
            return lambda: self._kill(world.postgres, fault.for_s), "postgres"
        if kind is Kind.BACKEND_KILLED:
            return lambda: self._kill_child(world.postgres), "postgres"
        if kind is Kind.POSTGRES_STOPPED:
            return lambda: self._pause(world.postgres, fault.for_s), "postgres"
        link = self._link(fault)
        return lambda: self._disturb(link, fault), link.name

    def _link(self, fault: Fault) -> Link:
        if not fault.target:
            return self._world.clients
        links = self._world.to_redis if fault.kind.name.startswith("REDIS") else self._world.to_postgres
        return links[fault.target]

    async def _kill(self, program: Database | PythonProgram, down_s: float) -> None:
        with _down_already(program):
            children = tree(program.pid)[1:]
            await program.kill()
            if isinstance(program, PythonProgram) and self._chance.random() < 0.5:  # noqa: PLR2004 - a coin
                signal_all(children, signal.SIGKILL)  # workers die too; or they see it and drain
        await asyncio.sleep(down_s)
        await program.start()

    @staticmethod
    async def _pause(program: Database | PythonProgram, for_s: float) -> None:
        with _down_already(program):
            processes = tree(program.pid)
            signal_all(processes, signal.SIGSTOP)
            try:
                await asyncio.sleep(for_s)
            finally:
                signal_all(processes, signal.SIGCONT)

    async def _kill_child(self, program: Database | PythonProgram) -> None:
        with contextlib.suppress(ProcessLookupError, psutil.NoSuchProcess):
            children = tree(program.pid)[1:]
            if children:
                self._chance.choice(children).kill()

    @staticmethod
    async def _disturb(link: Link, fault: Fault) -> None:
        how = fault.kind.name.partition("_")[2]
        if how == "CUT":
            await link.cut(fault.for_s)
        elif how == "DELAYED":
            await link.delay(fault.for_s, fault.by_s)
        elif how == "FROZEN":
            await link.freeze(fault.for_s)
        else:
            await link.half_open(fault.for_s)

    async def _flush_scripts(self) -> None:
        async with redis.asyncio.Redis.from_url(self._world.redis_url) as client:
            with contextlib.suppress(RedisError, OSError):
                await cast("Any", client).script_flush()


def _down_already(program: Database | PythonProgram) -> contextlib.AbstractContextManager[None]:
    """Let a fault find a program that ended by itself; a database never does."""
    return contextlib.suppress(*(() if isinstance(program, Database) else (ProcessLookupError,)))
