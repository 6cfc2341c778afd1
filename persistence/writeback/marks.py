"""The dirty marks: who waits to be saved, and since when."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice
from operator import attrgetter
from typing import TYPE_CHECKING, Final

from persistence.live.keys import BUCKETS, Bucket
from persistence.live.replies.upkeep import due_reply
from persistence.live.store import call, expect

if TYPE_CHECKING:
    from collections.abc import Sequence

    from persistence.live.replies.upkeep import DueMark
    from persistence.live.store import LiveStore

EVERY_BUCKET: Final = tuple(map(Bucket, range(BUCKETS)))
_BUCKETS_A_CALL: Final = 64
_CALLS_AT_ONCE: Final = 2
_KEYS_AT_ONCE: Final = 512
_MOVED_A_BUCKET: Final = 64


@dataclass(frozen=True, slots=True)
class Due:
    """The marks of some buckets as of `now_ms`, Redis' time.

    `dirty` counts all marks, `ahead` those of a time to come, `buckets` those with
    any; `oldest_age_ms` is 0 without one. `marks` are the oldest marks of each bucket, bucket by bucket.
    """

    now_ms: int
    dirty: int
    ahead: int
    buckets: int
    oldest_age_ms: int
    marks: list[DueMark]

    @property
    def complete(self) -> bool:
        """Whether `marks` are all that there were, and none is of a time to come."""
        return len(self.marks) == self.dirty and not self.ahead

    def oldest_first(self) -> list[DueMark]:
        """List the marks in the order in which they were set."""
        return sorted(self.marks, key=attrgetter("since_ms"))


async def read_due(
    store: LiveStore, buckets: Sequence[Bucket], most: int, until_ms: int | None = None
) -> Due:
    """Read up to `most` of the oldest marks of each bucket, without those set after `until_ms`.

    Raises LiveUnavailable.
    """
    until = "+inf" if until_ms is None else until_ms
    groups = [
        (bucket, [store.keys.dirty(each) for each in group])
        for bucket, group in store.groups(buckets, Bucket, _BUCKETS_A_CALL)
    ]
    # Without any marks, one group is asked for the time.
    asked = await _with_marks(store, groups) or list(islice(groups, 1))
    calls = [store.script("due", bucket, keys, (until, most)) for bucket, keys in asked]
    replies: list[object] = []
    for at in range(0, len(calls), _CALLS_AT_ONCE):
        replies += await store.run(calls[at : at + _CALLS_AT_ONCE])
    now_ms, dirty, ahead, marked, oldest_ms = 0, 0, 0, 0, 0
    marks: list[DueMark] = []
    for reply in replies:
        read = due_reply(expect(reply, list))
        now_ms = max(now_ms, read.now_ms)
        for bucket in read.buckets:
            dirty += bucket.dirty
            ahead += bucket.ahead
            marked += 1
            oldest_ms = min(oldest_ms or bucket.oldest_ms, bucket.oldest_ms)
            marks += bucket.marks
    return Due(now_ms, dirty, ahead, marked, max(0, now_ms - oldest_ms) if dirty else 0, marks)


async def _with_marks(
    store: LiveStore, groups: Sequence[tuple[Bucket, list[str]]]
) -> list[tuple[Bucket, list[str]]]:
    """Leave out groups without any marks: mostly all, and the script takes far more of Redis for each."""
    at_once = _KEYS_AT_ONCE // max((len(keys) for _, keys in groups), default=1)
    counts: list[object] = []
    for at in range(0, len(groups), at_once):
        counts += await store.run(
            [call(bucket, "EXISTS", *keys) for bucket, keys in groups[at : at + at_once]]
        )
    return [group for group, count in zip(groups, counts, strict=True) if expect(count, int)]


async def make_due(store: LiveStore, buckets: Sequence[Bucket], since_ms: int) -> None:
    """Let marks of a time to come count from `since_ms`, some of each bucket: Redis' clock ran back.

    Safe to repeat. Raises LiveUnavailable.
    """
    for bucket, group in store.groups(buckets, Bucket, _BUCKETS_A_CALL):
        keys = [store.keys.dirty(each) for each in group]
        [reply] = await store.run([store.script("overdue", bucket, keys, (since_ms, _MOVED_A_BUCKET))])
        expect(reply, int)
