"""What can go wrong with PostgreSQL, in this project's own words."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

import asyncpg

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


class DurableError(Exception):
    """A part of the durable store failed; see the subclasses for what to do next."""


class DurableUnavailable(DurableError):  # noqa: N818 - the state it reports
    """PostgreSQL is away, starting, full, read-only or too slow. It may have happened; try again later."""


class MigrationError(DurableError):
    """The schema and this code don't fit; an operator must act. The text is one line that says how."""


@contextmanager
def translated() -> Iterator[None]:
    """Turn the errors of asyncpg, the network and time-outs into DurableUnavailable.

    Raises DurableUnavailable with one line of text. Errors in the values themselves (SQLSTATE classes 22
    and 23) pass through untouched: whoever sent the values knows what to do with them.
    """
    try:
        yield
    except (asyncpg.DataError, asyncpg.IntegrityConstraintViolationError):
        raise
    except _AWAY as error:
        raise DurableUnavailable(one_line(error)) from error


def one_line(error: BaseException) -> str:
    """Say an error in one line: its kind and, where it has one, its text."""
    text = " ".join(str(error).split())
    if isinstance(error, DurableUnavailable):
        return text  # which is such a line already
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
