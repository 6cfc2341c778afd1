"""Everything that the persistence layer raises, in one tree a purpose.

`StorageUnavailable` is the root of "a storage is away": Redis or PostgreSQL did not serve in time, nobody did
wrong, and the same may succeed later. The errors of libraries become one of these once, where they are met.
"""

from __future__ import annotations


class StorageUnavailable(Exception):  # noqa: N818 - the state it reports
    """Redis or PostgreSQL did not serve in time: try again later.

    `maybe_applied`: what was asked for may have happened, since only its answer is missing. Where it is
    False, a player's request certainly changed nothing.
    """

    def __init__(self, why: str = "", *, maybe_applied: bool = False) -> None:
        super().__init__(why)
        self.maybe_applied = maybe_applied


class LiveUnavailable(StorageUnavailable):
    """Redis is away, not ready, full or too slow.

    From bulk work: what was sent may have happened; every script of bulk work is safe to repeat.
    """


class KeysApart(LiveUnavailable):
    """A slot is on its way, and the command's keys are in two places, or one is in none: nothing was done.

    Commands with one key are executed.
    """


class NotSent(LiveUnavailable):
    """A command was not sent: there is no connection, or too many commands wait on it.

    `failure` is what the lane said.
    """

    def __init__(self, failure: Exception) -> None:
        super().__init__(f"{type(failure).__name__}: {failure}")
        self.failure = failure


class NoSession(Exception):  # noqa: N818 - named after its wire code
    """The player never had a session: answer `session required`."""


class DurableError(Exception):
    """A part of the durable store failed; see the subclasses for what to do next."""


class DurableUnavailable(DurableError, StorageUnavailable):  # noqa: N818 - the state it reports
    """PostgreSQL is away, starting, full, read-only or too slow. It may have happened; try again later."""


class DurableRefused(DurableUnavailable):
    """PostgreSQL cannot be used as it is named or set up: waiting does not help, an operator must act.

    The text is one line that says what is wrong and what to do, without the address.
    """


class MigrationError(DurableError):
    """The schema and this code don't fit; an operator must act. The text is one line that says how."""


def one_line(error: BaseException) -> str:
    """Say an error in one line: its kind and, where it has one, its text."""
    text = " ".join(str(error).split())
    if isinstance(error, DurableUnavailable):
        return text  # which is such a line already
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
