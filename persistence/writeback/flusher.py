"""Write-behind: dirty sessions from Redis to PostgreSQL, the oldest first.

Runs in every server process; each holds leases on its share of the buckets. `python -m persistence.flusher`
runs one alone, with `FLUSHER=off` at the servers in their place.
"""

from __future__ import annotations

import asyncio
import random
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, NamedTuple

import structlog

from persistence.errors import LiveUnavailable, StorageUnavailable, one_line
from persistence.writeback.batch import FAST, GENTLE
from persistence.writeback.marks import EVERY_BUCKET, Due, make_due, read_due
from persistence.writeback.quarantine import Quarantine
from runtime.stopping import end_tasks

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Sequence

    from game.session import UserId
    from persistence.live.keys import Bucket
    from persistence.writeback.batch import Batch, BatchOutcome, BatchSaver, Portions
    from persistence.writeback.leases import Leases

_log = structlog.get_logger(__name__)

_LEAST_BATCH: Final = 16
_MOST_BATCH: Final = 1024
_MOST_WHILE_PLAYED: Final = 256
"""A large batch is faster, and takes the core from clicks for longer at a time."""
_FIRST_BATCH: Final = 256
_MARKS_A_LOOK: Final = 16_384
"""Looking through a thousand buckets costs Redis milliseconds: it is done once for several batches."""
_LEAST_MARKS_A_BUCKET: Final = 4
_MOST_PASSED_OVER: Final = 1000
_BATCHES_AT_ONCE: Final = 2
"""PostgreSQL has the rows of one while the marks of the other are taken back."""
_DRAIN_LOOKS_EVERY_S: Final = 0.05
_DRAIN_TRUSTS_OTHERS_S: Final = 1.0
_GIVE_BACK_WITHIN_S: Final = 1.0
_GIVE_UP_WITHIN_S: Final = 1.0


@dataclass(frozen=True, slots=True)
class Pace:
    """How fast a flusher goes.

    A pass begins every `interval_s`. A batch is sized to take PostgreSQL `batch_s`. After a failure the
    next try comes after `retry_first_s`, twice as long each time up to `retry_most_s`, jittered down to
    half. While the game is played a batch is followed by a rest of `rest_share` of the time it took, so that
    a backlog of 100,000 costs a click less (`scripts.bench.draining`).
    """

    interval_s: float = 1.0
    batch_s: float = 0.25
    retry_first_s: float = 0.1
    retry_most_s: float = 2.0
    rest_share: float = 1.0


@dataclass(slots=True)
class FlushTotals:
    """What a flusher did since its start, and what it saw last; plain numbers, read by the metrics.

    `written` sessions, `reloaded` ones that PostgreSQL had newer, `gone` ones of deleted accounts,
    `vanished` marks without a session, `set_aside` refusals of single sessions, `failures` of whole
    batches, `failing` of them in a row until now. `batches` went through, for which PostgreSQL took
    `write_s` in all. `dirty` and `oldest_age_ms` are those of the buckets that this flusher holds,
    `rate_per_s` that of its last pass.
    """

    written: int = 0
    reloaded: int = 0
    gone: int = 0
    vanished: int = 0
    set_aside: int = 0
    failures: int = 0
    failing: int = 0
    batches: int = 0
    write_s: float = 0.0
    last_error: str = ""
    dirty: int = 0
    oldest_age_ms: int = 0
    rate_per_s: float = 0.0


