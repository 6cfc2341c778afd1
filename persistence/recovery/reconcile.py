"""Sessions that a Redis which came back as another run holds in an older state than PostgreSQL.

Active players are compared at the next request anyway (the stamp of a session names the run). This is for the
rest, so that an audit is clean soon after a failover, whether players come back or not.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

import structlog

from persistence.durable.sessions import load_records, load_versions
from persistence.errors import DurableUnavailable, LiveUnavailable, one_line
from persistence.live.keys import Bucket, bucket_of
from persistence.live.record import PACKED_NOW, read_now
from persistence.live.replies.status import Status
from persistence.live.store import call, expect
from persistence.recovery.restore import load_newer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from game.session import UserId
    from persistence.durable.pool import Pool
    from persistence.live.store import LiveStore
    from persistence.recovery.cold_load import LoadingTotals

_log = structlog.get_logger(__name__)

LOOK_EVERY_S: Final = 1.0
CLAIM_MS: Final = 30_000
"""Renewed with each batch; of a process that died, another takes over after so long."""
DONE_MS: Final = 7 * 24 * 3600 * 1000
_SESSIONS_A_BATCH: Final = 250
_REST_S: Final = 0.01
"""Between two batches: at most 25,000 sessions a second, and room for clicks."""
_DONE: Final = b"done"


class Reconciler:
    """Watches the runs of Redis that a store is connected to. Call `run` in a supervised task.

    Several processes share the work: each run is claimed by one. What was compared and replaced is counted in
    `totals`, as `verified` and `replaced`.
    """

    def __init__(self, store: LiveStore, pool: Pool, session_ttl_s: int, totals: LoadingTotals) -> None:
        self._store = store
        self._pool = pool
        self._ttl_s = session_ttl_s
        self._totals = totals
        self._done: set[str] = set()

    async def run(self) -> None:
        """Look for new runs until cancelled. PostgreSQL or Redis being away is waited for."""
        while True:
            try:
                for name, run_id in self._store.runs():
                    if run_id not in self._done and await self.claimed(run_id):
                        await self.sweep(name, run_id)
            except (DurableUnavailable, LiveUnavailable) as error:
                _log.info("redis_restart_reconcile_delayed", error=one_line(error))
            await asyncio.sleep(LOOK_EVERY_S)

    async def claimed(self, run_id: str) -> bool:
        """Claim a run; False while another process has it, and once it is done. Raises LiveUnavailable."""
        key = self._store.keys.reconcile(run_id)
        claim, holder, left_ms = await self._store.run(
            [
                call(Bucket(0), "SET", key, self._store.origin, "NX", "PX", CLAIM_MS),
                call(Bucket(0), "GET", key),
                call(Bucket(0), "PTTL", key),
            ]
        )
        if holder == _DONE:
            self._done.add(run_id)
        elif expect(left_ms, int) > CLAIM_MS:
            # No claim lasts as long: the clock ran back. The next look claims it.
            await self._store.run([call(Bucket(0), "DEL", key)])
        return claim is not None and holder == self._store.origin.encode()

    async def sweep(self, name: str, run_id: str) -> int:
        """Compare every session of one Redis, and replace the older ones; returns how many.

        Raises LiveUnavailable or DurableUnavailable: call again, what was replaced stays.
        """
        replaced = looked = 0
        async for found in self._store.scan_sessions(_SESSIONS_A_BATCH, name):
            looked += len(found)
            replaced += await self._replace_older(found)
            await self._keep(run_id, self._store.origin, CLAIM_MS)
            await asyncio.sleep(_REST_S)
        await self._keep(run_id, _DONE, DONE_MS)
        self._done.add(run_id)
        _log.info("redis_restart_reconciled", redis=name, run=run_id[:8], sessions=looked, replaced=replaced)
        return replaced

    async def _keep(self, run_id: str, value: str | bytes, ms: int) -> None:
        key = self._store.keys.reconcile(run_id)
        await self._store.run([call(Bucket(0), "SET", key, value, "PX", ms)])

    async def _replace_older(self, user_ids: Sequence[UserId]) -> int:
        if not user_ids:
            return 0
        live = await self._versions(user_ids)
        saved = await load_versions(self._pool, user_ids)
        self._totals.verified += len(user_ids)
        older = [user_id for user_id, version in saved.items() if live.get(user_id, version) < version]
        if not older:
            return 0
        words = await load_newer(self._store, await load_records(self._pool, older), self._ttl_s)
        replaced = [user_id for user_id, word in words.items() if word is Status.LOADED]
        self._totals.replaced += len(replaced)
        for user_id in replaced:
            _log.warning("session_replaced_by_newer", user=user_id)
        return len(replaced)

    async def _versions(self, user_ids: Sequence[UserId]) -> dict[UserId, float]:
        """Read the versions that Redis has; without those that left meanwhile or cannot be read."""
        keys = self._store.keys
        calls = [call(bucket_of(user_id), "HGET", keys.session(user_id), "now") for user_id in user_ids]
        replies = zip(user_ids, await self._store.run(calls), strict=True)
        return {
            user_id: read_now(reply).version
            for user_id, reply in replies
            if isinstance(reply, bytes) and len(reply) == PACKED_NOW.size
        }
