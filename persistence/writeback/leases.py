"""Who flushes which buckets: leases in Redis, shared evenly among the flushers that live.

A lease saves work, it guards nothing: the fence by version does. So a flusher that lost a lease while it was
stopped, and does not know, does no harm.
"""

from __future__ import annotations

import asyncio
import random
from typing import TYPE_CHECKING, Final

from persistence.live.keys import BUCKETS, Bucket
from persistence.live.replies.upkeep import lease_reply
from persistence.live.store import expect

if TYPE_CHECKING:
    from collections.abc import Iterable

    from persistence.live.store import Call, LiveStore

RANGES: Final = 64
BUCKETS_A_RANGE: Final = BUCKETS // RANGES
LEASE_MS: Final = 5000
_RENEWALS_A_LEASE: Final = 5


class Leases:
    """The ranges of buckets that one flusher holds. `owner` must be unique among all flushers.

    Call `keep` often; it talks to Redis at most five times a lease. `give_back` at the end.
    """

    def __init__(self, store: LiveStore, owner: str, *, lease_ms: int = LEASE_MS) -> None:
        self._store = store
        self._owner = owner
        self._lease_ms = lease_ms
        self._held: frozenset[int] = frozenset()
        self._kept_s = float("-inf")
        # Flushers that start together try the ranges in different orders.
        self._order = sorted(range(RANGES), key=lambda _: random.random())  # noqa: S311 - no secret

    @property
    def ranges(self) -> frozenset[int]:
        """The ranges held as of the last `keep`; none once their time has run out."""
        if self._now_s() - self._kept_s > self._lease_ms / 1000:
            return frozenset()
        return self._held

    @property
    def buckets(self) -> list[Bucket]:
        """The buckets of the ranges held."""
        return buckets_of(self.ranges)

    async def keep(self) -> None:
        """Renew the leases held, take free ranges up to a fair share, give back those above it.

        Raises LiveUnavailable: what is held runs out by itself.
        """
        now_s = self._now_s()
        if now_s - self._kept_s < self._lease_ms / 1000 / _RENEWALS_A_LEASE:
            return
        [living] = await self._store.run([self._enlisting(self._lease_ms)])
        self._held = await self._lease(-(-RANGES // max(1, expect(living, int))))
        self._kept_s = now_s

    async def give_back(self) -> None:
        """Free the ranges for others and leave the list. Raises LiveUnavailable: they run out instead."""
        self._kept_s = float("-inf")
        self._held = await self._lease(0)
        await self._store.run([self._enlisting(0)])

    async def _lease(self, share: int) -> frozenset[int]:
        held: set[int] = set()
        # Those held come first: a share is filled with them before free ones are taken.
        order = sorted(self._order, key=lambda number: number not in self._held)
        for bucket, numbers in self._store.groups(order, Bucket, RANGES):
            args = (self._owner, self._lease_ms, max(0, share - len(held)))
            keys = [self._store.keys.lease(number) for number in numbers]
            [reply] = await self._store.run([self._store.script("lease", bucket, keys, args)])
            held |= lease_reply(expect(reply, list), numbers)
        return frozenset(held)

    def _enlisting(self, lease_ms: int) -> Call:
        return self._store.script("enlist", Bucket(0), [self._store.keys.flushers], (self._owner, lease_ms))

    @staticmethod
    def _now_s() -> float:
        return asyncio.get_running_loop().time()


def buckets_of(ranges: Iterable[int]) -> list[Bucket]:
    """List the buckets of some ranges."""
    return [
        Bucket(number * BUCKETS_A_RANGE + offset)
        for number in sorted(ranges)
        for offset in range(BUCKETS_A_RANGE)
    ]
