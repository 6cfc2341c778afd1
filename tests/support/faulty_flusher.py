"""A flusher that kills or stops itself at one step of its work: `python -m tests.support.faulty_flusher`.

Arguments: Redis, PostgreSQL, the step, the name of the signal. It flushes once and ends.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from typing import TYPE_CHECKING

from persistence.durable.sessions import SessionWriter, WriteResult
from persistence.live.scripts import load_scripts
from persistence.live.store import LiveStore, open_store
from persistence.writeback.batch import FAST, Batch, BatchOutcome, Portions, Saver
from persistence.writeback.flusher import Flusher

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from game.session import UserId
    from persistence.durable.rows import Row

STEPS = ("marks read", "hashes read", "rows written", "some marks taken back", "all marks taken back")
TTL_S = 1200


class Fault:
    """Sends this process its signal when the step is reached, once."""

    def __init__(self, step: str, number: signal.Signals) -> None:
        self._step = step
        self._number = number

    def at(self, step: str) -> None:
        """Note that a step is reached."""
        if step == self._step:
            self._step = ""
            os.kill(os.getpid(), self._number)


class FaultyWriter(SessionWriter):
    """Reaches a step right after the rows are written."""

    def __init__(self, dsn: str, fault: Fault) -> None:
        super().__init__(dsn)
        self._fault = fault

    async def write(self, rows: Sequence[Row]) -> WriteResult:
        """Write, then note it."""
        result = await super().write(rows)
        self._fault.at("rows written")
        return result


class FaultySaver(Saver):
    """Reaches the other steps."""

    def __init__(self, store: LiveStore, writer: FaultyWriter, fault: Fault) -> None:
        super().__init__(store, writer, TTL_S)
        self._fault = fault

    async def collect(self, user_ids: Sequence[UserId], read_ms: int, portions: Portions = FAST) -> Batch:
        """Read, noting before and after."""
        self._fault.at("marks read")
        batch = await super().collect(user_ids, read_ms, portions)
        self._fault.at("hashes read")
        return batch

    async def _take_back(self, written: Mapping[UserId, int], batch: Batch, outcome: BatchOutcome) -> None:
        versions = list(written.items())
        half = len(versions) // 2
        await super()._take_back(dict(versions[:half]), batch, outcome)
        self._fault.at("some marks taken back")
        await super()._take_back(dict(versions[half:]), batch, outcome)
        self._fault.at("all marks taken back")


async def main(url: str, dsn: str, step: str, number: signal.Signals) -> None:
    """Flush once."""
    fault = Fault(step, number)
    writer = FaultyWriter(dsn, fault)
    try:
        async with open_store(url, "faulty", load_scripts()) as store:
            await Flusher(FaultySaver(store, writer, fault)).flush_once()
    finally:
        writer.close()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], sys.argv[3], signal.Signals[sys.argv[4]]))
