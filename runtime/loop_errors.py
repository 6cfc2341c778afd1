"""What an event loop reports: errors that nobody awaits, and sockets that it cannot accept."""

from __future__ import annotations

import asyncio
import errno
import os
from typing import Any, Final

import structlog

_log = structlog.get_logger(__name__)

_GIVEN_BACK: Final = "PoolConnectionHolder.release"
_SHORTAGES: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})


def report_loop_errors(loop: asyncio.AbstractEventLoop) -> None:
    """Log in one line each what is no fault of the program; whatever else the loop reports, as asyncio does.

    A shortage of descriptors or memory: asyncio tries a socket that it could not accept several times a
    second, with a traceback each time. A connection to PostgreSQL that was given back to its pool and could
    not be reset: asyncpg ends it, in a task that nobody awaits where the one who had it was cancelled.
    """
    loop.set_exception_handler(_report)


def _report(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    error = context.get("exception")
    if isinstance(error, OSError) and error.errno in _SHORTAGES:
        _log.error("connection_not_accepted", reason=os.strerror(error.errno))
    elif isinstance(error, Exception) and _is_given_back(context.get("future")):
        _log.warning("postgresql_connection_ended", reason=str(error) or type(error).__name__)
    else:
        loop.default_exception_handler(context)


def _is_given_back(future: object) -> bool:
    """Tell whether a task is asyncpg's, which takes a connection back into its pool."""
    return isinstance(future, asyncio.Task) and getattr(future.get_coro(), "__qualname__", "") == _GIVEN_BACK
