"""What a replay finds: the changes of a session that somebody heard of, and the states on the way."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from game.session import Session
    from scripts.chaos.history.said import Said
    from scripts.chaos.history.timeline import Operation


RESET: Final = "session_reset"
"""What hides all that was done before it, but for the totals."""


@dataclass(slots=True)
class Change:
    """One step of a session that somebody heard of; `operation` is None where the sender never knew."""

    version: int
    kind: str
    heard_s: float
    operation: Operation | None


@dataclass(slots=True)
class Step:
    """A state on the way, and what led to it: an operation, or what some other change was.

    It may have held from `since_s` to `until_s`. `is_guessed`: its place in the order is not known from a
    version.
    """

    session: Session
    heard_s: float
    operation: Operation | None = None
    change: Change | None = None
    since_s: float = float("-inf")
    until_s: float = float("inf")
    is_guessed: bool = False


@dataclass(slots=True)
class Replayed:
    """What became of one player: the changes that hold, all states, also those that were lost, and a fault.

    That is the first thing that nothing explains; it was met at `fault_version`. `given_up` are changes of
    masters that were given up.
    """

    changes: list[Change] = field(default_factory=list)
    steps: list[Step] = field(default_factory=list)
    hidden: int = 0
    lost: int = 0
    given_up: int = 0
    fault: str = ""
    fault_version: int = 0


@dataclass(slots=True)
class Stretch:
    """From a state of the version `after`, heard of at `since_s`, over hidden steps to what was said next.

    What is hidden was sent by `sent_by_s`. `is_of_nobody`: which operation the last step was is guessed too.
    """

    start: Session
    after: int
    since_s: float
    sent_by_s: float
    said: Said
    between: list[Step]
    last: Step
    is_of_nobody: bool = False

    @property
    def used(self) -> list[Operation]:
        """The hidden operations."""
        return [step.operation for step in self.between if step.operation is not None]

    @property
    def known(self) -> list[Operation]:
        """The hidden operations that were applied for certain."""
        return [operation for operation in self.used if operation.duplicates]

    @property
    def has_reset(self) -> bool:
        """Tell whether what was done before a reset may be hidden here, but for the totals."""
        kinds = {operation.request_type for operation in self.used}
        return RESET in kinds or self.said.change == RESET

    def may_hold(self, operation: Operation) -> bool:
        """Tell whether an operation can have been applied here: sent before its end, a duplicate after."""
        return operation.sent_s <= self.sent_by_s and operation.known_at > self.after
