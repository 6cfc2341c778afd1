"""Write-behind as a whole: what is dirty in Redis is saved, and what can't be does not stop the rest."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest

from game.session import UserId
from persistence.durable.rows import row_of_session
from persistence.durable.sessions import SessionWriter
from persistence.errors import DurableUnavailable
from persistence.live.keys import bucket_of
from persistence.writeback import flusher as flusher_module
from persistence.writeback.flusher import Pace
from persistence.writeback.marks import EVERY_BUCKET, Due, read_due
from tests.support.limits import LIMIT_S
from tests.support.plain_keys import channel, dirty_key, session_key
from tests.support.saving_world import TTL_S, SavingWorld, changed, player, saving_world, until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from persistence.durable.rows import Row
    from persistence.durable.sessions import WriteResult
    from tests.support.servers import ValkeyServer


@pytest.fixture
async def world(own_valkey: ValkeyServer, postgres_dsn: str) -> AsyncIterator[SavingWorld]:
    """A Redis and a database of one test's own."""
    async with saving_world(own_valkey.url, postgres_dsn) as world:
        yield world


async def test_a_flush_saves_every_dirty_session(world: SavingWorld) -> None:
    """Field by field; afterwards they are clean, say what is saved, and may expire."""
    users = await world.accounts(300)
    await world.put(player(user, money=user) for user in users)
    assert await world.flusher().flush_once() == 300
    for user in users:
        assert player(user, money=user) == await world.saved(user)
    assert await world.marks() == {}
    assert await world.live_field(users[0], "saved") == "1000"
    assert await world.live_field(users[0], "dirty") == "0"
    assert 0 < await world.ttl_s(users[0]) <= TTL_S


async def test_clean_sessions_are_not_written(world: SavingWorld) -> None:
    """Nothing to do is nothing done."""
    [user] = await world.accounts(1)
    await world.put([player(user)], marked_ms=None)
    assert await world.flusher().flush_once() == 0
    assert await world.saved(user) is None


async def test_the_oldest_are_saved_first(world: SavingWorld) -> None:
    """Whatever their buckets, when there is only time for some."""
    users = await world.accounts(600)
    ages = list(range(1, 601))
    random.Random(4).shuffle(ages)
    for user, marked_ms in zip(users, ages, strict=True):
        await world.put([player(user)], marked_ms=marked_ms)
    flusher = world.flusher()
    seen: list[int] = []

    def note(written: int) -> None:
        seen.append(written)
        if len(seen) == 1:
            raise KeyError("enough")

    with pytest.raises(KeyError):
        await flusher.flush_once(note)
    saved = {row["user_id"] for row in await world.pool.fetch("SELECT user_id FROM sessions")}
    age_of = dict(zip(users, ages, strict=True))
    assert max(age_of[user] for user in saved) <= 2 * len(saved)
    assert set(range(1, 129)) <= {age_of[user] for user in saved}


async def test_a_session_that_changes_while_it_is_saved_stays_dirty(world: SavingWorld) -> None:
    """PostgreSQL has the version that was read; the next flush brings the next."""
    [user] = await world.accounts(1)
    await world.put([player(user, money=1)])
    saver = world.saver()
    batch = await saver.collect([user], read_ms=5000)
    await world.put([changed(player(user), 1001, 2)])
    outcome = await saver.write(batch)
    assert (outcome.saved, outcome.again) == (1, 1)
    assert player(user, money=1) == await world.saved(user)
    assert await world.marks() == {user: 5000}
    assert await world.live_field(user, "saved") == "1000"
    await world.flusher().flush_once()
    assert changed(player(user), 1001, 2) == await world.saved(user)
    assert await world.marks() == {}


