"""What the tests of write-behind share: players in a real Redis and PostgreSQL, put there and read back."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, cast

import redis.asyncio

from game.session import ClientWindow, Offline, Session, UserId
from persistence.durable.migrate import migrate
from persistence.durable.pool import open_pool
from persistence.durable.sessions import SessionWriter, load_rows
from persistence.live.hashes import fields_of, session_of
from persistence.live.keys import BUCKETS, Bucket, bucket_of
from persistence.live.record import PACKED_RATES, Rates
from persistence.live.scripts import load_scripts
from persistence.live.store import LiveStore, open_store
from persistence.writeback.batch import Saver
from persistence.writeback.flusher import Flusher, Pace
from persistence.writeback.leases import Leases
from tests.support.limits import LIMIT_S
from tests.support.live_hash import by_name, with_values
from tests.support.plain_keys import dirty_key, session_key

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterable

    from persistence.durable.pool import Pool

TTL_S = 1200
_LOOK_EVERY_S = 0.01


def player(user_id: int, version: int = 1000, money: float = 0.0) -> Session:
    """Make a session in the middle of a game, every field set to something of its own."""
    return Session(
        user_id=UserId(user_id),
        version=version,
        accrued_at_ms=1_700_000_000_123,
        money=money,
        dishes=3.0,
        rank=7,
        xp=1150.0,
        stars=15_000.0,
        accumulated=2500.0,
        boost=11.0,
        bought={1: 1, 2: 4, 45: 12},
        clicks=900.0,
        cooked=2.0**53 + 2,
        earned=1.5e300 / 2,
        purchases=17.0,
        resets=1.0,
        achieved=(1, 5, 9),
        offline=Offline(3600, 7200, 1e18, -5.0, 1150.0, 12.0),
        clients={"tab-1": ClientWindow(70, 2**64 - 1, 1_700_000_000_000)},
    )


@dataclass(slots=True)
class SavingWorld:
    """One Redis, one PostgreSQL, and ways to look at what they hold."""

    url: str
    dsn: str
    redis: redis.asyncio.Redis
    pool: Pool
    store: LiveStore
    writers: list[SessionWriter] = field(default_factory=list)

    async def accounts(self, count: int) -> list[UserId]:
        """Make accounts; returns their ids."""
        rows = await self.pool.fetch(
            "INSERT INTO accounts (email, password_hash) "
            "SELECT 'u' || gen_random_uuid() || '@example.org', 'x' FROM generate_series(1, $1::int) "
            "RETURNING id",
            count,
        )
        return [UserId(row["id"]) for row in rows]

    async def delete_account(self, user_id: UserId) -> None:
        """Delete an account in PostgreSQL alone, as if the process died right after."""
        await self.pool.execute("DELETE FROM accounts WHERE id = $1", user_id)

    async def put(self, sessions: Iterable[Session], *, marked_ms: int | None = 1000, saved: int = 0) -> None:
        """Write sessions into Redis as the game's scripts leave them; without `marked_ms` they are clean."""
        pipeline = self.redis.pipeline(transaction=False)
        for session in sessions:
            key, user_id = session_key(session.user_id), session.user_id
            rates = PACKED_RATES.pack(*[123.0] * len(Rates._fields))
            fields = fields_of(session, "x@example.org", dirty=marked_ms is not None, saved=saved)
            fields += [b"rates", rates + b"1.run"]
            pipeline.delete(key)
            pipeline.hset(key, items=fields)
            if marked_ms is None:
                pipeline.expire(key, TTL_S)
            else:
                pipeline.zadd(dirty_key(bucket_of(user_id)), {str(user_id): marked_ms})
        await pipeline.execute()

    async def live(self, user_id: UserId) -> Session | None:
        """Read a session from Redis."""
        fields = cast("dict[bytes, bytes]", await self.redis.hgetall(session_key(user_id)))
        return session_of(user_id, fields) if fields else None

    async def live_field(self, user_id: UserId, name: str) -> str | None:
        """Read one field of a session in Redis."""
        fields = cast("dict[bytes, bytes]", await self.redis.hgetall(session_key(user_id)))
        return by_name(fields).get(name)

    async def overwrite(self, user_id: UserId, **values: object) -> None:
        """Put numbers and texts into a session in Redis, by nobody's rules."""
        fields = cast("dict[bytes, bytes]", await self.redis.hgetall(session_key(user_id)))
        await self.redis.hset(session_key(user_id), mapping=with_values(fields, values))  # type: ignore[arg-type] # as above

    async def ttl_s(self, user_id: UserId) -> int:
        """Tell how long a session has to live: -1 for ever, -2 where there is none."""
        ttl: int = await self.redis.ttl(session_key(user_id))
        return ttl

    async def saved(self, user_id: UserId) -> Session | None:
        """Read a session from PostgreSQL."""
        rows = await load_rows(self.pool, [user_id])
        return rows[user_id].session if user_id in rows else None

    async def marks(self) -> dict[UserId, int]:
        """Read every dirty mark: the user and since when."""
        pipeline = self.redis.pipeline(transaction=False)
        for bucket in range(BUCKETS):
            pipeline.zrange(dirty_key(Bucket(bucket)), 0, -1, withscores=True)
        return {
            UserId(int(user_id)): int(since_ms)
            for marks in await pipeline.execute()
            for user_id, since_ms in marks
        }

    def writer(self, *, write_timeout_s: float = 10.0) -> SessionWriter:
        """Open a writer that the world closes."""
        self.writers.append(SessionWriter(self.dsn, write_timeout_s=write_timeout_s))
        return self.writers[-1]

    def saver(self, writer: SessionWriter | None = None) -> Saver:
        """Make a saver."""
        return Saver(self.store, writer or self.writer(), TTL_S)

    def flusher(self, owner: str | None = None, pace: Pace | None = None, *, lease_ms: int = 5000) -> Flusher:
        """Make a flusher; without an owner it holds no leases and flushes everything."""
        leases = None if owner is None else Leases(self.store, owner, lease_ms=lease_ms)
        return Flusher(self.saver(), leases, pace)


@asynccontextmanager
async def saving_world(url: str, dsn: str) -> AsyncIterator[SavingWorld]:
    """Open everything on a migrated database."""
    await migrate(dsn)
    pool = await open_pool(dsn)
    client = redis.asyncio.Redis.from_url(url)
    try:
        async with open_store(url, "test", load_scripts()) as store:
            world = SavingWorld(url, dsn, client, pool, store)
            try:
                yield world
            finally:
                for writer in world.writers:
                    writer.close()
    finally:
        await client.aclose()
        pool.terminate()


async def until(check: Callable[[], Awaitable[object]], limit_s: float = LIMIT_S) -> None:
    """Look until it holds; raises TimeoutError when it does not within the limit."""
    async with asyncio.timeout(limit_s):
        while not await check():  # noqa: ASYNC110 - what is waited for happens in another process
            await asyncio.sleep(_LOOK_EVERY_S)


def changed(session: Session, version: int, money: float) -> Session:
    """Return a session after a change."""
    return replace(session, version=version, money=money)
