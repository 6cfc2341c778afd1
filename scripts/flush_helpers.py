"""Processes that flush shares of the players, next to the one that asked for them.

One process waits for Redis and PostgreSQL in turns, and they for it; several keep them all busy. The process
that is free takes the next share, so nobody waits for a helper that has yet to start.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import signal
from collections import deque
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Final, NamedTuple

from persistence.errors import StorageUnavailable
from persistence.outages import line_of
from persistence.writeback.batch import BULK, BULK_CONNECTIONS, Saver
from persistence.writeback.flusher import Flusher
from persistence.writeback.marks import EVERY_BUCKET
from scripts.databases import configure_quiet_logs, open_databases

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from multiprocessing.connection import Connection
    from multiprocessing.process import BaseProcess

    from persistence.live.keys import Bucket
    from runtime.settings import Settings
    from scripts.databases import Databases

_MOST_PROCESSES: Final = 4
"""On two cores three flush 1.3 times as many sessions a second as one, four no more."""
_SESSIONS_A_SHARE: Final = 25_000
"""Half a second of one process, which waits for the last of a share before it takes the next."""
_MOST_SHARES: Final = 256
_ENDS_WITHIN_S: Final = 2.0


class Flushed(NamedTuple):
    """What became of a share: see FlushTotals. `lost`: why helpers could not go on."""

    written: int = 0
    reloaded: int = 0
    gone: int = 0
    set_aside: int = 0
    last_error: str = ""
    lost: tuple[str, ...] = ()

    def __add__(self, other: Flushed) -> Flushed:  # type: ignore[override] # of amounts, not of tuples
        """Count both."""
        return Flushed(
            self.written + other.written,
            self.reloaded + other.reloaded,
            self.gone + other.gone,
            self.set_aside + other.set_aside,
            other.last_error or self.last_error,
            self.lost + other.lost,
        )


class HelperError(Exception):
    """A helper could not flush its share, for the reason given; what it did stays."""


async def flush_share(
    databases: Databases, buckets: Sequence[Bucket], on_batch: Callable[[int], None]
) -> Flushed:
    """Flush some buckets, without regard to leases; `on_batch` hears of each batch's writes.

    Raises StorageUnavailable: what was written stays.
    """
    saver = Saver(databases.store, databases.writer, databases.settings.session_ttl_s)
    flusher = Flusher(saver, portions=BULK, buckets=buckets)
    written = await flusher.flush_once(on_batch)
    totals = flusher.totals
    return Flushed(written, totals.reloaded, totals.gone, totals.set_aside, totals.last_error)


def shares(marked: int, processes: int) -> list[Sequence[Bucket]]:
    """Split all buckets, with so many marks, into shares of about one size: one for each process, or more."""
    count = max(processes, min(marked // _SESSIONS_A_SHARE, _MOST_SHARES))
    return [EVERY_BUCKET[part::count] for part in range(count)]


def most_processes() -> int:
    """Say how many processes flush the fastest here: one more than there are cores, at most four."""
    affinity = getattr(os, "sched_getaffinity", None)
    cores = (os.cpu_count() or 1) if affinity is None else len(affinity(0))
    return min(_MOST_PROCESSES, cores + 1) if cores > 1 else 1


class Helper:
    """A process that flushes the shares that it is given."""

    def __init__(self, process: BaseProcess, pipe: Connection) -> None:
        self.process = process
        self._pipe = pipe

    async def flush(self, buckets: Sequence[Bucket], on_batch: Callable[[int], None]) -> Flushed:
        """Have a share flushed. Raises HelperError; then the helper is of no further use."""
        try:
            with suppress(BrokenPipeError):  # what it said at its end can be read all the same
                self._pipe.send(buckets)
            while True:
                said = await asyncio.to_thread(self._pipe.recv)
                if isinstance(said, Flushed):
                    return said
                if isinstance(said, str):
                    raise HelperError(said)
                on_batch(said)
        except (EOFError, OSError) as error:
            raise HelperError("it has ended") from error

    def end(self) -> None:
        """End the process, in the middle of its share too: marks of what it did not write stand."""
        self.process.terminate()
        self.process.join(_ENDS_WITHIN_S)
        self._pipe.close()


@contextmanager
def helpers(settings: Settings, count: int) -> Iterator[list[Helper]]:
    """Start so many helpers, with connections of their own; all end with the block."""
    context = multiprocessing.get_context("spawn")
    started: list[Helper] = []
    try:
        for _ in range(count):
            ours, theirs = context.Pipe()
            process = context.Process(target=_serve, args=(settings, theirs), daemon=True)
            process.start()
            theirs.close()
            started.append(Helper(process, ours))
        yield started
    finally:
        for each in started:
            each.end()


async def flush_together(
    databases: Databases,
    started: Sequence[Helper],
    shared: Sequence[Sequence[Bucket]],
    on_batch: Callable[[int], None] = lambda _: None,
) -> Flushed:
    """Flush all shares, here and in helpers at once; the share of a helper that fails is flushed here.

    Raises StorageUnavailable: what was written until then stays.
    """
    waiting = deque(shared)

    async def work_here() -> Flushed:
        done = Flushed()
        while waiting:
            done += await flush_share(databases, waiting.popleft(), on_batch)
        return done

    async def work_in(helper: Helper) -> Flushed:
        done = Flushed()
        while waiting:
            share = waiting.popleft()
            batches: list[int] = []

            def note(written: int, batches: list[int] = batches) -> None:
                batches.append(written)
                on_batch(written)

            try:
                done += await helper.flush(share, note)
            except HelperError as error:
                waiting.append(share)
                return done + Flushed(written=sum(batches), lost=(str(error),))
        return done

    try:
        async with asyncio.TaskGroup() as group:
            here = group.create_task(work_here())
            elsewhere = [group.create_task(work_in(each)) for each in started]
    except BaseExceptionGroup as failures:
        failure, *_ = failures.exceptions  # of this process: those of helpers end here
        raise failure from None
    # What a helper left when nobody here was at work any more.
    left = await work_here()
    return sum((part.result() for part in elsewhere), here.result() + left)


def _serve(settings: Settings, pipe: Connection) -> None:
    # The process that started it is interrupted as well, and ends it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    configure_quiet_logs(settings)
    try:
        asyncio.run(_flush_when_told(settings, pipe))
    except StorageUnavailable as error:
        pipe.send(line_of(error))
    except (EOFError, OSError):
        return  # nobody is there to tell


async def _flush_when_told(settings: Settings, pipe: Connection) -> None:
    async with open_databases(settings, BULK_CONNECTIONS) as databases:
        while True:
            buckets = await asyncio.to_thread(pipe.recv)
            pipe.send(await flush_share(databases, buckets, pipe.send))
