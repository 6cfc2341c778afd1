"""A Redis that came back as another run with older sessions than PostgreSQL has."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from persistence.durable.rows import row_of_session
from persistence.recovery.cold_load import LoadingTotals
from persistence.recovery.reconcile import Reconciler
from tests.support.limits import LIMIT_S
from tests.support.plain_keys import PLAIN, channel, session_key
from tests.support.saving_world import TTL_S, SavingWorld, player, saving_world, until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.support.servers import ValkeyServer


@pytest.fixture
async def world(own_valkey: ValkeyServer, postgres_dsn: str) -> AsyncIterator[SavingWorld]:
    """A Redis and a database of one test's own."""
    async with saving_world(own_valkey.url, postgres_dsn) as world:
        yield world


def reconciler(world: SavingWorld) -> tuple[Reconciler, LoadingTotals]:
    """Make one with figures of its own."""
    totals = LoadingTotals()
    return Reconciler(world.store, world.pool, TTL_S, totals), totals


async def test_only_older_sessions_are_replaced_and_their_connections_told(world: SavingWorld) -> None:
    """Newer, equal and unsaved ones stay; so do keys that are no session, or name no player."""
    older, same, newer, unsaved, odd = await world.accounts(5)
    saved = [player(user, version=2000, money=7) for user in (older, same, newer, odd)]
    await world.writer().write([row_of_session(session) for session in saved])
    live = {older: 1999, same: 2000, newer: 2001, unsaved: 1000}
    await world.put(player(user, version=version, money=1) for user, version in live.items())
    await world.redis.set(session_key(odd), "text")
    await world.redis.set(f"{session_key(odd)}:notes", "an operator's")
    pubsub = world.redis.pubsub()
    await pubsub.execute_command("SSUBSCRIBE", channel(older))
    [(name, run_id)] = world.store.runs()
    each, totals = reconciler(world)
    assert await each.sweep(name, run_id) == 1
    assert player(older, version=2000, money=7) == await world.live(older)
    for user in (same, newer, unsaved):
        assert player(user, version=live[user], money=1) == await world.live(user)
    assert (totals.verified, totals.replaced) == (5, 1)
    assert older not in await world.marks()
    messages = [await pubsub.parse_response(timeout=LIMIT_S) for _ in range(2)]
    assert messages[1][2] == b"test reloaded 2000"
    await pubsub.aclose()  # type: ignore[no-untyped-call] # redis-py leaves it untyped


async def test_each_run_is_looked_through_once_by_one_process(
    world: SavingWorld, own_valkey: ValkeyServer
) -> None:
    """Of two that watch only one has the claim; when Redis restarts, the next run is another matter."""
    [user] = await world.accounts(1)
    await world.writer().write([row_of_session(player(user, version=2000))])
    await world.put([player(user, version=1999)])
    (one, one_totals), (other, other_totals) = reconciler(world), reconciler(world)
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(each.run()) for each in (one, other)]
        for rounds in (1, 2):
            if rounds == 2:
                await world.put([player(user, version=1999)])
                await asyncio.to_thread(own_valkey.kill)
                await asyncio.to_thread(own_valkey.start)

            async def replaced(expected: int = rounds) -> bool:
                return one_totals.replaced + other_totals.replaced == expected

            await until(replaced)
        await asyncio.sleep(1.5)
        for task in tasks:
            task.cancel()
    assert one_totals.verified + other_totals.verified == 2


async def test_a_claim_of_a_time_to_come_has_ended(world: SavingWorld) -> None:
    """One that lasts longer than claims do is of a clock that ran back: the next look takes the run over."""
    each, _ = reconciler(world)
    await world.redis.set(PLAIN.reconcile("run"), "another", px=86_400_000)
    assert [await each.claimed("run") for _ in range(2)] == [False, True]
