"""Sessions from PostgreSQL into Redis, in bulk: never over one that is as new, but over an older one."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeVar

from persistence.durable.copied import PackedHash
from persistence.durable.rows import SavedHash, hash_of_record
from persistence.durable.sessions import iterate_hashes, load_records
from persistence.live.keys import bucket_of
from persistence.live.replies.status import Status, statuses_of
from persistence.live.store import expect

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from game.session import UserId
    from persistence.durable.pool import Pool, Record
    from persistence.live.keys import Bucket
    from persistence.live.store import Call, LiveStore

_Hash = TypeVar("_Hash", SavedHash, PackedHash)

_SESSIONS_A_CALL: Final = 16
_CALLS_AT_ONCE: Final = 16
_BATCH: Final = 1000
# While one reads from PostgreSQL and one packs, Redis works for the third.
_LEAST_WORKERS: Final = 3
RESTORE_CONNECTIONS: Final = 12
"""Connections to Redis for a restore of all sessions: six restore 1.1 to 1.5 times as many a second as one,
twelve 1.0 to 1.2 times as many as six. A click behind them waits for 250 sessions of each: 5 ms."""


@dataclass(slots=True)
class Restored:
    """How many sessions were `loaded`, `kept` as they were (as new or newer), or refused by a full Redis."""

    loaded: int = 0
    kept: int = 0
    refused: int = 0

    @property
    def seen(self) -> int:
        """How many saved sessions were read."""
        return self.loaded + self.kept + self.refused


async def load_newer(store: LiveStore, records: Sequence[Record], session_ttl_s: int) -> dict[UserId, Status]:
    """Load saved sessions where Redis has none or an older one; their connections elsewhere are notified.

    Returns LOADED, EXISTS (as new or newer) or REFUSED (by a full Redis) for each. Each session is one atomic
    step; safe to repeat. Raises LiveUnavailable: some may be loaded, call again.
    """
    return await _load(store, [hash_of_record(record) for record in records], session_ttl_s)


async def load_missing(
    store: LiveStore, hashes: Sequence[PackedHash], session_ttl_s: int
) -> dict[UserId, Status]:
    """Do what `load_newer` does, cheapest where Redis has nothing of most players."""

    def call(bucket: Bucket, group: Sequence[PackedHash]) -> Call:
        keys = [store.keys.session(user_id) for user_id, _ in group]
        return store.script("restore", bucket, keys, [session_ttl_s, *(packed for _, packed in group)])

    outcome_of = await _run(store, hashes, call)
    older = [each.unpacked() for each in hashes if outcome_of[each.user_id] is Status.BEHIND]
    if older:
        outcome_of |= await _load(store, older, session_ttl_s)
    return outcome_of


async def _load(store: LiveStore, hashes: Sequence[SavedHash], session_ttl_s: int) -> dict[UserId, Status]:
    """Load sessions over what may be there."""
    named = store.keys

    def call(bucket: Bucket, group: Sequence[SavedHash]) -> Call:
        keys: list[str] = []
        args: list[str | bytes | int] = ["newer", session_ttl_s, store.origin]
        for user_id, version, fields in group:
            keys += (named.session(user_id), named.load(user_id), named.dirty(bucket_of(user_id)))
            args += (user_id, named.channel(user_id), "", version, len(fields), *fields)
        return store.script("load", bucket, keys, args)

    return await _run(store, hashes, call)


async def _run(
    store: LiveStore, hashes: Sequence[_Hash], call: Callable[[Bucket, Sequence[_Hash]], Call]
) -> dict[UserId, Status]:
    """Call a script for some sessions at a time; return what it replied for each."""
    outcome_of: dict[UserId, Status] = {}
    groups = store.groups(hashes, lambda saved: bucket_of(saved.user_id), _SESSIONS_A_CALL)
    for at in range(0, len(groups), _CALLS_AT_ONCE):
        some = groups[at : at + _CALLS_AT_ONCE]
        replies = await store.run([call(bucket, group) for bucket, group in some])
        for (_, group), reply in zip(some, replies, strict=True):
            # A full Redis refuses a call as a whole, before it does anything.
            refused = not isinstance(reply, list)
            outcomes = [Status.REFUSED] * len(group) if refused else statuses_of(expect(reply, list))
            outcome_of.update(zip((saved.user_id for saved in group), outcomes, strict=True))
    return outcome_of


async def restore(
    store: LiveStore,
    pool: Pool,
    session_ttl_s: int,
    *,
    active_since: datetime | None = None,
    on_progress: Callable[[Restored], None] = lambda _: None,
) -> Restored:
    """Load all saved sessions, or those saved since a moment. Safe to repeat and to interrupt.

    Raises LiveUnavailable or DurableUnavailable: what was loaded until then stays.
    """
    restored = Restored()
    batches = iterate_hashes(pool, active_since=active_since, batch=_BATCH)
    reading = asyncio.Lock()

    async def work() -> None:
        while True:
            async with reading:
                hashes = await anext(batches, None)
            if hashes is None:
                return
            _count(restored, await load_missing(store, hashes, session_ttl_s))
            on_progress(restored)

    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(max(store.connections, _LEAST_WORKERS)):
                group.create_task(work())
    except BaseExceptionGroup as failures:
        # One is enough to say what to do, and the workers fail alike.
        failure, *_ = failures.exceptions
        raise failure from None
    return restored


async def restore_users(
    store: LiveStore, pool: Pool, session_ttl_s: int, user_ids: Sequence[UserId]
) -> Restored:
    """Load the saved sessions of some users; those who have none are passed over."""
    restored = Restored()
    records = [record for record in await load_records(pool, user_ids) if record["user_id"] is not None]
    _count(restored, await load_newer(store, records, session_ttl_s))
    return restored


def _count(restored: Restored, outcome_of: dict[UserId, Status]) -> None:
    outcomes = list(outcome_of.values())
    restored.loaded += outcomes.count(Status.LOADED)
    restored.kept += outcomes.count(Status.EXISTS)
    restored.refused += outcomes.count(Status.REFUSED)
