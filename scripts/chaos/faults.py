"""Makes faults happen and ends them again."""

from __future__ import annotations

import asyncio
import contextlib
import random
import signal
from collections import defaultdict
from typing import TYPE_CHECKING, Final

import asyncpg
import psutil
from redis.exceptions import RedisError

from scripts.chaos.history.samples import AWAY
from scripts.chaos.nodes import READY_WITHIN_S, until
from scripts.chaos.plan import FLUSHER, Fault, Kind
from scripts.chaos.programs import Database, Killable, PythonProgram, signal_all, tree

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from scripts.chaos.links import Link
    from scripts.chaos.world import World


_RELOAD: Final = "SELECT pg_reload_conf()"
_READ_ONLY: Final = ("ALTER SYSTEM SET default_transaction_read_only = on", _RELOAD)
_WRITABLE: Final = ("ALTER SYSTEM SET default_transaction_read_only = off", _RELOAD)
_END_OTHERS: Final = (
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
    "WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"
)
_FAILED_OVER: Final = ("ALTER ROLE postgres SET default_transaction_read_only = on", _END_OTHERS)
_BACK: Final = ("ALTER ROLE postgres RESET default_transaction_read_only",)


class Saboteur:
    """Carries out faults. Those on the same target follow each other; others may happen together."""

    def __init__(self, world: World, seed: int) -> None:
        self._world = world
        self._chance = random.Random(f"saboteur {seed}")  # noqa: S311 - a test's chance, not a secret
        self._locks: dict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    async def carry_out(self, fault: Fault, began: Callable[[], None]) -> None:
        """Make the fault happen, hold it, and end it; returns once what was killed is started again.

        `began` is called just before it happens.
        """
        act, key = self._act(fault)
        async with self._locks[key]:
            began()
            await act()

    def _act(self, fault: Fault) -> tuple[Callable[[], Awaitable[None]], str]:
        """Return what carries out a fault, and the name of its target."""
        world, kind, for_s = self._world, fault.kind, fault.for_s
        if kind in world.redis.acts:
            return lambda: world.redis.acts[kind](fault), "redis"
        name = fault.target or FLUSHER
        program = world.programs[name]
        redis = world.redis.nodes[0]
        known: dict[Kind, tuple[Callable[[], Awaitable[None]], str]] = {
            Kind.SERVER_KILLED: (lambda: self._kill(program, for_s), name),
            Kind.FLUSHER_KILLED: (lambda: self._kill(program, for_s), name),
            Kind.SERVER_STOPPED: (lambda: self._pause(program, for_s), name),
            Kind.FLUSHER_STOPPED: (lambda: self._pause(program, for_s), name),
            Kind.LOG_CLOSED: (lambda: program.pipe.leave(for_s), name),
            Kind.WORKER_KILLED: (lambda: self._kill_child(program), name),
            Kind.REDIS_KILLED: (lambda: self._kill(redis, for_s), "redis"),
            Kind.REDIS_STOPPED: (lambda: self._pause(redis, for_s), "redis"),
            Kind.SCRIPTS_FLUSHED: (self._flush_scripts, "redis"),
            Kind.POSTGRES_KILLED: (lambda: self._kill(world.postgres, for_s), "postgres"),
            Kind.BACKEND_KILLED: (lambda: self._kill_child(world.postgres), "postgres"),
            Kind.POSTGRES_STOPPED: (lambda: self._pause(world.postgres, for_s), "postgres"),
            Kind.POSTGRES_READ_ONLY: (lambda: self._read_only(fault), "postgres"),
        }
        if kind in known:
            return known[kind]
        link = self._link(fault)
        return lambda: self._disturb(link, fault), link.name

    def _link(self, fault: Fault) -> Link:
        kind, _, _ = fault.kind.name.partition("_")
        if kind == "CLIENTS":
            return self._world.clients[fault.target]
        links = self._world.to_postgres if kind == "POSTGRES" else self._world.redis.links
        return links[fault.target]

    async def _kill(self, program: Killable, down_s: float) -> None:
        with _down_already(program):
            children = tree(program.pid)[1:]
            await program.kill()
            if isinstance(program, PythonProgram) and self._chance.random() < 0.5:  # noqa: PLR2004 - a coin
                signal_all(children, signal.SIGKILL)  # workers die too; or they see it and drain
        await asyncio.sleep(down_s)
        await program.start()

    @staticmethod
    async def _pause(program: Killable, for_s: float) -> None:
        with _down_already(program):
            processes = tree(program.pid)
            signal_all(processes, signal.SIGSTOP)
            try:
                await asyncio.sleep(for_s)
            finally:
                signal_all(processes, signal.SIGCONT)

    async def _kill_child(self, program: Killable) -> None:
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
        elif how == "HELD":
            # Held up are those that subscribe again.
            link.break_all()
            await link.hold_subscriptions(fault.for_s)
        else:
            await link.half_open(fault.for_s)

    async def _flush_scripts(self) -> None:
        with contextlib.suppress(RedisError, OSError):
            await self._world.redis.nodes[0].ask("SCRIPT", "FLUSH")

    async def _read_only(self, fault: Fault) -> None:
        """Let PostgreSQL take no writes: as on a full managed disk, or as behind a failover.

        After a failover connections that were opened meanwhile lead to one that never takes writes again.
        """
        fails_over = fault.pick < 0.5  # noqa: PLR2004 - a coin
        begin, end = (_FAILED_OVER, _BACK) if fails_over else (_READ_ONLY, _WRITABLE)
        await self._have_done(begin)
        try:
            await asyncio.sleep(fault.for_s)
        finally:
            await self._have_done(end)

    async def _have_done(self, statements: Sequence[str]) -> None:
        """Have PostgreSQL do something once it can: after a backend was killed it recovers first."""
        await until("PostgreSQL is asked", READY_WITHIN_S, lambda: self._does(statements))

    async def _does(self, statements: Sequence[str]) -> bool:
        with contextlib.suppress(*AWAY):
            connection = await asyncpg.connect(
                self._world.dsn, server_settings={"default_transaction_read_only": "off"}
            )
            try:
                for statement in statements:
                    await connection.execute(statement)
            finally:
                await connection.close()
            return True
        return False


def _down_already(program: Killable) -> contextlib.AbstractContextManager[None]:
    """Let a fault find a program that ended by itself; a database never does."""
    return contextlib.suppress(*(() if isinstance(program, Database) else (ProcessLookupError,)))
