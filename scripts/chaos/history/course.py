"""The way of a player's session that explains what was said: its steps, and which operation each one was."""

from __future__ import annotations

from dataclasses import replace
from operator import add
from typing import TYPE_CHECKING, Final, TypeAlias

from game.rates import rates_of
from scripts.chaos.history.facts import facts_in_play, set_totals, totals_of
from scripts.chaos.history.said import Said, copy_of
from scripts.chaos.history.search import MOST_STATES, Search
from scripts.chaos.history.steps import RESET, Change, Replayed, Step, Stretch

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from game.catalogue import Catalogue
    from game.session import Session
    from scripts.chaos.history.timeline import Operation, Timeline

ON_ITS_WAY_S: Final = 30.0
"""How long after its sending a request without an answer may still reach Redis: longer than any fault."""

_Totals: TypeAlias = "list[tuple[float, ...]]"
_Mark: TypeAlias = "tuple[list[Step], list[Stretch], set[int], int, list[Step], int]"
_Places: TypeAlias = "tuple[list[Step], list[Operation | None], list[list[Step]], set[int], _Totals]"
"""The steps, the operation of each, the hidden steps of each stretch, what is taken to be applied, and the
totals of the sessions.
"""


class Course:
    """What is found of one player so far, up to `version`.

    `applied` are the operations that are taken to be, by their `id`, `open` those that may be without an
    answer that says so. `losses` are the faults by which Redis may lose something.
    """

    def __init__(self, player: str, start: Session, timeline: Timeline, catalogue: Catalogue) -> None:
        self.outcome = Replayed()
        self.trail = [Step(start, float("-inf"))]
        self.outcome.steps += self.trail
        self.version = start.version
        self.applied: set[int] = set()
        self.stretches: list[Stretch] = []
        self.all = timeline.operations[player]
        self.open = [op for op in self.all if op.may_be_applied]
        self.losses = [fault for fault in timeline.faults.faults if fault.loses]
        pays = rates_of(start, catalogue).passive
        self.search = Search(catalogue, self.lost, pays=pays, loses=bool(self.losses))

    def path_to(self, said: Said, start: Session, most: int = MOST_STATES) -> list[Step] | None:
        """Find the fewest hidden operations that lead to what was said; None where none do."""
        return self.search.path(said, start, self.free(said, self.trail[-1].heard_s, self.version), most)

    def ways_to(self, said: Said, start: Session) -> Iterator[list[Step]]:
        """Yield all ways to what was said, as `path_to` finds the first."""
        return self.search.paths(said, start, self.free(said, self.trail[-1].heard_s, self.version))

    def free(self, said: Said, since_s: float, after: int) -> list[Operation]:
        """Return what may have been applied between a state that was heard of at `since_s` and what was said.

        That state had the version `after`: what was known to be applied by then was not applied later, unless
        it was lost. Of operations with one effect those that were known to be applied soonest come first.
        """
        free = [
            op
            for op in self.open
            if id(op) not in self.applied
            and op.sent_s <= self.sent_by_s(said)
            and (self.losses or op.known_at > after)
            and (op.duplicates or op.last_sent_s >= since_s - ON_ITS_WAY_S)
        ]
        return sorted(free, key=lambda op: (op.known_at, op.sent_s))

    def sent_by_s(self, said: Said) -> float:
        """Return by when that was sent which led to what was said: when it was heard first.

        Where something is lost, two masters may have given one version.
        """
        return said.last_heard_s if self.losses else said.heard_s

    def lost(self, said: Said) -> list[Operation]:
        """Name what was answered, and was perhaps lost and applied once more, since it was sent again."""
        if not self.losses:
            return []
        again = [op for op in self.all if op.applied and len(op.attempts) > 1]
        return [op for op in again if id(op) not in self.applied and op.sent_s <= said.last_heard_s]

    def walk(self, path: list[Step], said: Said) -> None:
        """Go a path that was found."""
        *between, last = path
        self.outcome.hidden += len(between)
        before = self.trail[-1]
        is_of_nobody = bool(said.change) and said.operation is None
        if between or is_of_nobody or said.change == RESET:
            facts = [*said.facts, facts_in_play(last.session)]
            end = replace(said, operation=last.operation, facts=facts)
            start = copy_of(before.session)
            times_s = before.heard_s, self.sent_by_s(said)
            self.stretches.append(Stretch(start, self.version, *times_s, end, between, last, is_of_nobody))
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
        self.applied |= {id(step.operation) for step in path if step.operation is not None}
        self.version = max(self.version, said.version)

    def mark(self) -> _Mark:
        """Return what there is now, to `return_to`."""
        steps, hidden = list(self.outcome.steps), self.outcome.hidden
        return list(self.trail), list(self.stretches), set(self.applied), self.version, steps, hidden

    def return_to(self, mark: _Mark) -> None:
        """Take back all that was walked since a mark was made."""
        self.trail, self.stretches, self.applied, self.version, steps, hidden = mark
        self.outcome.steps, self.outcome.hidden = steps, hidden

    def go_back(self, step: Step, version: int) -> None:
        """Take back all that was walked since a step, at which the version was this one."""
        at = next(at for at, each in enumerate(self.trail) if each is step) + 1
        gone = set(map(id, self.trail[at:]))
        self.outcome.hidden -= sum(len(one.between) for one in self.stretches if id(one.last) in gone)
        self.trail = self.trail[:at]
        self.outcome.steps = [each for each in self.outcome.steps if id(each) not in gone]
        self.stretches = [one for one in self.stretches if id(one.last) not in gone]
        self.applied = {id(each.operation) for each in self.trail if each.operation is not None}
        self.version = version

    def explain(
        self, stretch: Stretch, needed: Sequence[Operation], without: Operation | None = None
    ) -> list[Operation] | None:
        """Explain a stretch with some operations, `without` another; return the duplicates that left it.

        None where nothing explains it so. Of what was taken only duplicates are known to be applied.
        """
        known, ids = stretch.known, frozenset(map(id, needed))
        self.applied -= set(map(id, stretch.used))
        free = [op for op in self.free(stretch.said, stretch.since_s, stretch.after) if op is not without]
        free.sort(key=lambda op: id(op) not in ids)
        path = self.search.path(stretch.said, stretch.start, free, needed=ids)
        if path is None:
            return None
        self.go_otherwise(stretch, path)
        self.applied |= set(map(id, stretch.used))
        return [op for op in known if id(op) not in self.applied and op is not without]

    def go_otherwise(self, stretch: Stretch, path: list[Step]) -> None:
        """Go another way over a stretch."""
        *between, last = path
        for step in between:
            step.is_guessed = True
        self._add_totals(stretch, last.session)
        end = next(at for at, step in enumerate(self.trail) if step is stretch.last)
        self.trail[end - len(stretch.between) : end] = between
        self.outcome.steps += between
        stretch.between = between

    def _add_totals(self, stretch: Stretch, end: Session) -> None:
        """Let a stretch end with the totals of another session, and what comes after count on from there."""
        totals = zip(totals_of(end), totals_of(stretch.last.session), strict=True)
        more = [new - old for new, old in totals]
        if not any(more):
            return
        first = next(at for at, step in enumerate(self.trail) if step is stretch.last)
        later = next(at for at, one in enumerate(self.stretches) if one is stretch) + 1
        after = [step.session for step in self.trail[first:]]
        for session in (*after, *(one.start for one in self.stretches[later:])):
            set_totals(session, tuple(map(add, totals_of(session), more)))

    def places(self) -> _Places:
        """Return where all operations are now."""
        between = [stretch.between for stretch in self.stretches]
        operations = [step.operation for step in self.trail]
        return list(self.trail), operations, between, set(self.applied), self._totals()

    def put_back(self, places: _Places) -> None:
        """Put all operations where they were."""
        trail, operations, lists, self.applied, totals = places
        self.trail[:] = trail
        for step, operation in zip(trail, operations, strict=True):
            step.operation = operation
        for stretch, between in zip(self.stretches, lists, strict=True):
            stretch.between = between
        for session, held in zip(self._sessions(), totals, strict=True):
            set_totals(session, held)

    def _totals(self) -> _Totals:
        return [totals_of(session) for session in self._sessions()]

    def _sessions(self) -> list[Session]:
        """Return all sessions that have totals: of the steps, and those with which stretches begin."""
        return [step.session for step in self.trail] + [stretch.start for stretch in self.stretches]
