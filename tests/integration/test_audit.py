"""The audit finds what is not as it must be, believes no race, and its repair makes it so."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from persistence.durable.rows import row_of_session
from persistence.live.keys import bucket_of
from persistence.live.store import LiveStore
from persistence.recovery.audit import AuditTotals, Difference, audit, repair
from tests.support.plain_keys import dirty_key, session_key
from tests.support.saving_world import SavingWorld, changed, player, saving_world

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from game.session import Session, UserId
    from persistence.live.keys import Bucket
    from tests.support.servers import ValkeyServer


@pytest.fixture
async def world(own_valkey: ValkeyServer, postgres_dsn: str) -> AsyncIterator[SavingWorld]:
    """A Redis and a database of one test's own."""
    async with saving_world(own_valkey.url, postgres_dsn) as world:
        yield world


@pytest.fixture
async def user(world: SavingWorld) -> UserId:
    """A player whose clean session is in Redis and PostgreSQL alike."""
    [user] = await world.accounts(1)
    await world.writer().write([row_of_session(player(user))])
    await world.put([player(user)], marked_ms=None, saved=1000)
    return user


async def found(world: SavingWorld, max_lag_s: float = 60) -> list[Difference]:
    """Audit everything."""
    batches = [batch async for batch in audit(world.store, world.pool, max_lag_s, AuditTotals())]
    return [difference for batch in batches for difference in batch]


async def texts(world: SavingWorld) -> list[str]:
    """Audit everything; what differs, in words."""
    return [difference.what for difference in await found(world)]


async def mended(world: SavingWorld) -> None:
    """Repair all that differs and flush: then nothing differs and nothing is dirty."""
    await repair(world.store, await found(world))
    await world.flusher().flush_once()
    assert await found(world, max_lag_s=0) == []


async def test_equal_is_no_difference(world: SavingWorld, user: UserId) -> None:
    """Nothing to say, and the totals count what was seen."""
    totals = AuditTotals()
    assert [batch async for batch in audit(world.store, world.pool, 0, totals) if batch] == []
    assert (totals.sessions, totals.dirty, totals.differences) == (1, 0, 0)


async def test_postgresql_ahead_is_found_and_redis_gets_its_state(world: SavingWorld, user: UserId) -> None:
    """Redis lost its last seconds: the repair keeps PostgreSQL's state, not the older one."""
    await world.writer().write([row_of_session(changed(player(user), 1005, 50))])
    assert await texts(world) == ["PostgreSQL has version 1005, Redis the older 1000"]
    await mended(world)
    assert changed(player(user), 1005, 50) == await world.live(user)


async def test_postgresql_fallen_back_is_written_again(world: SavingWorld, user: UserId) -> None:
    """A replica took over that lacked the last writes: Redis still has them."""
    await world.pool.execute("UPDATE sessions SET version = 990, money = 1 WHERE user_id = $1", user)
    assert await texts(world) == ["clean, but PostgreSQL went back from 1000 to 990"]
    await mended(world)
    assert player(user) == await world.saved(user)


async def test_a_row_that_is_gone_is_written_again(world: SavingWorld, user: UserId) -> None:
    """The same where the row is missing as a whole."""
    await world.pool.execute("DELETE FROM sessions WHERE user_id = $1", user)
    assert await texts(world) == ["clean, but not in PostgreSQL"]
    await mended(world)
    assert player(user) == await world.saved(user)


async def test_the_same_version_with_other_values_is_found(world: SavingWorld, user: UserId) -> None:
    """The repair raises the version, or the fence would keep the state of Redis out."""
    await world.pool.execute("UPDATE sessions SET money = 77, bought = '1:2' WHERE user_id = $1", user)
    assert await texts(world) == ["clean, but differs in bought, money"]
    await mended(world)
    saved = await world.saved(user)
    assert saved is not None
    assert (saved.money, saved.bought) == (0.0, player(user).bought)
    assert saved.version > 1000


async def test_income_without_a_mark_is_found(world: SavingWorld, user: UserId) -> None:
    """What was paid is to be saved."""
    paid = changed(player(user), 1003, 500)
    paid.accrued_at_ms += 3000
    await world.put([paid], marked_ms=None, saved=1000)
    (found,) = await texts(world)
    assert found.startswith("not marked, but changed in accrued_at_ms, ")


