"""The dirty marks: who waits to be saved, and since when."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, cast

from game.session import UserId
from persistence.live.keys import BUCKETS, Bucket, dirty_key
from persistence.live.store import expect

if TYPE_CHECKING:
    from collections.abc import Sequence

    from persistence.live.store import LiveStore

EVERY_BUCKET: Final = tuple(map(Bucket, range(BUCKETS)))
_BUCKETS_A_CALL: Final = 64
_CALLS_AT_ONCE: Final = 4


@dataclass(frozen=True, slots=True)
class Due:
    """The marks of some buckets as of `now_ms`, Redis' time.

    `dirty` counts all marks, `buckets` those with any; `oldest_age_ms` is 0 without one. `users` are the
    oldest marks of each bucket, the oldest of all first: user id and the moment of the mark (ms).
    """

    now_ms: int
    dirty: int
    buckets: int
    oldest_age_ms: int
    users: list[tuple[UserId, int]]


async def read_due(
    store: LiveStore, buckets: Sequence[Bucket], most: int, until_ms: int | None = None
) -> Due:
    """Read up to `most` of the oldest marks of each bucket, without those set after `until_ms`.

    Raises LiveUnavailable.
    """
    until = "+inf" if until_ms is None else until_ms
    calls = [
        store.script("due", place, [dirty_key(bucket) for bucket in group], (until, most))
        for place, group in store.groups(buckets, Bucket, _BUCKETS_A_CALL)
    ]
    replies: list[object] = []
    for at in range(0, len(calls), _CALLS_AT_ONCE):
        replies += await store.run(calls[at : at + _CALLS_AT_ONCE])
    now_ms, dirty, marked, oldest_ms = 0, 0, 0, 0
    users: list[tuple[UserId, int]] = []
    for reply in replies:
        reply_ms, *lists = cast("list[int | list[int]]", expect(reply, list))
        now_ms = max(now_ms, cast("int", reply_ms))
        for count, since_ms, *marks in cast("list[list[int]]", lists):
            if count:
                dirty += count
                marked += 1
                oldest_ms = min(oldest_ms or since_ms, since_ms)
                users += ((UserId(marks[at]), marks[at + 1]) for at in range(0, len(marks), 2))
    users.sort(key=lambda mark: mark[1])
    return Due(now_ms, dirty, marked, max(0, now_ms - oldest_ms) if dirty else 0, users)
