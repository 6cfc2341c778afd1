"""Linearizable: a player's changes, in the order of their versions, give by the rules what was answered.

Every message with a version says something of the session as it was at that version. The changes that
somebody heard of are played through the pure rules one by one. Where the result is not what was said,
requests without an answer (or with one that leaves open whether they were applied) may have been applied in
between, each once: the fewest that explain what was said are taken. A change that nothing explains is a
fault: one that was lost, counted twice, applied out of order, or made by nobody.

Where Redis may lose its last changes (a failover without WAIT), the session may fall back to what it was,
and what was lost may be applied again.
"""

from __future__ import annotations

from dataclasses import replace
from operator import add
from typing import TYPE_CHECKING, Final, TypeAlias

from game.errors import Refusal
from game.rates import rates_of
from scripts.chaos.history.facts import (
    differences,
    facts_in_play,
    facts_of_session,
    set_totals,
    totals_of,
)
from scripts.chaos.history.order import LOST_BY_S
from scripts.chaos.history.said import Said, by_version, copy_of, play
from scripts.chaos.history.search import MOST_STATES, Search
from scripts.chaos.history.steps import Change, Replayed, Step, Stretch

if TYPE_CHECKING:
    from collections.abc import Sequence

    from game.catalogue import Catalogue
    from game.session import Session
    from scripts.chaos.history.events import Faulted, History
    from scripts.chaos.history.timeline import Operation, Timeline

_Totals: TypeAlias = "list[tuple[float, ...]]"
_Places: TypeAlias = "tuple[list[Step], list[Operation | None], list[list[Step]], set[int], _Totals]"
"""The steps, the operation of each, the hidden steps of each stretch, what is taken to be applied, and the
totals of the sessions.
"""

UNANSWERED: Final = "unanswered"
"""What a fault may lose where replicas are waited for."""
ALL: Final = "all"
"""What a fault may lose where none is waited for."""

_MOST_STATES_BACK: Final = 50
"""How many states are tried for each one that a session may have fallen back to."""
_ON_ITS_WAY_S: Final = 30.0
"""How long after its sending a request without an answer may still reach Redis: longer than any fault."""

HEARD_WITHIN_S: Final = 2.0
"""How long after a fault a tab may hear of what that lost; longer by other faults and standstills."""

_ROUNDED_S: Final = 5.0
"""How much more income than for the time between two looks at a clock may be paid: parts of seconds."""


def replay(player: str, history: History, timeline: Timeline, catalogue: Catalogue) -> Replayed:
    """Play one player's changes through the rules; the first thing that does not fit ends it."""
    course = _Course(player, history, timeline, catalogue)
    said = None
    try:
        for said in by_version(player, timeline):
            course.take(said)
        course.finish()
    except _UnexplainedError as error:
        course.outcome.fault = f"{player}: {error}"
        course.outcome.fault_version = 0 if said is None else said.version
    course.outcome.changes = [step.change for step in course.trail if step.change is not None]
    return course.outcome


class _UnexplainedError(Exception):
    """Nothing that was asked for explains what was said."""


