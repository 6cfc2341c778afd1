"""Small questions once a second: how long Redis and PostgreSQL take, and how late the event loop is."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, Final

import structlog

from persistence.durable.pool import ping
from persistence.errors import DurableUnavailable
from persistence.live.lane_contract import LaneError
from runtime.logs import tend_logs
from server.observability.metrics import Durations

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from persistence.durable.pool import Pool
    from persistence.live.lanes import Lanes

_log = structlog.get_logger(__name__)

EVERY_S: Final = 1.0
_ANSWER_WITHIN_S: Final = 2.0


class Probes:
    """Asks each lane for a PING among its other commands, and PostgreSQL for nothing over the pool.

    So what is measured is what a request waits, its turn included. Call `run` in a supervised task.
    """

    def __init__(self, lanes: Lanes, bulk_lanes: Lanes, pool: Pool, *, every_s: float = EVERY_S) -> None:
        self._lanes = {"game": lanes, "beside": bulk_lanes}
        self._pool = pool
        self._every_s = every_s
        self.redis = {role: Durations() for role in self._lanes}
        self.postgresql = Durations()
        self.loop_delay = Durations()
        self.failures = {"redis": 0, "postgresql": 0}

    async def run(self) -> None:
        """Ask until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            due_s = loop.time() + self._every_s
            await asyncio.sleep(self._every_s)
            self.loop_delay.observe(max(0.0, loop.time() - due_s))
            await self.ask()
            tend_logs()

    async def ask(self) -> None:
        """Ask everybody once, at the same time."""
        questions = [
            self._timed("redis", self.redis[role], partial(lane.call, "PING"))
            for role, lanes in self._lanes.items()
            for lane in lanes.all
            if lane.up
        ]
        await asyncio.gather(
            *questions, self._timed("postgresql", self.postgresql, partial(ping, self._pool))
        )

    async def _timed(self, kind: str, durations: Durations, ask: Callable[[], Awaitable[object]]) -> None:
        loop = asyncio.get_running_loop()
        began_s = loop.time()
        try:
            async with asyncio.timeout(_ANSWER_WITHIN_S):
                await ask()
        except (LaneError, DurableUnavailable, TimeoutError):
            self.failures[kind] += 1
        except Exception:  # noqa: BLE001 - figures must not end the server
            self.failures[kind] += 1
            _log.exception("probe_failed", part=kind)
        else:
            durations.observe(loop.time() - began_s)