async def test_a_click_without_a_mark_is_found(world: SavingWorld, user: UserId) -> None:
    """It would never be saved."""
    clicked = changed(player(user), 1003, 500)
    clicked.clicks += 1
    await world.put([clicked], marked_ms=None, saved=1000)
    assert await texts(world) == ["not marked, but changed in clicks, money, version"]
    await mended(world)
    assert clicked == await world.saved(user)


async def test_a_mark_that_was_lost_is_found(world: SavingWorld, user: UserId) -> None:
    """The session believes to be marked, so no change would mark it again."""
    await world.put([changed(player(user), 1001, 9)])
    await world.redis.delete(dirty_key(bucket_of(user)))
    assert await texts(world) == ["a mark is missing that its session does not know of"]
    await mended(world)
    assert changed(player(user), 1001, 9) == await world.saved(user)


async def test_a_dirty_session_that_would_expire_is_found(world: SavingWorld, user: UserId) -> None:
    """Its changes would be gone with it."""
    await world.put([changed(player(user), 1001, 9)])
    await world.redis.expire(session_key(user), 600)
    assert "dirty, but about to expire" in await texts(world)
    await repair(world.store, await found(world))
    assert await world.ttl_s(user) == -1


async def test_old_marks_are_found_by_age(world: SavingWorld, user: UserId) -> None:
    """Within the lag a dirty session is fine; with a lag of 0 none is."""
    now_s, _ = await world.redis.time()
    await world.put([changed(player(user), 1001, 9)], marked_ms=(now_s - 300) * 1000)
    assert await found(world, max_lag_s=600) == []
    [difference] = await found(world, max_lag_s=200)
    assert difference.what.startswith("dirty for 3")
    assert len(await found(world, max_lag_s=0)) == 1


async def test_a_session_without_an_account_is_found(world: SavingWorld, user: UserId) -> None:
    """The repair has the flusher remove it."""
    await world.delete_account(user)
    assert await texts(world) == ["in Redis, but there is no such account"]
    await mended(world)
    assert await world.live(user) is None


async def test_sessions_that_cannot_be_read_are_named(world: SavingWorld, user: UserId) -> None:
    """One unreadable session does not end the audit."""
    await world.redis.hset(session_key(user), "now", "much")
    [other] = await world.accounts(1)
    await world.redis.set(session_key(other), "text")
    assert sorted(text.partition(":")[0] for text in await texts(world)) == [
        "cannot be read",
        "no session in Redis but",
    ]


async def test_a_game_under_way_raises_no_false_alarm(world: SavingWorld) -> None:
    """While players change and are flushed all the time, audits in a row find nothing."""
    users = await world.accounts(50)
    await world.put(player(user) for user in users)
    flusher = world.flusher()
    playing = True

    async def play() -> None:
        version = 2000
        while playing:
            version += 1
            now_ms = (await world.redis.time())[0] * 1000
            clicked = [changed(player(user), version, version) for user in users]
            for session in clicked:
                session.clicks = float(version)
            await world.put(clicked, marked_ms=now_ms, saved=version - 1)
            await flusher.flush_once()

    game = asyncio.create_task(play())
    try:
        for _ in range(10):
            assert await texts(world) == []
    finally:
        playing = False
        await game


class _PlayedOn(LiveStore):
    """Lets a player go on, and be flushed, right before the first read of sessions."""

    def __init__(self, world: SavingWorld, session: Session) -> None:
        super().__init__(world.store.lanes)
        self._world = world
        self._session: Session | None = session

    async def run(self, calls: Sequence[tuple[Bucket, bytes]]) -> list[object]:
        """Read what is there by then."""
        session, self._session = self._session, None
        if session is not None:
            await self._world.writer().write([row_of_session(session)])
            await self._world.put([session], marked_ms=None, saved=session.version)
        return await super().run(calls)


async def test_a_change_between_the_two_reads_is_no_difference(world: SavingWorld, user: UserId) -> None:
    """PostgreSQL was read before the player's change, Redis after its flush: the second look is believed."""
    clicked = changed(player(user), 1005, 50)
    clicked.clicks += 5
    store = _PlayedOn(world, clicked)
    assert [batch async for batch in audit(store, world.pool, 0, AuditTotals()) if batch] == []
