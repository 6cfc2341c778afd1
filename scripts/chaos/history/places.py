"""Places: where one operation was taken for another one that is known to be elsewhere, others make room."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scripts.chaos.history.course import ON_ITS_WAY_S
from scripts.chaos.history.facts import totals_of

if TYPE_CHECKING:
    from scripts.chaos.history.course import Course
    from scripts.chaos.history.said import Said
    from scripts.chaos.history.steps import Step
    from scripts.chaos.history.timeline import Operation


class Places:
    """Moves the operations of a course; where no move helps, all is as it was."""

    def __init__(self, course: Course) -> None:
        self._course = course

    def place_duplicates(self) -> None:
        """Give each duplicate a place; what finds none may find one when others have theirs."""
        for _ in range(2):
            for operation in self.lacking():
                if id(operation) not in self._course.applied:
                    self._find_place(operation)

    def is_complete(self, totals: tuple[float, ...] | None) -> bool:
        """Tell whether all duplicates have places, and the end has the totals that it should have.

        Where something is lost a duplicate may have been lost too.
        """
        held = totals_of(self._course.trail[-1].session)
        are_placed = bool(self._course.losses) or not self.lacking()
        return are_placed and totals in (None, held)

    def lacking(self) -> list[Operation]:
        """Return the duplicates without a place, the last that were sent first: they have the fewest."""
        lacking = [op for op in self._course.open if op.duplicates and id(op) not in self._course.applied]
        return sorted(lacking, key=lambda op: -op.sent_s)

    def _find_place(self, operation: Operation, passed: frozenset[int] = frozenset()) -> bool:
        """Put a duplicate where another operation was taken to be.

        Where that one was applied too it needs a place elsewhere, at no step and in no stretch `passed`.
        """
        return self._stands_for_another(operation, passed) or self._was_hidden(operation, passed)

    def _stands_for_another(self, operation: Operation, passed: frozenset[int]) -> bool:
        """Look for a change that was heard of and put down to another operation of the same effect."""
        for step in self._course.trail:
            other = step.operation
            if step.change is None or other is None or id(step) in passed or other.applied:
                continue
            if other.effect != operation.effect or operation.sent_s > step.heard_s:
                continue
            if operation.known_at < step.change.version:
                continue
            step.operation = operation
            self._course.applied ^= {id(other), id(operation)}
            if not other.duplicates or self._find_place(other, passed | {id(step)}):
                return True
            step.operation = other
            self._course.applied ^= {id(other), id(operation)}
        return False

    def _was_hidden(self, operation: Operation, passed: frozenset[int]) -> bool:
        """Look for it among hidden operations: the fewest that explain what was said may be others.

        Two sells of what is there, with a cook between them, leave what one sell after it leaves; two cooks
        of one leave what a cook of two leaves.
        """
        for stretch in self._course.stretches:
            if id(stretch) in passed or not stretch.may_hold(operation):
                continue
            for kept in (stretch.known, []) if stretch.known else ([],):
                before = self._course.places()
                left = self._course.explain(stretch, [*kept, operation])
                if left is not None and all(self._find_place(op, passed | {id(stretch)}) for op in left):
                    return True
                self._course.put_back(before)
        return not passed and self._was_hidden_with_another(operation)

    def _was_hidden_with_another(self, operation: Operation) -> bool:
        """Look for it together with one that was taken for something else."""
        for stretch in self._course.stretches:
            if not stretch.may_hold(operation):
                continue
            for other in self._course.open:
                is_elsewhere = id(other) in self._course.applied and not any(
                    used is other for used in stretch.used
                )
                if (
                    not is_elsewhere
                    or not stretch.may_hold(other)
                    or operation.request_type != other.request_type
                ):
                    continue
                before = self._course.places()
                if self.leave(other):
                    left = self._course.explain(stretch, [*stretch.known, operation, other])
                    if left is not None and all(
                        self._find_place(op, frozenset({id(stretch)})) for op in left
                    ):
                        return True
                self._course.put_back(before)
        return False

    def of_one_taken(self, said: Said) -> list[Step] | None:
        """Explain what was said by an operation that was taken for something else before."""
        for operation in self._course.open:
            if id(operation) not in self._course.applied or operation.known_at < said.version:
                continue
            if (
                operation.last_sent_s < said.heard_s - ON_ITS_WAY_S
                or operation.sent_s > self._course.sent_by_s(said)
            ):
                continue
            before = self._course.places()
            if (
                self.leave(operation)
                and (path := self._course.path_to(said, self._course.trail[-1].session)) is not None
            ):
                return path
            self._course.put_back(before)
        return None

    def leave(self, operation: Operation) -> bool:
        """Put what an operation was taken for down to others, as it is known to be something else."""
        taken = (
            step for step in self._course.trail if step.operation is operation and step.change is not None
        )
        step = next(taken, None)
        if step is None or step.change is None or step.change.operation is not None:
            return step is None and self._leave_stretch(operation)
        for other in self._course.open:
            if other is operation or other.effect != operation.effect or other.sent_s > step.heard_s:
                continue
            if not self._course.losses and other.known_at < step.change.version:
                continue
            before = self._course.places()
            if id(other) not in self._course.applied or self._leave_stretch(other):
                step.operation = other
                self._course.applied = self._course.applied - {id(operation)} | {id(other)}
                return True
            self._course.put_back(before)
        return False

    def _leave_stretch(self, operation: Operation) -> bool:
        """Explain the stretch that it was hidden in without it."""
        for stretch in self._course.stretches:
            if not any(used is operation for used in stretch.used):
                continue
            known = [op for op in stretch.known if op is not operation]
            for kept in (known, []) if known else ([],):
                before = self._course.places()
                left = self._course.explain(stretch, kept, operation)
                if left is not None and all(self._find_place(op, frozenset({id(stretch)})) for op in left):
                    return True
                self._course.put_back(before)
        return False
