"""Attempts at log-in, counted in Redis over all processes.

The ids that name the sets are made by the caller and say nothing of addresses or e-mails. Both sets of an
attempt live in one bucket, so that one script sees them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import structlog

from persistence.errors import LiveUnavailable
from persistence.live.keys import BUCKETS, Bucket
from persistence.live.replies.upkeep import AttemptRefused, throttle_reply
from persistence.live.store import call, expect

if TYPE_CHECKING:
    from persistence.live.store import LiveStore

_log = structlog.get_logger(__name__)


class AttemptLog:
    """The attempts of the last window."""

    def __init__(self, store: LiveStore, window_s: int) -> None:
        self._store = store
        self._window_ms = window_s * 1000

    async def count(
        self, attempt: str, address: str, pair: str, *, address_limit: int, pair_limit: int
    ) -> float:
        """Count one attempt; returns 0, or the seconds until there is room: then nothing was counted.

        `address` and `pair` are hexadecimal ids; a limit of 0 is none. The same `attempt` counts once.
        Raises LiveUnavailable when Redis is away.
        """
        bucket, keys = self._place(address, pair)
        args = (self._window_ms, attempt, address_limit, pair_limit)
        (reply,) = await self._store.run([self._store.script("throttle", bucket, keys, args)])
        refused = throttle_reply(expect(reply, list))
        return refused.retry_after_ms / 1000 if isinstance(refused, AttemptRefused) else 0.0

    async def give_back(self, attempt: str, address: str, pair: str) -> None:
        """Take back an attempt that turned out to be no failure. Without Redis it stays counted."""
        bucket, keys = self._place(address, pair)
        try:
            await self._store.run([call(bucket, "ZREM", key, attempt) for key in keys])
        except LiveUnavailable as error:
            _log.warning("auth_attempt_refund_failed", why=str(error))

    def _place(self, address: str, pair: str) -> tuple[Bucket, tuple[str, str]]:
        """Name the sets of an address and of its pair, and the bucket they share."""
        bucket, keys = Bucket(int(address, 16) % BUCKETS), self._store.keys
        return bucket, (keys.throttle(bucket, address), keys.throttle(bucket, f"{address}:{pair}"))
