"""One batch of dirty sessions on its way to PostgreSQL, step by step.

A process may end between any two steps: a mark is taken back last, and only by version, so the next batch
repeats what was not finished.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Protocol

import structlog

from persistence.durable.rows import Row, row_of_hash
from persistence.live.forget import forget
from persistence.live.hashes import MalformedSessionError
from persistence.live.keys import bucket_of
from persistence.live.record import packed_version
from persistence.live.replies.status import Status, statuses_of
from persistence.live.store import expect
from persistence.recovery.restore import load_newer

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from game.session import UserId
    from persistence.durable.sessions import SessionWriter
    from persistence.live.keys import Bucket
    from persistence.live.store import LiveStore

_log = structlog.get_logger(__name__)

_MARKS_A_CALL: Final = 16


@dataclass(frozen=True, slots=True)
class Portions:
    """What is done in one go, and a click that comes now waits for.

    `hashes` are read from Redis, `rows` made of them, `calls` take back the marks of 16 sessions each, in
    Redis. `by_bucket`: those who wait are saved bucket by bucket, not the oldest first, since Redis takes
    back several marks of one bucket in one step.
    """

    hashes: int
    rows: int
    calls: int
    by_bucket: bool = False


GENTLE: Final = Portions(hashes=16, rows=16, calls=2)
"""A click waits for half a millisecond."""
FAST: Final = Portions(hashes=128, rows=32, calls=4)
"""A click waits for a millisecond."""
BULK: Final = Portions(hashes=256, rows=64, calls=64, by_bucket=True)
"""For a command that does nothing else, over several connections. Redis syncs its file for many more marks at
once, and a click waits for all of them."""
BULK_CONNECTIONS: Final = 4
"""Connections to Redis for BULK: of each, Redis reads the marks of some 260 sessions before it syncs."""


@dataclass(slots=True)
class Batch:
    """Sessions as they were read: rows, users `without` a session, and those that cannot be read (`bad`)."""

    read_ms: int
    portions: Portions = FAST
    rows: list[Row] = field(default_factory=list)
    without: list[UserId] = field(default_factory=list)
    bad: dict[UserId, str] = field(default_factory=dict)

    @property
    def users(self) -> list[UserId]:
        """Everybody in it."""
        return [*(row.user_id for row in self.rows), *self.without, *self.bad]


@dataclass(slots=True)
class BatchOutcome:
    """What became of a batch of `size` rows.

    `saved` sessions are in PostgreSQL, `again` of these have changed since and stay marked. `gone`: their
    account was deleted, so they were. `vanished`: a mark without a session. `reloaded`: PostgreSQL was
    ahead, Redis has its version now. `bad`: cannot be saved, for the reason given. The marks
    of the `undone` may stand: the next pass looks again. `write_s` is what PostgreSQL took.
    """

    size: int = 0
    saved: int = 0
    again: int = 0
    vanished: int = 0
    gone: int = 0
    reloaded: int = 0
    bad: dict[UserId, str] = field(default_factory=dict)
    undone: set[UserId] = field(default_factory=set)
    write_s: float = 0.0


class BatchSaver(Protocol):
    """What a flusher saves with: a Saver, or one that traces its writes."""

    @property
    def store(self) -> LiveStore:
        """The way to Redis."""

    async def collect(self, user_ids: Sequence[UserId], read_ms: int, portions: Portions = FAST) -> Batch:
        """Read sessions as they are now; see Saver."""

    async def write(self, batch: Batch) -> BatchOutcome:
        """Write a batch to PostgreSQL and take back its marks; see Saver."""


class Saver:
    """Saves batches of sessions. A clean one stays in Redis for `session_ttl_s` unless it is touched."""

    def __init__(self, store: LiveStore, writer: SessionWriter, session_ttl_s: int) -> None:
        self.store = store
        self._writer = writer
        self._ttl_s = session_ttl_s
        self._writing = asyncio.Lock()

    async def save(self, user_ids: Sequence[UserId], read_ms: int) -> BatchOutcome:
        """Save sessions as they are now: `collect` and `write` in one."""
        return await self.write(await self.collect(user_ids, read_ms))

    async def collect(self, user_ids: Sequence[UserId], read_ms: int, portions: Portions = FAST) -> Batch:
        """Read sessions as they are now; `read_ms` is Redis' time at some moment before.

        Raises LiveUnavailable.
        """
        batch = Batch(read_ms, portions)
        for at in range(0, len(user_ids), portions.hashes):
            some = user_ids[at : at + portions.hashes]
            read = list(zip(some, await self.store.hashes(some), strict=True))
            for first in range(0, len(read), portions.rows):
                if first:
                    await asyncio.sleep(0)
                for user_id, fields in read[first : first + portions.rows]:
                    _put(batch, user_id, fields)
        return batch

    async def write(self, batch: Batch) -> BatchOutcome:
        """Write a batch to PostgreSQL and take back the marks of what it now has.

        Safe to repeat, and by two processes at once. Raises LiveUnavailable or DurableUnavailable: the
        marks that were not taken back stand, so collect and write again.
        """
        rows = batch.rows
        outcome = BatchOutcome(size=len(rows), bad=batch.bad)
        # While this batch waits for its turn or takes back its marks, PostgreSQL has another's rows.
        async with self._writing:
            started_s = asyncio.get_running_loop().time()
            result = await self._writer.write(rows)
            outcome.write_s = asyncio.get_running_loop().time() - started_s
        outcome.bad.update(result.bad)
        outcome.undone.update(row.user_id for row in rows)
        outcome.undone -= result.saved | result.gone | result.bad.keys()
        outcome.saved = len(result.saved)
        written = {row.user_id: row.version for row in rows if row.user_id in result.saved}
        written.update(dict.fromkeys(batch.without, 0))
        await self._take_back(written, batch, outcome)
        if result.gone:
            await self._delete(sorted(result.gone), outcome)
        if result.ahead:
            await self._reload(result.ahead, outcome)
        return outcome

    async def _take_back(self, written: Mapping[UserId, int], batch: Batch, outcome: BatchOutcome) -> None:
        """Clear marks by version; a version of 0 clears that of a session which is not there."""
        calls = []
        named = self.store.keys
        for bucket, group in self.store.groups(written, bucket_of, _MARKS_A_CALL):
            by_bucket: dict[Bucket, list[UserId]] = {}
            for user_id in group:
                by_bucket.setdefault(bucket_of(user_id), []).append(user_id)
            keys: list[str] = []
            args: list[int | bytes] = [self._ttl_s, batch.read_ms]
            for each, user_ids in by_bucket.items():
                keys.append(named.dirty(each))
                keys += map(named.session, user_ids)
                args.append(len(user_ids))
                for user_id in user_ids:
                    args += (user_id, packed_version(written[user_id]))
            calls.append(self.store.script("clean", bucket, keys, args))
        for at in range(0, len(calls), batch.portions.calls):
            for reply in await self.store.run(calls[at : at + batch.portions.calls]):
                statuses = statuses_of(expect(reply, list))
                outcome.again += statuses.count(Status.DIRTY)
                outcome.vanished += statuses.count(Status.GONE)

    async def _delete(self, user_ids: Sequence[UserId], outcome: BatchOutcome) -> None:
        await forget(self.store, *user_ids)
        outcome.gone += len(user_ids)
        _log.info("sessions_of_deleted_accounts_removed", count=len(user_ids))

    async def _reload(self, ahead: dict[UserId, int], outcome: BatchOutcome) -> None:
        """Put PostgreSQL's newer sessions in place of older ones: Redis lost its last seconds."""
        async with self._writing:
            records = await self._writer.read(ahead)
        for user_id, status in (await load_newer(self.store, records, self._ttl_s)).items():
            if status is Status.LOADED:
                outcome.reloaded += 1
                _log.warning("session_replaced_by_newer", user=user_id, version=ahead[user_id])


def _put(batch: Batch, user_id: UserId, fields: dict[bytes, bytes] | str) -> None:
    """Add what was read of a user to a batch."""
    if isinstance(fields, str):
        batch.bad[user_id] = fields
    elif not fields:
        batch.without.append(user_id)
    else:
        try:
            batch.rows.append(row_of_hash(user_id, fields))
        except MalformedSessionError as error:
            batch.bad[user_id] = error.reason