async def test_a_session_that_fell_back_is_loaded_from_postgresql(world: SavingWorld) -> None:
    """Redis lost its last seconds: PostgreSQL's session replaces the older one; connections are notified."""
    [user] = await world.accounts(1)
    await world.writer().write([row_of_session(player(user, version=2000, money=7))])
    await world.put([player(user, version=1500, money=5)])
    pubsub = world.redis.pubsub()
    await pubsub.execute_command("SSUBSCRIBE", channel(user))
    flusher = world.flusher()
    await flusher.flush_once()
    assert player(user, version=2000, money=7) == await world.live(user)
    assert player(user, version=2000, money=7) == await world.saved(user)
    assert (await world.marks(), flusher.totals.reloaded) == ({}, 1)
    replies = [await pubsub.parse_response(timeout=LIMIT_S) for _ in range(2)]
    assert replies[1][2] == b"test reloaded 2000"
    await pubsub.aclose()  # type: ignore[no-untyped-call] # redis-py leaves it untyped


async def test_a_deleted_accounts_session_leaves_redis(world: SavingWorld) -> None:
    """It is not written again."""
    kept, deleted = await world.accounts(2)
    await world.put([player(kept), player(deleted)])
    await world.delete_account(deleted)
    flusher = world.flusher()
    assert await flusher.flush_once() == 1
    assert await world.live(deleted) is None
    assert (await world.marks(), flusher.totals.gone) == ({}, 1)


async def test_a_mark_without_a_session_goes(world: SavingWorld) -> None:
    """And is counted: something took the session away."""
    await world.redis.zadd(dirty_key(bucket_of(UserId(5))), {"5": 1})
    flusher = world.flusher()
    assert await flusher.flush_once() == 0
    assert (await world.marks(), flusher.totals.vanished) == ({}, 1)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("money", "nan"),
        ("version", "nan"),
        ("rank", "101"),
        ("rank", "1e9"),
        ("xp", "1e999"),
        ("now", "a\tb"),
    ],
)
async def test_a_bad_session_is_quarantined(world: SavingWorld, field: str, value: str) -> None:
    """It keeps its mark, is counted and named, is not tried at each flush, and the others are saved."""
    users = await world.accounts(50)
    await world.put(player(user) for user in users)
    bad = users[20]
    await world.overwrite(bad, **{field: value})
    flusher = world.flusher()
    assert await flusher.flush_once() == 49
    assert list(await world.marks()) == [bad]
    assert flusher.totals.set_aside == 1
    assert flusher.totals.last_error
    assert await flusher.flush_once() == 0
    assert flusher.totals.set_aside == 1
    assert flusher.totals.dirty == 1


async def test_a_key_that_is_no_session_is_quarantined(world: SavingWorld) -> None:
    """Whatever put it there, the others are saved."""
    users = await world.accounts(3)
    await world.put(player(user) for user in users)
    await world.redis.set(session_key(users[0]), "text")
    flusher = world.flusher()
    assert await flusher.flush_once() == 2
    assert "WRONGTYPE" in flusher.totals.last_error


async def test_bad_sessions_do_not_hide_those_behind_them(world: SavingWorld) -> None:
    """Even where they are the oldest of their bucket and many."""
    first = (await world.accounts(1))[0]
    bucket_mates = [UserId(first + 1024 * n) for n in range(1, 41)]
    await world.pool.execute(
        "INSERT INTO accounts (id, email, password_hash) OVERRIDING SYSTEM VALUE "
        "SELECT id, id || '@example.org', 'x' FROM unnest($1::bigint[]) AS id",
        bucket_mates,
    )
    bad, good = bucket_mates[:39], bucket_mates[39]
    await world.put((player(user) for user in bad), marked_ms=1)
    for user in bad:
        await world.overwrite(user, money="nan")
    flusher = world.flusher()
    await flusher.flush_once()
    await world.put([player(good)], marked_ms=1000)
    assert await flusher.flush_once() == 1
    assert player(good) == await world.saved(good)


