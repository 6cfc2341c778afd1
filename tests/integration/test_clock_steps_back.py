"""Redis' clock steps back by a minute, a day, a year: nobody waits for the time that it came from."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING

import pytest

from persistence.durable.sessions import load_rows
from persistence.live.scripts import load_scripts
from persistence.live.session_ref import SessionRef
from persistence.live.throttle import AttemptLog
from persistence.recovery.cold_load import Loader, LoadingTotals
from persistence.recovery.reconcile import Reconciler
from persistence.writeback.leases import RANGES, Leases
from persistence.writeback.marks import EVERY_BUCKET, read_due
from tests.support.plain_keys import FLUSHERS_KEY, PLAIN, load_key
from tests.support.saving_world import SavingWorld, player, saving_world

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.support.servers import ValkeyServer

TTL_S = 100
steps = pytest.mark.parametrize("back_s", [60, 86_400, 365 * 86_400])


@pytest.fixture
async def world(own_valkey: ValkeyServer, postgres_dsn: str) -> AsyncIterator[SavingWorld]:
    """A Redis and a database of one test's own."""
    async with saving_world(own_valkey.url, postgres_dsn) as world:
        yield world


async def ahead_ms(world: SavingWorld, back_s: int) -> int:
    """Return the time (ms) that the clock stepped back from."""
    now_s, _ = await world.redis.time()
    return int(now_s + back_s) * 1000


@steps
async def test_marks_of_a_time_to_come_are_due(world: SavingWorld, back_s: int) -> None:
    """They are saved at the next pass, with those that were set since, and their age counts from now."""
    users = await world.accounts(200)
    await world.put((player(user) for user in users[:100]), marked_ms=await ahead_ms(world, back_s))
    await world.put((player(user) for user in users[100:]), marked_ms=await ahead_ms(world, -60))
    assert await world.flusher().flush_once() == 200
    assert (await read_due(world.store, EVERY_BUCKET, 1)).dirty == 0


@steps
async def test_leases_and_flushers_of_a_time_to_come_have_ended(world: SavingWorld, back_s: int) -> None:
    """Who died before the clock stepped back holds no bucket, and counts for no share."""
    for number in range(RANGES):
        await world.redis.set(PLAIN.lease(number), "dead", px=back_s * 1000)
    await world.redis.zadd(FLUSHERS_KEY, {"dead": await ahead_ms(world, back_s)})
    leases = Leases(world.store, "alive")
    await leases.keep()
    assert len(leases.ranges) == RANGES


@steps
async def test_claims_of_a_time_to_come_have_ended(world: SavingWorld, back_s: int) -> None:
    """A session whose loader died is loaded, a Redis that came back is checked."""
    (user,) = await world.accounts(1)
    await world.redis.set(load_key(user), "dead", px=back_s * 1000)
    await world.redis.set(PLAIN.reconcile("run"), "dead", px=back_s * 1000)
    lanes = world.store.lanes
    loader = Loader(lanes, load_scripts(), partial(load_rows, world.pool), TTL_S)
    reading = asyncio.create_task(loader.run())
    try:
        ref = SessionRef(user, lanes.lane_of(user), PLAIN.channel(user))
        assert await loader.load(ref, create=True)
    finally:
        reading.cancel()
        await asyncio.gather(reading, return_exceptions=True)
    reconciler = Reconciler(world.store, world.pool, TTL_S, LoadingTotals())
    assert not await reconciler.claimed("run")
    assert await reconciler.claimed("run")


@steps
async def test_nobody_waits_for_attempts_of_a_time_to_come(world: SavingWorld, back_s: int) -> None:
    """They have left the window, or are waited for no longer than it."""
    log = AttemptLog(world.store, window_s := 30)
    for name in ("a", "b"):
        assert await log.count(name, "1", "2", address_limit=2, pair_limit=2) == 0
    for key in (PLAIN.throttle(EVERY_BUCKET[1], "1"), PLAIN.throttle(EVERY_BUCKET[1], "1:2")):
        assert await world.redis.zcard(key) == 2
        await world.redis.zadd(key, dict.fromkeys(("a", "b"), await ahead_ms(world, back_s)))
    assert window_s < back_s
    assert await log.count("c", "1", "2", address_limit=2, pair_limit=2) == 0
