"""PostgreSQL or Redis away, full or slow: play goes on, nothing is lost, and the backlog drains."""

from __future__ import annotations

import asyncio
import os
import signal
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest
from redis.exceptions import OutOfMemoryError

from persistence.writeback.batch import Saver
from persistence.writeback.flusher import Flusher, Pace
from persistence.writeback.leases import Leases
from tests.support.limits import LIMIT_S
from tests.support.saving_world import SavingWorld, changed, player, saving_world, until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from game.session import Session, UserId
    from tests.support.servers import PostgresServer, ValkeyServer

PACE = Pace(interval_s=0.02, retry_first_s=0.02, retry_most_s=0.1)


@pytest.fixture
async def world(own_valkey: ValkeyServer, own_postgres: PostgresServer) -> AsyncIterator[SavingWorld]:
    """Servers that the test may stop."""
    async with saving_world(own_valkey.url, own_postgres.dsn()) as world:
        yield world


@asynccontextmanager
async def flushing(world: SavingWorld, *, write_timeout_s: float = 10.0) -> AsyncIterator[Flusher]:
    """Run a flusher beside the test."""
    saver = Saver(world.store, world.writer(write_timeout_s=write_timeout_s), 1200)
    flusher = Flusher(saver, Leases(world.store, "a"), PACE)
    stop = asyncio.Event()
    running = asyncio.create_task(flusher.run(stop))
    try:
        yield flusher
    finally:
        stop.set()
        async with asyncio.timeout(LIMIT_S):
            await running


async def play(world: SavingWorld, users: Sequence[UserId], version: int) -> list[Session]:
    """Change every player's session once."""
    sessions = [changed(player(user), version, version) for user in users]
    await world.put(sessions)
    return sessions


async def drained(world: SavingWorld, sessions: Sequence[Session]) -> None:
    """Wait until nothing is marked; PostgreSQL has exactly these."""

    async def clean() -> bool:
        return await world.marks() == {}

    await until(clean)
    for session in sessions:
        assert session == await world.saved(session.user_id)
        assert session == await world.live(session.user_id)


async def failed(flusher: Flusher, times: int) -> None:
    """Wait until flushes have failed so often."""

    async def often() -> bool:
        return flusher.totals.failures >= times

    await until(often)


async def test_postgresql_killed_and_back(world: SavingWorld, own_postgres: PostgresServer) -> None:
    """Play goes on meanwhile; the backlog is one mark a player, and drains without a restart."""
    users = await world.accounts(50)
    async with flushing(world) as flusher:
        await play(world, users, 2000)
        own_postgres.kill()
        for version in range(2001, 2010):
            await play(world, users, version)
        await failed(flusher, 3)
        final = await play(world, users, 2010)
        assert len(await world.marks()) == 50
        assert flusher.totals.last_error
        own_postgres.start()
        await drained(world, final)


async def test_a_postgresql_that_stands_still_is_given_up_in_time(
    world: SavingWorld, own_postgres: PostgresServer
) -> None:
    """A write that may have happened is written again, and once it moves everything is saved."""
    users = await world.accounts(20)
    async with flushing(world, write_timeout_s=3) as flusher:
        await drained(world, await play(world, users, 2000))
        assert own_postgres.process is not None
        clients = "SELECT pid FROM pg_stat_activity WHERE backend_type = 'client backend'"
        backends = [row["pid"] for row in await world.pool.fetch(clients)]
        processes = [own_postgres.process.pid, *backends]
        for pid in processes:
            os.kill(pid, signal.SIGSTOP)
        try:
            final = await play(world, users, 2001)
            await failed(flusher, 2)
        finally:
            for pid in processes:
                os.kill(pid, signal.SIGCONT)
        await drained(world, final)


@pytest.mark.parametrize(
    ("code", "name"),
    [("53100", "a full disk"), ("25006", "it is read-only"), ("57P03", "starting")],
)
async def test_a_refusal_that_concerns_no_single_row_sets_nobody_aside(
    world: SavingWorld, code: str, name: str
) -> None:
    """It is waited for, however long it takes; then everything is saved at once."""
    users = await world.accounts(30)
    await world.pool.execute(
        f"CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS "
        f"$$ BEGIN RAISE EXCEPTION '{name}' USING ERRCODE = '{code}'; END $$"
    )
    await world.pool.execute("CREATE TRIGGER refuse BEFORE INSERT ON sessions EXECUTE FUNCTION refuse()")
    async with flushing(world) as flusher:
        final = await play(world, users, 2000)
        await failed(flusher, 3)
        assert name in flusher.totals.last_error
        assert flusher.totals.set_aside == 0
        await world.pool.execute("DROP TRIGGER refuse ON sessions")
        await drained(world, final)


async def test_redis_killed_and_back(world: SavingWorld, own_valkey: ValkeyServer) -> None:
    """With its file synced at each write nothing answered is missing, and the flusher goes on by itself."""
    users = await world.accounts(50)
    async with flushing(world) as flusher:
        await play(world, users, 2000)
        final = await play(world, users, 2001)
        own_valkey.kill()
        await failed(flusher, 1)
        own_valkey.start()
        await drained(world, final)


async def test_both_away_and_back(
    world: SavingWorld, own_valkey: ValkeyServer, own_postgres: PostgresServer
) -> None:
    """In whatever order they return."""
    users = await world.accounts(20)
    async with flushing(world) as flusher:
        own_postgres.kill()
        final = await play(world, users, 2000)
        own_valkey.kill()
        await failed(flusher, 2)
        own_valkey.start()
        await failed(flusher, flusher.totals.failures + 2)
        own_postgres.start()
        await drained(world, final)


async def test_a_full_redis_recovers_by_flushing(world: SavingWorld) -> None:
    """At maxmemory without eviction writes are refused; saved sessions expire, and there is room again."""
    users = await world.accounts(2000)
    await play(world, users, 2000)

    async def room() -> bool:
        try:
            return bool(await world.redis.set("more", "x"))
        except OutOfMemoryError:
            return False

    async def full() -> bool:
        """Look again: buffers of the writes before may have been given back since."""
        used = (await world.redis.info("memory"))["used_memory"]
        await world.redis.config_set("maxmemory", str(used - 200_000))
        return not await room()

    await until(full)
    flusher = Flusher(Saver(world.store, world.writer(), 1), Leases(world.store, "a"), PACE)
    assert await flusher.flush_once() == 2000
    await until(room)
    saved = await world.saved(users[0])
    assert changed(player(users[0]), 2000, 2000) == saved
