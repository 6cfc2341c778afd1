"""Which lane the commands of each bucket take, and how a bucket changes its lane.

One lane at a time: what a bucket's new lane brings would overtake what its old one still holds back, or has
not been read from. Versions of a connection would go backwards, and a change that comes late would seem known
to those who were sent a newer one. So a bucket takes no lane until its old one has answered everything.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, NoReturn

from persistence.live.lane import Lane
from persistence.live.lane_contract import LaneDown

if TYPE_CHECKING:
    from collections.abc import Sequence

    from persistence.live.lane import Subscriber

OnArrived = Callable[[Lane, set[int]], None]
"""Called with a lane and the buckets that take it from now on."""


class BucketLanes:
    """The lane of each bucket. Between two lanes that is one that is down: commands wait as for a master."""

    def __init__(self, subscriber: Subscriber, on_arrived: OnArrived) -> None:
        self._between = Lane("between two masters", _no_connection, subscriber)
        self._on_arrived = on_arrived
        self._wanted: Sequence[Lane] = ()
        self.in_use: list[Lane] = []

    def assign(self, wanted: Sequence[Lane]) -> bool:
        """Give each bucket its lane: the first at once, another as soon as the old one has answered all.

        Returns whether some buckets left their lanes.
        """
        self._wanted = wanted
        if not self.in_use:
            self.in_use = list(wanted)
            return True
        left: dict[Lane, list[int]] = {}
        for bucket, (lane, other) in enumerate(zip(self.in_use, wanted, strict=True)):
            if lane is not other and lane is not self._between:
                left.setdefault(lane, []).append(bucket)
                self.in_use[bucket] = self._between
        for lane, buckets in left.items():
            # Called back too where the connection is lost: then nothing more comes of it.
            lane.behind(partial(self._arrive, buckets))
        return bool(left)

    def hears(self, lane: Lane, bucket: int) -> bool:
        """Say whether what a lane hears of a bucket counts: until the bucket has taken another lane."""
        return self.in_use[bucket] in {lane, self._between}

    def _arrive(self, buckets: Sequence[int], _executed: bool) -> None:
        arrived: dict[Lane, set[int]] = {}
        for bucket in buckets:
            lane = self.in_use[bucket] = self._wanted[bucket]
            arrived.setdefault(lane, set()).add(bucket)
        for lane, those in arrived.items():
            self._on_arrived(lane, those)


async def _no_connection() -> NoReturn:
    raise LaneDown("between two masters")
