"""Flushers share the buckets evenly, and take over from the dead."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from persistence.live.keys import BUCKETS
from persistence.live.scripts import load_scripts
from persistence.live.store import LiveStore, open_store
from persistence.writeback.leases import RANGES, Leases, buckets_of
from tests.support.plain_keys import FLUSHERS_KEY
from tests.support.saving_world import until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.support.servers import ValkeyServer

LEASE_MS = 400


@pytest.fixture
async def store(own_valkey: ValkeyServer) -> AsyncIterator[LiveStore]:
    """A Redis of one test's own."""
    async with open_store(own_valkey.url, "test", load_scripts()) as store:
        yield store


async def settled(*flushers: Leases) -> list[frozenset[int]]:
    """Let flushers renew until each holds an even share of all ranges; return the shares."""
    shares: list[frozenset[int]] = []

    async def even() -> bool:
        for flusher in flushers:
            await flusher.keep()
        shares[:] = [flusher.ranges for flusher in flushers]  # a moment later they may have run out
        return sum(map(len, shares)) == RANGES and max(map(len, shares)) <= -(-RANGES // len(flushers))

    await until(even)
    return shares


def test_the_ranges_cover_every_bucket_once() -> None:
    """Nobody's sessions are forgotten."""
    assert list(range(BUCKETS)) == buckets_of(range(RANGES))


async def test_one_flusher_takes_everything_at_once(store: LiveStore) -> None:
    """Alone, its share is all."""
    leases = Leases(store, "a")
    await leases.keep()
    assert len(leases.ranges) == RANGES
    assert len(leases.buckets) == BUCKETS


@pytest.mark.parametrize("count", [2, 3, 5])
async def test_several_share_evenly_and_without_overlap(store: LiveStore, count: int) -> None:
    """A newcomer gets its part from those who have more."""
    flushers = [Leases(store, f"f{n}", lease_ms=LEASE_MS) for n in range(count)]
    await flushers[0].keep()
    held = [number for share in await settled(*flushers) for number in share]
    assert sorted(held) == list(range(RANGES))


async def test_the_ranges_of_a_dead_flusher_are_taken_over(store: LiveStore) -> None:
    """Its leases run out by themselves."""
    alive, dead = Leases(store, "alive", lease_ms=LEASE_MS), Leases(store, "dead", lease_ms=LEASE_MS)
    await settled(alive, dead)
    await settled(alive)
    assert dead.ranges == frozenset()


async def test_leases_given_back_are_free_at_once(store: LiveStore, own_valkey: ValkeyServer) -> None:
    """A flusher that stops in order leaves nothing behind."""
    leaving = Leases(store, "leaving", lease_ms=60_000)
    await leaving.keep()
    await leaving.give_back()
    assert leaving.ranges == frozenset()
    assert own_valkey.ask("ZCARD", FLUSHERS_KEY) == 0
    other = Leases(store, "other", lease_ms=60_000)
    await other.keep()
    assert len(other.ranges) == RANGES


async def test_a_lease_is_not_believed_beyond_its_time(store: LiveStore) -> None:
    """Who could not renew does not count on it."""
    leases = Leases(store, "a", lease_ms=50)
    await leases.keep()

    async def lapsed() -> bool:
        return not leases.ranges

    await until(lapsed)


async def test_renewing_costs_nothing_most_of_the_time(store: LiveStore, own_valkey: ValkeyServer) -> None:
    """Kept after each batch, it talks to Redis five times a lease."""
    leases = Leases(store, "a", lease_ms=60_000)
    await leases.keep()
    before = own_valkey.ask("INFO", "stats")
    for _ in range(100):
        await leases.keep()
    await asyncio.sleep(0)
    after = own_valkey.ask("INFO", "stats")
    assert isinstance(before, dict)
    assert isinstance(after, dict)
    assert after["total_commands_processed"] - before["total_commands_processed"] < 10


async def test_a_full_redis_still_grants_leases() -> None:
    """Or nothing could be flushed, and nothing would ever be freed."""
    from tests.support.servers import running_valkey  # noqa: PLC0415 - one test needs it

    with running_valkey("--maxmemory", "1") as server:
        async with open_store(server.url, "test", load_scripts()) as store:
            leases = Leases(store, "a")
            await leases.keep()
            assert len(leases.ranges) == RANGES
