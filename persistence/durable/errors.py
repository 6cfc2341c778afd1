"""What can go wrong with PostgreSQL, in this project's own words."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

import asyncpg

from persistence.durable.reasons import refusal_of, trouble_of

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


class DurableRefused(DurableUnavailable):
    """PostgreSQL cannot be used as it is named or set up: waiting does not help, an operator must act.

    The text is one line that says what is wrong and what to do, without the address.
    """


class MigrationError(DurableError):
    """The schema and this code don't fit; an operator must act. The text is one line that says how."""


@contextmanager
def translated() -> Iterator[None]:
    """Turn the errors of asyncpg, the network and time-outs into DurableUnavailable.

    Raises DurableUnavailable, or DurableRefused, with one line of text. Errors in the values themselves
    (SQLSTATE classes 22 and 23) pass through untouched: whoever sent the values knows what to do with them.
    """
    try:
        yield
    except (asyncpg.DataError, asyncpg.IntegrityConstraintViolationError):
        raise
    except _AWAY as error:
        raise reason(error) from error


def reason(error: BaseException) -> DurableUnavailable:
    """Put an error into one line: DurableRefused where waiting is of no use."""
    if refusal := refusal_of(error):
        return DurableRefused(refusal)
    return DurableUnavailable(trouble_of(error) or one_line(error))


def one_line(error: BaseException) -> str:
    """Say an error in one line: its kind and, where it has one, its text."""
    text = " ".join(str(error).split())
    if isinstance(error, DurableUnavailable):
        return text  # which is such a line already
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
