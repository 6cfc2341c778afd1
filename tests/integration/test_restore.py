"""Sessions from PostgreSQL into Redis: all, some, the recent ones; never backwards."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from game.session import ClientWindow, Session, UserId
from persistence.durable.rows import hash_of_record, row_of_hash, row_of_session
from persistence.durable.sessions import load_records
from persistence.live.hashes import CLIENT_PREFIX, fields_of, packed_window
from persistence.live.record import PACKED_RATES, Rates
from persistence.recovery.restore import restore, restore_users
from tests.support.plain_keys import session_key
from tests.support.saving_world import TTL_S, SavingWorld, player, saving_world

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.support.servers import ValkeyServer


@pytest.fixture
async def world(own_valkey: ValkeyServer, postgres_dsn: str) -> AsyncIterator[SavingWorld]:
    """A Redis and a database of one test's own."""
    async with saving_world(own_valkey.url, postgres_dsn) as world:
        yield world


async def test_an_emptied_redis_is_filled_again(world: SavingWorld) -> None:
    """Every session as it was saved, clean, about to expire; accounts without one are passed over."""
    users = await world.accounts(2500)
    await world.writer().write([row_of_session(player(user, money=user)) for user in users[:-1]])
    restored = await restore(world.store, world.pool, TTL_S)
    assert (restored.loaded, restored.kept, restored.refused) == (2499, 0, 0)
    for user in users[:-1:50]:
        assert player(user, money=user) == await world.live(user)
    assert await world.live(users[-1]) is None
    assert await world.marks() == {}
    assert await world.live_field(users[0], "saved") == "1000"
    assert 0 < await world.ttl_s(users[0]) <= TTL_S


async def test_every_field_comes_back_byte_by_byte(world: SavingWorld) -> None:
    """Everything that a session may have, with odd names, and nothing of it; over an older session too."""
    full, bare, older = await world.accounts(3)
    words = iter(fields_of(player(full, money=1e300)))
    everything = dict(zip(words, words, strict=True)) | {
        b"rates": PACKED_RATES.pack(*range(len(Rates._fields))) + b"12.run",
        b"offline": b"1:2:3:4:5:6",
        CLIENT_PREFIX + '\x00"\\\n☃😀'.encode(): packed_window(ClientWindow(7, 2**64 - 1, 10**12)),
    }
    rows = [
        row_of_hash(full, everything),
        row_of_session(Session(bare, 1, 1)),
        row_of_hash(older, everything),
    ]
    await world.writer().write([*rows])
    await world.put([player(older, 1)])
    assert (await restore(world.store, world.pool, TTL_S)).loaded == 3
    for record in await load_records(world.pool, [full, bare, older]):
        saved = iter(hash_of_record(record).fields)
        restored = await world.redis.hgetall(session_key(record["id"]))
        assert restored == dict(zip(saved, saved, strict=True))


async def test_it_goes_over_older_sessions_and_never_over_newer_ones(world: SavingWorld) -> None:
    """Each session ends at the newer of its two versions; doing it again changes nothing."""
    older, same, newer, missing = await world.accounts(4)
    await world.writer().write([row_of_session(player(user, 1000)) for user in (older, same, newer, missing)])
    await world.put([player(older, 999), player(same, 1000, money=1), player(newer, 1001)])
    for loaded, kept in ((2, 2), (0, 4)):
        restored = await restore(world.store, world.pool, TTL_S)
        assert (loaded, kept) == (restored.loaded, restored.kept)
        assert player(older, 1000) == await world.live(older)
        assert player(same, 1000, money=1) == await world.live(same)
        assert player(newer, 1001) == await world.live(newer)
        assert player(missing, 1000) == await world.live(missing)
    assert {same, newer} == set(await world.marks())


async def test_a_floor_without_a_session_stays(world: SavingWorld) -> None:
    """It keeps the session that is restored from taking a version again that a connection was sent."""
    [user] = await world.accounts(1)
    await world.writer().write([row_of_session(player(user))])
    await world.redis.hset(session_key(user), "floor", "5000")
    assert (await restore(world.store, world.pool, TTL_S)).loaded == 1
    assert player(user) == await world.live(user)
    assert await world.redis.hget(session_key(user), "floor") == b"5000"


async def test_only_those_saved_since_a_moment(world: SavingWorld) -> None:
    """The players of the last hour come first when Redis has to be filled in a hurry."""
    recent, long_ago = await world.accounts(2)
    await world.writer().write([row_of_session(player(recent)), row_of_session(player(long_ago))])
    await world.pool.execute(
        "UPDATE sessions SET updated_at = now() - interval '2 hours' WHERE user_id = $1", long_ago
    )
    since = datetime.now(UTC) - timedelta(hours=1)
    assert (await restore(world.store, world.pool, TTL_S, active_since=since)).loaded == 1
    assert await world.live(long_ago) is None


async def test_single_users(world: SavingWorld) -> None:
    """Those named, and no others; who has no session is passed over."""
    one, other, new = await world.accounts(3)
    await world.writer().write([row_of_session(player(one)), row_of_session(player(other))])
    restored = await restore_users(world.store, world.pool, TTL_S, [one, new, UserId(10**9)])
    assert restored.seen == restored.loaded == 1
    assert await world.live(one) is not None
    assert await world.live(other) is None


async def test_a_full_redis_refuses_and_is_counted(world: SavingWorld) -> None:
    """Nothing is half loaded."""
    users = await world.accounts(40)
    await world.writer().write([row_of_session(player(user)) for user in users])
    await world.redis.config_set("maxmemory", "1")
    restored = await restore(world.store, world.pool, TTL_S)
    assert (restored.loaded, restored.refused) == (0, 40)
    assert await world.redis.dbsize() == 0


async def test_progress_is_told_after_each_batch(world: SavingWorld) -> None:
    """For a bar: how many were read so far."""
    users = await world.accounts(2100)
    await world.writer().write([row_of_session(player(user)) for user in users])
    seen: list[int] = []
    await restore(world.store, world.pool, TTL_S, on_progress=lambda restored: seen.append(restored.seen))
    assert seen[-1] == 2100
    assert sorted(seen) == seen
    assert len(seen) == 3