async def test_everything_that_was_dirty_is_saved_in_one_go_and_it_ends(world: SavingWorld) -> None:
    """More than a batch, while players go on: their later changes wait for the next flush."""
    users = await world.accounts(1500)
    await world.put(player(user) for user in users)
    playing = True

    async def play() -> None:
        version = 2000
        while playing:
            version += 1
            now_s, now_us = await world.redis.time()
            now_ms = now_s * 1000 + now_us // 1000
            await world.put([player(users[0], version=version)], marked_ms=now_ms)

    game = asyncio.create_task(play())
    async with asyncio.timeout(LIMIT_S):
        written = await world.flusher().flush_once()
    playing = False
    await game
    assert written >= 1500
    assert set(await world.marks()) <= {users[0]}
    assert await world.pool.fetchval("SELECT count(*) FROM sessions") == 1500


async def test_who_plays_on_is_saved_once_a_pass(world: SavingWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    """What changed while PostgreSQL wrote keeps its mark, and waits for the next pass."""
    users = await world.accounts(50)
    await world.put(player(user) for user in users)
    write = SessionWriter.write

    async def written_while_they_play(self: SessionWriter, rows: Sequence[Row]) -> WriteResult:
        await world.put(player(row.user_id, version=row.version + 1) for row in rows)
        return await write(self, rows)

    monkeypatch.setattr(SessionWriter, "write", written_while_they_play)
    flusher = world.flusher()
    assert await flusher.flush_once() == 50
    assert sorted(await world.marks()) == users
    assert flusher.totals.dirty == 50
    assert flusher.totals.oldest_age_ms > 0
    assert await flusher.flush_once() == 50


@pytest.mark.parametrize("dirty", [0, 1, 300])
async def test_a_pass_looks_once_where_it_saw_every_mark(
    world: SavingWorld, monkeypatch: pytest.MonkeyPatch, dirty: int
) -> None:
    """Looking costs Redis more than the marks of players who watch."""
    users = await world.accounts(dirty)
    await world.put(player(user) for user in users)
    looked = []

    async def read(*args: Any) -> Due:
        looked.append(await read_due(*args))
        return looked[-1]

    monkeypatch.setattr(flusher_module, "read_due", read)
    flusher = world.flusher()
    assert await flusher.flush_once() == dirty
    assert len(looked) == 1
    assert flusher.totals.dirty == 0


async def test_a_session_goes_into_one_batch_of_a_pass(
    world: SavingWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where marks are looked for again while two batches are on their way and their players go on."""
    users = await world.accounts(800)
    await world.put(player(user) for user in users)
    write, written = SessionWriter.write, Counter[UserId]()

    async def counted(self: SessionWriter, rows: Sequence[Row]) -> WriteResult:
        written.update(row.user_id for row in rows)
        await world.put(player(row.user_id, version=row.version + 1) for row in rows)
        return await write(self, rows)

    monkeypatch.setattr(SessionWriter, "write", counted)
    assert await world.flusher().flush_once() == 800
    assert written == Counter(users)
    assert sorted(await world.marks()) == users


async def test_postgresql_lost_between_two_batches(
    world: SavingWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it has keeps no mark and is counted, the other batch keeps all its marks, and comes next time."""
    users = await world.accounts(500)
    await world.put(player(user) for user in users)
    write, batches = SessionWriter.write, iter(range(1000))

    async def lost_with_the_second(self: SessionWriter, rows: Sequence[Row]) -> WriteResult:
        if next(batches) == 1:
            self.close()
            raise DurableUnavailable("lost")
        return await write(self, rows)

    monkeypatch.setattr(SessionWriter, "write", lost_with_the_second)
    flusher = world.flusher()
    with pytest.raises(DurableUnavailable):
        await flusher.flush_once()
    rows = await world.pool.fetch("SELECT user_id FROM sessions")
    saved = {UserId(row["user_id"]) for row in rows}
    assert 0 < flusher.totals.written == len(saved) < 500
    assert set(users) - saved == set(await world.marks())
    await flusher.flush_once()
    assert await world.marks() == {}
    assert await world.pool.fetchval("SELECT count(*) FROM sessions") == 500


async def test_a_flush_that_is_cancelled_with_two_batches_on_their_way(
    world: SavingWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No task is left, what is not in PostgreSQL is marked, and the next flush saves it."""
    users = await world.accounts(500)
    await world.put(player(user) for user in users)
    write, batches, waits = SessionWriter.write, iter(range(1000)), asyncio.Event()

    async def never_with_the_second(self: SessionWriter, rows: Sequence[Row]) -> WriteResult:
        if next(batches) == 1:
            waits.set()
            await asyncio.Event().wait()
        return await write(self, rows)

    monkeypatch.setattr(SessionWriter, "write", never_with_the_second)
    flusher = world.flusher()
    flush = asyncio.create_task(flusher.flush_once())
    async with asyncio.timeout(LIMIT_S):
        await waits.wait()
    flush.cancel()
    with pytest.raises(asyncio.CancelledError):
        await flush
    assert [task for task in asyncio.all_tasks() if task.get_name() == "flush"] == []
    rows = await world.pool.fetch("SELECT user_id FROM sessions")
    saved = {UserId(row["user_id"]) for row in rows}
    assert set(users) - saved <= set(await world.marks())
    await flusher.flush_once()
    assert await world.marks() == {}
    assert await world.pool.fetchval("SELECT count(*) FROM sessions") == 500


async def test_the_flusher_follows_the_game_until_it_is_stopped(world: SavingWorld) -> None:
    """Each interval brings PostgreSQL up to date; a set event ends it."""
    [user] = await world.accounts(1)
    stop = asyncio.Event()
    flusher = world.flusher("a", Pace(interval_s=0.05))
    running = asyncio.create_task(flusher.run(stop))
    for version in (1000, 1001, 1002):
        session = player(user, version=version)
        await world.put([session])

        async def arrived(expected: int = version) -> bool:
            saved = await world.saved(user)
            return saved is not None and saved.version == expected

        await until(arrived)
    stop.set()
    async with asyncio.timeout(LIMIT_S):
        await running


async def test_totals_say_what_waits_and_since_when(world: SavingWorld) -> None:
    """The count and the age of the oldest mark, as of the last look."""
    users = await world.accounts(3)
    now_s, _ = await world.redis.time()
    await world.put((player(user) for user in users), marked_ms=(now_s - 60) * 1000)
    due = await read_due(world.store, EVERY_BUCKET, 10)
    assert (due.dirty, due.buckets) == (3, 3)
    looked_s, _ = await world.redis.time()
    assert 60_000 <= due.oldest_age_ms <= 60_000 + (looked_s + 1 - now_s) * 1000
    flusher = world.flusher()
    await flusher.flush_once()
    assert (flusher.totals.dirty, flusher.totals.oldest_age_ms, flusher.totals.written) == (0, 0, 3)
    assert flusher.totals.rate_per_s > 0


async def test_a_drain_saves_what_is_dirty_now(world: SavingWorld) -> None:
    """Also in buckets whose leases a dead flusher left behind; nothing left is 0."""
    users = await world.accounts(40)
    await world.put(player(user) for user in users)
    dead = world.flusher("dead", lease_ms=60_000)
    await dead._held_buckets()
    dying = world.flusher("dying")
    assert await dying.drain(limit_s=LIMIT_S) == 0
    assert await world.pool.fetchval("SELECT count(*) FROM sessions") == 40


async def test_a_drain_without_postgresql_ends_in_time(world: SavingWorld) -> None:
    """It says what is left, which stays marked in Redis."""
    users = await world.accounts(5)
    await world.put(player(user) for user in users)
    await world.pool.execute("ALTER TABLE sessions RENAME TO elsewhere")
    async with asyncio.timeout(LIMIT_S):
        assert await world.flusher("a").drain(limit_s=0.5) == 5
    assert set(users) == set(await world.marks())
