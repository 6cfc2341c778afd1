"""SIGTERM and SIGINT: they end a start that may wait for a database, and later ask for a drain."""

from __future__ import annotations

import asyncio
import signal
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


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
