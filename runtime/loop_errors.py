"""What an event loop reports: errors that nobody awaits, and sockets that it cannot accept."""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING, Any, Final

import structlog

if TYPE_CHECKING:
    import asyncio

_log = structlog.get_logger(__name__)

_SHORTAGES: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})


def report_loop_errors(loop: asyncio.AbstractEventLoop) -> None:
    """Log a shortage of descriptors or memory in one line; whatever else the loop reports, as asyncio does.

    asyncio tries a socket that it could not accept several times a second, with a traceback each time.
    """
    loop.set_exception_handler(_report)


def _report(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    error = context.get("exception")
    if isinstance(error, OSError) and error.errno in _SHORTAGES:
        _log.error("connection_not_accepted", reason=os.strerror(error.errno))
    else:
        loop.default_exception_handler(context)
