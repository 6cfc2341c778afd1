"""Matching: which operation is at which place, so that each place has one, and each known one a place.

All operations here have one effect, so that any of them may be at any place that its times allow: one that is
displaced may displace another, and so on. This finds who goes where whenever there is a way (Kuhn's
augmenting paths); where there is none, it tells what is in the way.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

    from scripts.chaos.history.steps import Step, Stretch
    from scripts.chaos.history.timeline import Operation


class Candidate(NamedTuple):
    """An operation, and what places ask of it; `is_needed`: it was applied, and needs a place."""

    operation: Operation
    sent_s: float
    last_sent_s: float
    known_at: float
    is_needed: bool

    @classmethod
    def of(cls, operation: Operation, *, may_be_lost: bool) -> Candidate:
        """Look at an operation. What was known of one says nothing where it `may_be_lost`."""
        is_known = bool(operation.duplicates)
        last_sent_s = float("inf") if is_known else operation.last_sent_s
        known_at = float("inf") if may_be_lost else operation.known_at
        return cls(operation, operation.sent_s, last_sent_s, known_at, is_known and not may_be_lost)


@dataclass(frozen=True, slots=True, eq=False)
class Place:
    """A step that some operation must be: sent by `sent_by_s`, as a duplicate not known before `known_from`.

    It was on its way still, if it was last sent at `last_sent_s` or later, or is known to be applied.
    """

    step: Step
    stretch: Stretch
    sent_by_s: float
    known_from: float
    last_sent_s: float = float("-inf")

    def takes(self, candidate: Candidate) -> bool:
        """Tell whether an operation may be here."""
        if candidate.sent_s > self.sent_by_s or candidate.known_at < self.known_from:
            return False
        return candidate.last_sent_s >= self.last_sent_s


@dataclass(slots=True)
class Matching:
    """Operations at places, both by their index."""

    places: Sequence[Place]
    operations: Sequence[Candidate]
    operation_at: dict[int, int] = field(default_factory=dict)
    place_of: dict[int, int] = field(default_factory=dict)
    _allowed: list[list[int]] = field(default_factory=list)
    _places_for: list[list[int]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._allowed = [
            [at for at, candidate in enumerate(self.operations) if place.takes(candidate)]
            for place in self.places
        ]
        self._places_for = [[] for _ in self.operations]
        for place, allowed in enumerate(self._allowed):
            for operation in allowed:
                self._places_for[operation].append(place)
        for at, candidate in enumerate(self.operations):
            if candidate.is_needed:
                self._seat(at, set())
        for place in range(len(self.places)):
            if place not in self.operation_at:
                self._fill(place, set())

    @property
    def empty(self) -> list[int]:
        """The places that no operation is left for."""
        return [place for place in range(len(self.places)) if place not in self.operation_at]

    @property
    def unplaced(self) -> list[int]:
        """The operations that were applied, and have no place."""
        known = (at for at, candidate in enumerate(self.operations) if candidate.is_needed)
        return [operation for operation in known if operation not in self.place_of]

    def rivals(self, operation: int) -> list[Operation]:
        """Return the operations of which one more place would give this one a place, itself the first."""
        seen, waiting = {operation: None}, [operation]
        while waiting:
            for place in self._places_for[waiting.pop()]:
                other = self.operation_at.get(place)
                if other is not None and other not in seen:
                    seen[other] = None
                    waiting.append(other)
        return [self.operations[at].operation for at in seen]

    def in_the_way(self, place: int) -> list[Place]:
        """Return the places of which one fewer would give this one an operation, itself the first."""
        seen, waiting = {place: None}, [place]
        while waiting:
            for operation in self._allowed[waiting.pop()]:
                other = self.place_of.get(operation)
                if other is not None and other not in seen:
                    seen[other] = None
                    waiting.append(other)
        return [self.places[at] for at in seen]

    def _seat(self, operation: int, tried: set[int]) -> bool:
        """Give an operation a place; who is there goes elsewhere."""
        for place in self._places_for[operation]:
            if place in tried:
                continue
            tried.add(place)
            other = self.operation_at.get(place)
            if other is None or self._seat(other, tried):
                self._put(operation, place)
                return True
        return False

    def _fill(self, place: int, tried: set[int]) -> bool:
        """Give a place an operation; the place that this one leaves gets another."""
        for operation in self._allowed[place]:
            if operation in tried:
                continue
            tried.add(operation)
            other = self.place_of.get(operation)
            if other is None or self._fill(other, tried):
                self._put(operation, place)
                return True
        return False

    def _put(self, operation: int, place: int) -> None:
        self.operation_at[place] = operation
        self.place_of[operation] = place