@dataclass(slots=True)
class _Pass:
    """What a pass has before it.

    `waiting`: users whose marks were seen as of `seen_ms` and that no batch has taken yet; `all_seen`: there
    are no others. `undone`: tried before. `writing`: batches on their way to PostgreSQL, the oldest first.
    Marks after `until_ms` belong to the next pass. `standing` counts the marks that are known to stay.
    """

    waiting: deque[UserId] = field(default_factory=deque)
    all_seen: bool = False
    standing: int = 0
    seen_ms: int = 0
    until_ms: int | None = None
    undone: set[UserId] = field(default_factory=set)
    writing: deque[_Writing] = field(default_factory=deque)

    @property
    def being_written(self) -> set[UserId]:
        """Whose sessions are on their way to PostgreSQL."""
        return {user_id for each in self.writing for user_id in each.users}

    @property
    def passed_over(self) -> set[UserId]:
        """Whose marks may stand without another batch taking them."""
        return self.undone | self.being_written


class _Writing(NamedTuple):
    """A batch on its way to PostgreSQL: whose sessions it has, and what becomes of it."""

    users: list[UserId]
    outcome: asyncio.Task[BatchOutcome]


class Flusher:
    """Flushes the buckets it holds leases on; without `leases`, those that it is given.

    Call `run` in a supervised task; at the end set its event, await it, then call `drain`. `played`
    returns a number that grows with the requests of players whom this process serves; while it stands still,
    `portions` are done in one go.
    """

    def __init__(
        self,
        saver: BatchSaver,
        leases: Leases | None = None,
        pace: Pace | None = None,
        played: Callable[[], int] = lambda: 0,
        *,
        portions: Portions = FAST,
        buckets: Sequence[Bucket] = EVERY_BUCKET,
    ) -> None:
        self._saver = saver
        self._buckets = buckets
        self._store = saver.store
        self._leases = leases
        self._pace = pace or Pace()
        self._played = played
        self._portions = portions
        self._gently = False
        """Players were served while the last batch was on its way."""
        self._quarantine = Quarantine()
        self._one_pass = asyncio.Lock()
        self._batch = _FIRST_BATCH
        self._marked_buckets = 0
        self.totals = FlushTotals()

    async def run(self, stop: asyncio.Event) -> None:
        """Flush until `stop` is set. PostgreSQL or Redis being away is waited for, as long as it takes."""
        failures_in_a_row = 0
        while not stop.is_set():
            started_s = _now_s()
            try:
                await self.flush_once()
            except StorageUnavailable as error:
                failures_in_a_row += 1
                self._failed(error, failures_in_a_row)
                limit_s = self._pace.retry_first_s * 2 ** min(failures_in_a_row - 1, 16)
                wait_s = min(limit_s, self._pace.retry_most_s) * random.uniform(0.5, 1)  # noqa: S311 - jitter
            else:
                if failures_in_a_row:
                    _log.info("flush_recovered", failures=failures_in_a_row, dirty=self.totals.dirty)
                failures_in_a_row = self.totals.failing = 0
                # Uneven periods: flushers that started together drift apart.
                wait_s = self._pace.interval_s * random.uniform(0.8, 1) - (_now_s() - started_s)  # noqa: S311
            try:
                async with asyncio.timeout(max(0.0, wait_s)):
                    await stop.wait()
            except TimeoutError:
                continue

    async def flush_once(self, on_batch: Callable[[int], None] = lambda _: None) -> int:
        """Save every session of its buckets that is dirty now; returns how many were written.

        `on_batch` hears of each batch's writes. Sessions in quarantine wait for their next try. Raises
        StorageUnavailable: what was not written stays marked, so call again.
        """
        return await self._pass(self._held_buckets, on_batch, rests=True)

    async def drain(self, limit_s: float) -> int:
        """Save every session that is dirty now, at the end of the process, and give the leases back.

        Begins with its own buckets. What others hold is left to them for a second, then saved from here
        too: a holder may be dead. Returns 0 when all is saved, or how many marks stood when `limit_s` ran
        out: they are safe in Redis.
        """
        left, until_ms, failures = 0, None, 0
        end_s = _now_s() + limit_s
        alone_s = _now_s() + _DRAIN_TRUSTS_OTHERS_S
        while _now_s() < end_s:
            try:
                async with asyncio.timeout_at(end_s):
                    due = await read_due(self._store, EVERY_BUCKET, self._passed_over() + 1, until_ms)
                    until_ms = until_ms or due.now_ms
                    left = due.dirty if any(mark.user_id not in self._quarantine for mark in due.marks) else 0
                    if not left:
                        break
                    await self._pass(self._held_buckets if _now_s() < alone_s else _every_bucket)
                    await asyncio.sleep(_DRAIN_LOOKS_EVERY_S)
            except (StorageUnavailable, TimeoutError) as error:
                failures += 1
                self._failed(error, failures)
                await asyncio.sleep(_DRAIN_LOOKS_EVERY_S)
        if self._leases is not None:
            try:
                async with asyncio.timeout(_GIVE_BACK_WITHIN_S):
                    await self._leases.give_back()
            except (LiveUnavailable, TimeoutError) as error:
                _log.info("lease_release_failed", error=one_line(error))
        return left

    async def _pass(
        self,
        buckets: Callable[[], Awaitable[Sequence[Bucket]]],
        on_batch: Callable[[int], None] = lambda _: None,
        *,
        rests: bool = False,
    ) -> int:
        """Save the dirty sessions of some buckets.

        While one batch is read, PostgreSQL writes the one before, and the marks of the one before that are
        taken back; while the game is played, the reading alone goes on beside a batch.
        """
        async with self._one_pass:
            self._gently &= rests
            before, began_s = self.totals.written, _now_s()
            present = _Pass()
            writing = present.writing
            try:
                while True:
                    batch_began_s, played = _now_s(), self._played()
                    batch = await self._collect(await buckets(), present)
                    if not (batch.users or writing):
                        break
                    at_once = 1 if self._gently else _BATCHES_AT_ONCE
                    resting = bool(writing)
                    while writing and (len(writing) >= at_once or not batch.users):
                        await self._finish(present, on_batch)
                    if resting:
                        self._gently = rests and self._played() != played
                    if resting and self._gently:
                        await asyncio.sleep(self._pace.rest_share * (_now_s() - batch_began_s))
                    if batch.users:
                        task = asyncio.create_task(self._saver.write(batch), name="flush")
                        writing.append(_Writing(batch.users, task))
            finally:
                await self._end(writing)
            if present.all_seen:
                self.totals.dirty = present.standing
                if not present.standing:
                    self.totals.oldest_age_ms = 0
            written = self.totals.written - before
            self.totals.rate_per_s = written / max(_now_s() - began_s, 1e-6)
            return written

    async def _finish(self, present: _Pass, on_batch: Callable[[int], None]) -> None:
        """Wait for the oldest batch that is being written."""
        oldest = next(iter(present.writing))
        outcome = await oldest.outcome
        present.writing.popleft()
        self._account(oldest.users, outcome)
        # Tried once a pass: what could not be done now waits for the next.
        present.undone |= outcome.undone
        present.standing += outcome.again + len(outcome.undone) + len(outcome.bad)
        on_batch(outcome.saved)

    async def _end(self, writing: Iterable[_Writing]) -> None:
        """End batches in the middle, whose marks stand then; count those that are through."""
        await end_tasks([each.outcome for each in writing], _GIVE_UP_WITHIN_S)
        for users, task in writing:
            if task.done() and not task.cancelled() and task.exception() is None:
                self._account(users, task.result())

    async def _held_buckets(self) -> Sequence[Bucket]:
        if self._leases is None:
            return self._buckets
        await self._leases.keep()
        return self._leases.buckets

    async def _collect(self, buckets: Sequence[Bucket], present: _Pass) -> Batch:
        """Read the next batch of a pass, none at its end."""
        if not (present.waiting or present.all_seen):
            await self._look(buckets, present)
        waiting = present.waiting
        most = min(self._batch, _MOST_WHILE_PLAYED) if self._gently else self._batch
        users = [waiting.popleft() for _ in range(min(most, len(waiting)))]
        return await self._saver.collect(users, present.seen_ms, GENTLE if self._gently else self._portions)

    async def _look(self, buckets: Sequence[Bucket], present: _Pass) -> None:
        """See who waits.

        Marks made after a pass's first look wait for the next pass. So do those that this pass moved to the
        moment of that look, because their players went on.
        """
        passed_over = present.passed_over
        most = self._marks_a_bucket(len(passed_over))
        due = await read_due(self._store, buckets, most, present.until_ms)
        if due.ahead:
            since_ms = due.now_ms - 1 if present.until_ms is None else min(due.now_ms, present.until_ms)
            await make_due(self._store, buckets, since_ms)
            due = await read_due(self._store, buckets, most, present.until_ms)
        self._saw(due)
        until_ms = due.now_ms if present.until_ms is None else present.until_ms
        present.seen_ms = due.now_ms
        present.until_ms = until_ms - (present.until_ms is None)
        now_s = _now_s()
        present.all_seen = due.complete
        present.waiting.extend(
            mark.user_id
            for mark in (due.marks if self._portions.by_bucket else due.oldest_first())
            if mark.since_ms <= until_ms
            and mark.user_id not in passed_over
            and not self._quarantine.waits(mark.user_id, now_s)
        )
        written = present.being_written
        present.standing = sum(mark.user_id not in written for mark in due.marks) - len(present.waiting)

    def _marks_a_bucket(self, passed_over: int) -> int:
        """How many marks to read of each bucket to fill some batches, with those that will be passed over."""
        wanted = (_MARKS_A_LOOK + passed_over) * 5 // (4 * max(1, self._marked_buckets))
        return wanted + _LEAST_MARKS_A_BUCKET + self._passed_over()

    def _passed_over(self) -> int:
        return min(len(self._quarantine), _MOST_PASSED_OVER)

    def _saw(self, due: Due) -> None:
        self._marked_buckets = due.buckets
        self.totals.dirty = due.dirty
        self.totals.oldest_age_ms = due.oldest_age_ms

    def _account(self, users: Iterable[UserId], outcome: BatchOutcome) -> None:
        totals = self.totals
        totals.batches += 1
        totals.write_s += outcome.write_s
        totals.written += outcome.saved
        totals.reloaded += outcome.reloaded
        totals.gone += outcome.gone
        totals.vanished += outcome.vanished
        now_s = _now_s()
        for user_id in users if self._quarantine else ():
            if user_id not in outcome.bad:
                self._quarantine.forget(user_id)
        for user_id, reason in outcome.bad.items():
            totals.set_aside += 1
            totals.last_error = reason
            self._quarantine.add(user_id, now_s)
            _log.error("session_quarantined", user=user_id, reason=reason)
        if outcome.write_s > self._pace.batch_s or outcome.size * 2 > self._batch:
            fitting = int(outcome.size * self._pace.batch_s / max(outcome.write_s, 1e-6))
            fitting = min(max(fitting, self._batch // 2), self._batch * 2)
            self._batch = min(max(fitting, _LEAST_BATCH), _MOST_BATCH)

    def _failed(self, error: Exception, in_a_row: int) -> None:
        self.totals.failures += 1
        self.totals.failing = in_a_row
        self.totals.last_error = one_line(error)
        # What did not work at this size may work at a smaller one: PostgreSQL may be slow, not away.
        self._batch = max(self._batch // 2, _LEAST_BATCH)
        if in_a_row & (in_a_row - 1) == 0:  # the 1st, 2nd, 4th, 8th…: an outage may last for hours
            _log.warning("flush_failed", error=one_line(error), in_a_row=in_a_row, dirty=self.totals.dirty)


async def _every_bucket() -> Sequence[Bucket]:
    return EVERY_BUCKET


def _now_s() -> float:
    return asyncio.get_running_loop().time()