class _Course:
    def __init__(self, player: str, history: History, timeline: Timeline, catalogue: Catalogue) -> None:
        self.outcome = Replayed()
        start = history.start[player]
        self.trail = [Step(start, float("-inf"))]
        self.outcome.steps += self.trail
        self._catalogue = catalogue
        self._version = start.version
        self._applied: set[int] = set()
        self._stretches: list[Stretch] = []
        self._open = [op for op in timeline.operations[player] if op.may_be_applied]
        self._all = timeline.operations[player]
        self._faults = timeline.faults
        self._losses = [fault for fault in timeline.faults.faults if fault.loses]
        self._end = history.live.get(player) or history.saved.get(player)
        given_s = sum(fault.gives_s for fault in timeline.faults.faults)
        self._most_s = history.stored_s - history.began_s + given_s + _ROUNDED_S
        pays = rates_of(start, catalogue).passive
        self._search = Search(catalogue, self._lost, pays=pays, loses=bool(self._losses))

    def take(self, said: Said) -> None:
        """Go on to what was said of a version."""
        operation = said.operation
        if operation is not None and id(operation) in self._applied:
            if self._fell_back(said):
                return
            if not self._leave(operation):
                raise _UnexplainedError(f"{_named(operation)} counts twice, again at {said.version}")
        # Reads of what was there before the last change came late.
        if not said.change and said.version < self._version:
            return
        path = self._path(said, self.trail[-1].session)
        if path is None and self._fell_back(said):
            return
        path = path or self._path_of_one_taken(said)
        if path is None:
            raise _UnexplainedError(self._why(said))
        self._walk(path, said)

    def finish(self) -> None:
        """Hold the end against what is stored, and each duplicate against what was applied."""
        if self._end is not None:
            stored = facts_of_session(self._end)
            end = Said(self._end.version, float("inf"), float("inf"), [stored])
            path = self._path(end, self.trail[-1].session)
            if path is None and self._fell_back(end):
                return
            path = path or self._path_with_more_hidden(end)
            if path is None:
                raise _UnexplainedError(self._why(end))
            self._walk(path, end)
        if self._losses:
            return
        paid_s = self._paid_seconds()
        if paid_s > self._most_s:
            raise _UnexplainedError(f"was paid {paid_s:.0f} s of income in {self._most_s:.0f} s")
        self._place_duplicates()
        for operation in self._lacking():
            raise _UnexplainedError(f"{_named(operation)} was a duplicate, and never applied")

    def _path_with_more_hidden(self, end: Said) -> list[Step] | None:
        """Explain the end by what a reset had hidden: a sell before it shows in the totals alone."""
        before = self._places()
        if not self._losses:
            self._place_duplicates()
        for operation in (None, *self._open):
            if operation is not None and id(operation) in self._applied:
                continue
            placed = self._places()
            if operation is None or self._was_hidden(operation, frozenset()):
                path = self._path(end, self.trail[-1].session)
                if path is not None:
                    return path
            self._put_back(placed)
        self._put_back(before)
        return None

    def _place_duplicates(self) -> None:
        """Give each duplicate a place; what finds none may find one when others have theirs."""
        for _ in range(2):
            for operation in self._lacking():
                if id(operation) not in self._applied:
                    self._find_place(operation)

    def _lacking(self) -> list[Operation]:
        """Return the duplicates without a place, the last that were sent first: they have the fewest."""
        lacking = [op for op in self._open if op.duplicates and id(op) not in self._applied]
        return sorted(lacking, key=lambda op: -op.sent_s)

    def _find_place(self, operation: Operation, passed: frozenset[int] = frozenset()) -> bool:
        """Put a duplicate where another operation was taken to be.

        Where that one was applied too it needs a place elsewhere, at no step and in no stretch `passed`.
        """
        return self._stands_for_another(operation, passed) or self._was_hidden(operation, passed)

    def _stands_for_another(self, operation: Operation, passed: frozenset[int]) -> bool:
        """Look for a change that was heard of and put down to another operation of the same effect."""
        for step in self.trail:
            other = step.operation
            if step.change is None or other is None or id(step) in passed or other.applied:
                continue
            if other.effect != operation.effect or operation.sent_s > step.heard_s:
                continue
            if operation.known_at < step.change.version:
                continue
            step.operation = operation
            self._applied ^= {id(other), id(operation)}
            if not other.duplicates or self._find_place(other, passed | {id(step)}):
                return True
            step.operation = other
            self._applied ^= {id(other), id(operation)}
        return False

    def _was_hidden(self, operation: Operation, passed: frozenset[int]) -> bool:
        """Look for it among hidden operations: the fewest that explain what was said may be others.

        Two sells of what is there, with a cook between them, leave what one sell after it leaves; two cooks
        of one leave what a cook of two leaves.
        """
        for stretch in self._stretches:
            if id(stretch) in passed or not stretch.may_hold(operation):
                continue
            for kept in (stretch.known, []) if stretch.known else ([],):
                before = self._places()
                left = self._explain(stretch, [*kept, operation])
                if left is not None and all(self._find_place(op, passed | {id(stretch)}) for op in left):
                    return True
                self._put_back(before)
        return not passed and self._was_hidden_with_another(operation)

    def _was_hidden_with_another(self, operation: Operation) -> bool:
        """Look for it together with one that was taken for something else."""
        for stretch in self._stretches:
            if not stretch.may_hold(operation):
                continue
            for other in self._open:
                is_elsewhere = id(other) in self._applied and not any(used is other for used in stretch.used)
                if (
                    not is_elsewhere
                    or not stretch.may_hold(other)
                    or operation.request_type != other.request_type
                ):
                    continue
                before = self._places()
                if self._leave(other):
                    left = self._explain(stretch, [*stretch.known, operation, other])
                    if left is not None and all(
                        self._find_place(op, frozenset({id(stretch)})) for op in left
                    ):
                        return True
                self._put_back(before)
        return False

    def _path_of_one_taken(self, said: Said) -> list[Step] | None:
        """Explain what was said by an operation that was taken for something else before."""
        for operation in self._open:
            if id(operation) not in self._applied or operation.known_at < said.version:
                continue
            if operation.last_sent_s < said.heard_s - _ON_ITS_WAY_S or operation.sent_s > said.last_heard_s:
                continue
            before = self._places()
            if self._leave(operation) and (path := self._path(said, self.trail[-1].session)) is not None:
                return path
            self._put_back(before)
        return None

    def _leave(self, operation: Operation) -> bool:
        """Put what an operation was taken for down to others, as it is known to be something else."""
        taken = (step for step in self.trail if step.operation is operation and step.change is not None)
        step = next(taken, None)
        if step is None or step.change is None or step.change.operation is not None:
            return step is None and self._leave_stretch(operation)
        for other in self._open:
            if other is operation or other.effect != operation.effect or other.sent_s > step.heard_s:
                continue
            if not self._losses and other.known_at < step.change.version:
                continue
            before = self._places()
            if id(other) not in self._applied or self._leave_stretch(other):
                step.operation = other
                self._applied = self._applied - {id(operation)} | {id(other)}
                return True
            self._put_back(before)
        return False

    def _leave_stretch(self, operation: Operation) -> bool:
        for stretch in self._stretches:
            if not any(used is operation for used in stretch.used):
                continue
            known = [op for op in stretch.known if op is not operation]
            for kept in (known, []) if known else ([],):
                before = self._places()
                left = self._explain(stretch, kept, operation)
                if left is not None and all(self._find_place(op, frozenset({id(stretch)})) for op in left):
                    return True
                self._put_back(before)
        return False

    def _places(self) -> _Places:
        """Return where all operations are now."""
        between = [stretch.between for stretch in self._stretches]
        operations = [step.operation for step in self.trail]
        return list(self.trail), operations, between, set(self._applied), self._totals()

    def _totals(self) -> _Totals:
        return [totals_of(session) for session in self._sessions()]

    def _sessions(self) -> list[Session]:
        """Return all sessions that have totals: of the steps, and those with which stretches begin."""
        return [step.session for step in self.trail] + [stretch.start for stretch in self._stretches]

    def _put_back(self, places: _Places) -> None:
        """Put all operations where they were."""
        trail, operations, lists, self._applied, totals = places
        self.trail[:] = trail
        for step, operation in zip(trail, operations, strict=True):
            step.operation = operation
        for stretch, between in zip(self._stretches, lists, strict=True):
            stretch.between = between
        for session, held in zip(self._sessions(), totals, strict=True):
            set_totals(session, held)

    def _explain(
        self, stretch: Stretch, needed: Sequence[Operation], without: Operation | None = None
    ) -> list[Operation] | None:
        """Explain a stretch with some operations, `without` another; return the duplicates that left it.

        None where nothing explains it so. Of what was taken only duplicates are known to be applied.
        """
        known, ids = stretch.known, frozenset(map(id, needed))
        self._applied -= set(map(id, stretch.used))
        free = [op for op in self._free(stretch.said, stretch.since_s, stretch.after) if op is not without]
        free.sort(key=lambda op: id(op) not in ids)
        path = self._search.path(stretch.said, stretch.start, free, needed=ids)
        if path is None:
            return None
        *between, last = path
        for step in between:
            step.is_guessed = True
        self._add_totals(stretch, last.session)
        end = next(at for at, step in enumerate(self.trail) if step is stretch.last)
        self.trail[end - len(stretch.between) : end] = between
        self.outcome.steps += between
        stretch.between = between
        self._applied |= set(map(id, stretch.used))
        return [op for op in known if id(op) not in self._applied and op is not without]

    def _add_totals(self, stretch: Stretch, end: Session) -> None:
        """Let a stretch end with the totals of another session, and what comes after count on from there."""
        totals = zip(totals_of(end), totals_of(stretch.last.session), strict=True)
        more = [new - old for new, old in totals]
        if not any(more):
            return
        first = next(at for at, step in enumerate(self.trail) if step is stretch.last)
        later = next(at for at, one in enumerate(self._stretches) if one is stretch) + 1
        after = [step.session for step in self.trail[first:]]
        for session in (*after, *(one.start for one in self._stretches[later:])):
            set_totals(session, tuple(map(add, totals_of(session), more)))

    def _paid_seconds(self) -> float:
        """Return for how many seconds the player's oven has cooked."""
        first, last = self.trail[0].session, self.trail[-1].session
        rates = rates_of(first, self._catalogue)
        if not rates.dishes_per_second:
            return 0.0
        by_hand = rates.cook_gain * (last.clicks - first.clicks)
        return (last.cooked - first.cooked - by_hand) / rates.dishes_per_second

    def _why(self, said: Said) -> str:
        kind = said.change or "a state"
        try:
            state = copy_of(self.trail[-1].session)
            if said.operation is not None:
                play(state, said.operation, self._catalogue)
        except Refusal as refusal:
            return f"{kind} of {said.version} must have been refused with {refusal.code}"
        told = [text for facts in said.facts for text in differences(state, facts)]
        return f"{kind} of {said.version} (before: {self._version}): {'; '.join(told) or 'applied by nobody'}"

    def _lost(self, said: Said) -> list[Operation]:
        """Name what was answered, and was perhaps lost and applied once more, since it was sent again."""
        if not self._losses:
            return []
        again = [op for op in self._all if op.applied and len(op.attempts) > 1]
        return [op for op in again if id(op) not in self._applied and op.sent_s <= said.last_heard_s]

    # Between two things that were said.

    def _path(self, said: Said, start: Session, most: int = MOST_STATES) -> list[Step] | None:
        """Find the fewest hidden operations that lead to what was said; None where none do."""
        return self._search.path(said, start, self._free(said, self.trail[-1].heard_s, self._version), most)

    def _free(self, said: Said, since_s: float, after: int) -> list[Operation]:
        """Return what may have been applied between a state that was heard of at `since_s` and what was said.

        That state had the version `after`: what was known to be applied by then was not applied later, unless
        it was lost. Of operations with one effect those that were known to be applied soonest come first.
        """
        free = [
            op
            for op in self._open
            if id(op) not in self._applied
            and op.sent_s <= said.last_heard_s
            and (self._losses or op.known_at > after)
            and (op.duplicates or op.last_sent_s >= since_s - _ON_ITS_WAY_S)
        ]
        return sorted(free, key=lambda op: (op.known_at, op.sent_s))

    def _walk(self, path: list[Step], said: Said) -> None:
        *between, last = path
        self.outcome.hidden += len(between)
        before = self.trail[-1]
        if between:
            facts = [*said.facts, facts_in_play(last.session)]
            end = replace(said, operation=last.operation, facts=facts)
            start = copy_of(before.session)
            self._stretches.append(Stretch(start, self._version, before.heard_s, end, between, last))
        for step in path:
            # A request without an answer may have been applied before what is known, or after it.
            step.is_guessed = bool(between)
            before.is_guessed = before.is_guessed or bool(between)
            step.since_s = before.since_s if step.operation is None else step.operation.sent_s
            before.until_s, before = said.heard_s, step
        self.outcome.steps += path
        self.trail += between
        if said.change:
            last.change = Change(said.version, said.change, said.heard_s, said.operation)
        self.trail.append(last)
        self._applied |= {id(step.operation) for step in path if step.operation is not None}
        self._version = max(self._version, said.version)

    def _fell_back(self, said: Said) -> bool:
        """Let the session be what it was before a losing fault, if that explains what was said."""
        losses = [fault for fault in self._losses if fault.at_s <= said.last_heard_s]
        for back in range(len(self.trail) - 1, 0, -1):
            losses = [fault for fault in losses if self._may_lose(fault, self.trail[back])]
            if not losses:
                return False
            kept, gone = self.trail[:back], self.trail[back:]
            self.trail, before = kept, self._applied
            self._applied = {id(step.operation) for step in kept}
            lost = [step.operation for step in gone if step.operation is not None]
            known = {id(operation) for operation in self._open}
            self._open += [op for op in lost if id(op) not in known and len(op.attempts) > 1]
            path = self._path(said, kept[-1].session, _MOST_STATES_BACK)
            if path is not None:
                self.outcome.lost += len(lost)
                held = set(map(id, kept))
                self._stretches = [one for one in self._stretches if id(one.last) in held]
                self._walk(path, said)
                return True
            self.trail, self._applied = kept + gone, before
        return False

    def _may_lose(self, fault: Faulted, step: Step) -> bool:
        """Tell whether a fault may have lost a step: one that nobody heard of, or somebody by its end."""
        if step.heard_s < fault.at_s - LOST_BY_S or (fault.loses == UNANSWERED and _was_answered(step)):
            return False
        return step.change is None or step.heard_s <= self._faults.deadline_s(fault.ended_s, HEARD_WITHIN_S)


def _was_answered(step: Step) -> bool:
    return step.change is not None and step.change.operation is not None


def _named(operation: Operation) -> str:
    tag = f" {operation.asked['client']}/{operation.asked['seq']}" if "seq" in operation.asked else ""
    return f"{operation.request_type}{tag}"
