"""Redis and PostgreSQL held against each other, player by player, while the game goes on.

What may differ: a marked session, which is about to be saved. Everything else is a difference, and is looked
at again before it is believed. Income that nobody has asked for is in neither.
"""

from __future__ import annotations

import asyncio
import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from game.session import Session, UserId
from persistence.durable.rows import session_of_record
from persistence.durable.sessions import load_records
from persistence.live.hashes import MalformedSessionError, numbers_of, session_of
from persistence.live.keys import bucket_of
from persistence.live.record import saved_version
from persistence.live.replies.upkeep import Looked, look_reply
from persistence.live.store import expect
from persistence.writeback.marks import EVERY_BUCKET, read_due

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence

    from persistence.durable.pool import Pool, Record
    from persistence.live.store import LiveStore

_LOOKS: Final = 3
_LOOK_AGAIN_S: Final = 0.1
_OLD_MARKS_A_BUCKET: Final = 1000


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing that is not as it must be.

    `raise_version` is a version that a repair must raise for the fence to let the same state through, or 0.
    """

    user_id: UserId
    what: str
    raise_version: int = 0


@dataclass(slots=True)
class AuditTotals:
    """How many sessions were looked at in Redis, how many of these are marked, and how many things differ."""

    sessions: int = 0
    dirty: int = 0
    differences: int = 0


@dataclass(frozen=True, slots=True)
class _Live:
    """A session in Redis: its hash, its mark (ms) and its time to live (ms, -1: for ever)."""

    fields: dict[bytes, bytes] | str
    mark_ms: float | None
    ttl_ms: int


async def audit(
    store: LiveStore, pool: Pool, max_lag_s: float, totals: AuditTotals
) -> AsyncIterator[list[Difference]]:
    """Compare all sessions that Redis holds; yields the differences of each batch, often none.

    A mark older than `max_lag_s` is a difference; with 0 any mark is. Raises LiveUnavailable or
    DurableUnavailable: start again.
    """
    async for user_ids in store.scan_sessions():
        totals.sessions += len(user_ids)
        found = await _confirmed(store, pool, user_ids, totals)
        totals.differences += len(found)
        yield found
    old = await _old_marks(store, max_lag_s)
    totals.differences += len(old)
    yield old


async def repair(store: LiveStore, differences: Sequence[Difference]) -> None:
    """Mark what differs: the next flush writes it again or finds PostgreSQL ahead. Raises LiveUnavailable."""
    calls = []
    for difference in differences:
        user_id = difference.user_id
        keys = [store.keys.session(user_id), store.keys.dirty(bucket_of(user_id))]
        calls.append(store.script("mark", bucket_of(user_id), keys, [user_id, difference.raise_version]))
    for reply in await store.run(calls):
        expect(reply, list)


async def _confirmed(
    store: LiveStore, pool: Pool, user_ids: Sequence[UserId], totals: AuditTotals
) -> list[Difference]:
    """Compare some sessions, those that differ again: between two reads a player may have played on."""
    differences: list[Difference] = []
    for look in range(_LOOKS):
        # What PostgreSQL had before, Redis must have; what Redis believes it to have, it must have after.
        before = await _saved(pool, user_ids)
        live = await _read(store, user_ids)
        if look == 0:
            totals.dirty += sum(session.mark_ms is not None for session in live.values())
        user_ids = [suspect.user_id for suspect in _differences(user_ids, live, before, before)]
        if user_ids:
            differences = _differences(user_ids, live, before, await _saved(pool, user_ids))
            user_ids = [difference.user_id for difference in differences]
        if not user_ids:
            return []
        if look < _LOOKS - 1:
            await asyncio.sleep(_LOOK_AGAIN_S)
    return differences


async def _saved(pool: Pool, user_ids: Sequence[UserId]) -> dict[UserId, Record]:
    return {UserId(record["id"]): record for record in await load_records(pool, user_ids)}


async def _read(store: LiveStore, user_ids: Sequence[UserId]) -> dict[UserId, _Live]:
    """Read each session and its mark at one moment: who plays on is never seen half way."""
    calls = []
    for user_id in user_ids:
        bucket = bucket_of(user_id)
        keys = [store.keys.session(user_id), store.keys.dirty(bucket)]
        calls.append(store.script("look", bucket, keys, [user_id]))
    found = {}
    for user_id, reply in zip(user_ids, await store.run(calls), strict=True):
        looked = look_reply(expect(reply, list))
        if isinstance(looked, Looked):
            mark_ms = float(looked.mark) if looked.mark else None
            found[user_id] = _Live(looked.hash, mark_ms, looked.ttl)
        else:
            found[user_id] = _Live(looked.reason.decode(), None, -1)
    return found


def _differences(
    user_ids: Sequence[UserId],
    live: Mapping[UserId, _Live],
    before: Mapping[UserId, Record],
    after: Mapping[UserId, Record],
) -> list[Difference]:
    found = (
        _difference(user_id, live[user_id], before.get(user_id), after.get(user_id)) for user_id in user_ids
    )
    return [difference for difference in found if difference is not None]


def _difference(
    user_id: UserId, live: _Live, before: Record | None, record: Record | None
) -> Difference | None:
    """Say what is wrong with a session, or None; `before` and `record` were read before and after it."""
    if not live.fields:
        return None  # it left Redis meanwhile
    try:
        if isinstance(live.fields, str):
            return Difference(user_id, f"no session in Redis but: {live.fields}")
        session = session_of(user_id, live.fields)
        numbers = numbers_of(live.fields)
        saved = None if record is None or record["version"] is None else session_of_record(record)
    except MalformedSessionError as error:
        return Difference(user_id, f"cannot be read: {error.reason}")
    if record is None:
        return Difference(user_id, "in Redis, but there is no such account")
    newest = 0 if before is None else before["version"] or 0
    if newest > session.version:
        return Difference(user_id, f"PostgreSQL has version {newest}, Redis the older {session.version}")
    marked = live.mark_ms is not None
    if (numbers["dirty"] > 0) != marked:
        return Difference(
            user_id, f"a mark{'' if marked else ' is missing'} that its session does not know of"
        )
    if marked:
        return Difference(user_id, "dirty, but about to expire") if live.ttl_ms >= 0 else None
    return _clean_difference(session, saved, int(saved_version(session.version, numbers["dirty"])))


def _clean_difference(session: Session, saved: Session | None, noted: int) -> Difference | None:
    """Compare a session without a mark; `noted` is the version that Redis believes PostgreSQL to have."""
    user_id = session.user_id
    if saved is None:
        return Difference(user_id, "clean, but not in PostgreSQL")
    if saved.version > session.version:
        return None  # played on and saved since Redis was read
    if saved.version < noted:
        return Difference(user_id, f"clean, but PostgreSQL went back from {noted} to {saved.version}")
    names = [field.name for field in dataclasses.fields(Session)]
    differing = {name for name in names if getattr(session, name) != getattr(saved, name)}
    if session.version == saved.version and differing:
        listed = ", ".join(sorted(differing))
        return Difference(user_id, f"clean, but differs in {listed}", raise_version=session.version)
    if differing:
        return Difference(user_id, f"not marked, but changed in {', '.join(sorted(differing))}")
    return None


async def _old_marks(store: LiveStore, max_lag_s: float) -> list[Difference]:
    """Name those who wait for longer than they may, the first thousand of each bucket."""
    now_ms = (await read_due(store, EVERY_BUCKET, 0)).now_ms
    due = await read_due(store, EVERY_BUCKET, _OLD_MARKS_A_BUCKET, now_ms - int(max_lag_s * 1000))
    return [
        Difference(mark.user_id, f"dirty for {(now_ms - mark.since_ms) / 1000:.1f} s")
        for mark in due.oldest_first()
    ]
