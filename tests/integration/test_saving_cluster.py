"""Write-behind on a Redis Cluster: the same scripts, a call for each bucket, whichever master holds it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from game.session import UserId
from persistence.durable.migrate import migrate
from persistence.durable.pool import open_pool
from persistence.durable.sessions import SessionWriter, load_rows
from persistence.live.hashes import fields_of, session_of
from persistence.live.keys import bucket_of
from persistence.live.scripts import load_scripts
from persistence.live.store import LiveStore, call, open_store
from persistence.recovery.audit import AuditTotals, audit
from persistence.recovery.restore import restore
from persistence.writeback.batch import Saver
from persistence.writeback.flusher import Flusher
from persistence.writeback.leases import RANGES, Leases
from tests.support.limits import LIMIT_S
from tests.support.plain_keys import channel, dirty_key, session_key
from tests.support.saving_world import player

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from persistence.durable.pool import Pool

TTL_S = 1200


@pytest.fixture
async def store(cluster_url: str) -> AsyncIterator[LiveStore]:
    """The door to three masters, emptied of what tests of other files left: ids begin at 1 for all."""
    async with open_store(cluster_url, "test", load_scripts()) as store:
        for lane in store.lanes.all:
            await lane.call("FLUSHALL")
        yield store


@pytest.fixture
async def pool(postgres_dsn: str) -> AsyncIterator[Pool]:
    """A migrated database."""
    await migrate(postgres_dsn)
    pool = await open_pool(postgres_dsn)
    yield pool
    pool.terminate()


async def accounts(pool: Pool, count: int) -> list[UserId]:
    """Make accounts; returns their ids."""
    rows = await pool.fetch(
        "INSERT INTO accounts (email, password_hash) "
        "SELECT i || '@example.org', 'x' FROM generate_series(1, $1::int) AS i RETURNING id",
        count,
    )
    return [UserId(row["id"]) for row in rows]


async def put(store: LiveStore, users: Sequence[UserId]) -> None:
    """Write dirty sessions."""
    calls = []
    for user in users:
        bucket = bucket_of(user)
        calls.append(call(bucket, "HSET", session_key(user), *fields_of(player(user), dirty=True)))
        calls.append(call(bucket, "ZADD", dirty_key(bucket), 1000, user))
    await store.run(calls)


async def test_sessions_go_to_postgresql_and_come_back(
    store: LiveStore, pool: Pool, postgres_dsn: str
) -> None:
    """All three masters are flushed, audited and restored."""
    users = await accounts(pool, 300)
    await put(store, users)
    writer = SessionWriter(postgres_dsn)
    leases = Leases(store, "a")
    flusher = Flusher(Saver(store, writer, TTL_S), leases)
    assert await flusher.flush_once() == 300
    assert len(leases.ranges) == RANGES
    assert all(row.session == player(user) for user, row in (await load_rows(pool, users)).items())
    totals = AuditTotals()
    assert [batch async for batch in audit(store, pool, 0, totals) if batch] == []
    assert totals.sessions == 300
    await store.run([call(bucket_of(user), "DEL", session_key(user)) for user in users])
    assert (await restore(store, pool, TTL_S)).loaded == 300
    for user, fields in zip(users, await store.hashes(users), strict=True):
        assert isinstance(fields, dict)
        assert player(user) == session_of(user, fields)
    await store.run([call(bucket_of(user), "DEL", session_key(user)) for user in users])
    assert await flusher.drain(LIMIT_S) == 0
    writer.close()


async def test_a_script_that_a_master_forgot_is_given_to_it_again(store: LiveStore) -> None:
    """A fail-over or SCRIPT FLUSH costs one repetition."""
    user = UserId(5)
    await store.run([call(bucket_of(user), "SCRIPT", "FLUSH")])
    keys = [session_key(user), dirty_key(bucket_of(user))]
    args: list[str | int] = ["1.run", user, channel(user), 10, TTL_S]
    [reply] = await store.run([store.script("release", bucket_of(user), keys, args)])
    assert reply == [b"gone"]
