"""Where the errors of asyncpg and the network become this project's own."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

import asyncpg

from persistence.durable.reasons import refusal_of, trouble_of
from persistence.errors import DurableRefused, DurableUnavailable, one_line

if TYPE_CHECKING:
    from collections.abc import Iterator

_AWAY: Final = (
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    # asyncpg's own fault report: a query met the message with which PostgreSQL ended an idle connection.
    asyncpg.InternalClientError,
    OSError,
    TimeoutError,
)


@contextmanager
def translated(*, maybe_applied: bool = False) -> Iterator[None]:
    """Turn the errors of asyncpg, the network and time-outs into DurableUnavailable.

    Raises DurableUnavailable, or DurableRefused, with one line of text; `maybe_applied` as the work's caller
    is to be answered. Errors in the values themselves (SQLSTATE classes 22 and 23) pass through untouched:
    the caller knows what to do with them.
    """
    try:
        yield
    except (asyncpg.DataError, asyncpg.IntegrityConstraintViolationError):
        raise
    except _AWAY as error:
        raise reason(error, maybe_applied=maybe_applied) from error


def reason(error: BaseException, *, maybe_applied: bool = False) -> DurableUnavailable:
    """Put an error into one line: DurableRefused where waiting is of no use."""
    if refusal := refusal_of(error):
        return DurableRefused(refusal, maybe_applied=maybe_applied)
    return DurableUnavailable(trouble_of(error) or one_line(error), maybe_applied=maybe_applied)
