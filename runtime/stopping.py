"""Stops: SIGTERM and SIGINT end a start that may wait for a database, and later ask for a drain.

Every stop has a limit here. A task can miss its cancellation: on Python 3.11 `asyncio.wait_for`, which
libraries use, loses one that comes as its work is done.
"""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any, Final, TypeVar

import structlog

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine, Iterable

Result = TypeVar("Result")

STOP_WITHIN_S: Final = 5.0
_CANCEL_AGAIN_S: Final = 0.2
_LOST: Final = 1

_log = structlog.get_logger(__name__)


class Interrupted(KeyboardInterrupt):
    """A signal came before the program was ready to wait for one.

    Not KeyboardInterrupt itself: where that one passes through `exec`, as in an import that makes a data
    class, Python ends the process by SIGINT at last, whatever exit code it was asked for.
    """


class StoppedWhileStartingError(Exception):
    """A signal came before the start was over; what the start had opened is closed on the way out."""


@asynccontextmanager
async def interruptible_start(stopping: asyncio.Event) -> AsyncIterator[None]:
    """Hear both signals from now on: each sets `stopping`, and within the block it also ends the block.

    Raises StoppedWhileStartingError there. After the block nothing is interrupted: wait for `stopping`.
    """
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(None) as starting:
            for number in (signal.SIGTERM, signal.SIGINT):
                loop.add_signal_handler(number, _stop, stopping, starting)
            yield
    except TimeoutError as error:
        if not starting.expired():
            raise
        raise StoppedWhileStartingError from error


def _stop(stopping: asyncio.Event, starting: asyncio.Timeout) -> None:
    if not stopping.is_set():
        stopping.set()
        with suppress(RuntimeError):  # the start is over
            starting.reschedule(0)


def is_cancelled() -> bool:
    """Tell whether the present task was to be cancelled, also where a library lost the cancellation."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


async def end_tasks(tasks: Iterable[asyncio.Task[Any]], within_s: float = STOP_WITHIN_S) -> None:
    """Cancel tasks until they have ended, again and again, for `within_s` at most; their errors are dropped.

    What runs on even then is named in the log and left alone.
    """
    loop = asyncio.get_running_loop()
    end_s = loop.time() + within_s
    running = set(tasks)
    while running:
        for task in running:
            task.cancel()
        done, running = await asyncio.wait(
            running, timeout=min(_CANCEL_AGAIN_S, max(0.0, end_s - loop.time()))
        )
        for task in done:
            if not task.cancelled():
                task.exception()  # seen: asyncio need not report it
        if loop.time() >= end_s:
            break
    if running:
        _log.error("tasks_not_ended", tasks=sorted(task.get_name() for task in running), within_s=within_s)


def run_to_end(
    main: Coroutine[None, None, Result],
    within_s: float = STOP_WITHIN_S,
    *,
    loop_factory: Callable[[], asyncio.AbstractEventLoop] | None = None,
) -> Result:
    """Run a program as `asyncio.run` does, with a limit to what comes after it.

    `loop_factory` makes the event loop, where it shall not be asyncio's own. Where tasks or threads that
    `main` left behind run on for `within_s`, the process ends with code 1.
    """
    guard = threading.Timer(within_s, _end_anyway)
    guard.daemon = True
    try:
        with asyncio.Runner(loop_factory=loop_factory) as runner:
            try:
                return runner.run(main)
            finally:
                guard.start()
    finally:
        guard.cancel()


def _end_anyway() -> None:
    _log.error("end_forced", threads=sorted(thread.name for thread in threading.enumerate()))
    os._exit(_LOST)
