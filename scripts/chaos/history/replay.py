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
from typing import TYPE_CHECKING, Final

from game.errors import Refusal
from game.rates import rates_of
from scripts.chaos.history.again import Again
from scripts.chaos.history.course import Course
from scripts.chaos.history.facts import differences, facts_in_play, facts_of_session, totals_of
from scripts.chaos.history.order import LOST_BY_S
from scripts.chaos.history.places import Places
from scripts.chaos.history.rearranged import Rearrangement
from scripts.chaos.history.said import Said, by_version, copy_of, play

if TYPE_CHECKING:
    from game.catalogue import Catalogue
    from game.session import Session
    from scripts.chaos.history.events import Faulted, History
    from scripts.chaos.history.steps import Replayed, Step
    from scripts.chaos.history.timeline import Operation, Timeline

UNANSWERED: Final = "unanswered"
"""What a fault may lose where replicas are waited for."""
ALL: Final = "all"
"""What a fault may lose where none is waited for."""

_MOST_STATES_BACK: Final = 50
"""How many states are tried for each one that a session may have fallen back to."""
HEARD_WITHIN_S: Final = 2.0
"""How long after a fault a tab may hear of what that lost; longer by other faults and standstills."""

_ROUNDED_S: Final = 5.0
"""How much more income than for the time between two looks at a clock may be paid: parts of seconds."""


def replay(player: str, history: History, timeline: Timeline, catalogue: Catalogue) -> Replayed:
    """Play one player's changes through the rules; the first thing that does not fit ends it."""
    course = Course(player, history.start[player], timeline, catalogue)
    play_back = _Replay(player, course, history, timeline, catalogue)
    said = None
    try:
        for said in by_version(player, timeline):
            play_back.take(said)
        play_back.finish()
    except _UnexplainedError as error:
        course.outcome.fault = f"{player}: {error}"
        course.outcome.fault_version = 0 if said is None else said.version
    course.outcome.changes = [step.change for step in course.trail if step.change is not None]
    return course.outcome


class _UnexplainedError(Exception):
    """Nothing that was asked for explains what was said."""


class _Replay:
    def __init__(
        self, player: str, course: Course, history: History, timeline: Timeline, catalogue: Catalogue
    ) -> None:
        self._course = course
        self._places = Places(course)
        self._again = Again(course)
        self._catalogue = catalogue
        self._faults = timeline.faults
        self._end = history.live.get(player) or history.saved.get(player)
        given_s = sum(fault.gives_s for fault in timeline.faults.faults)
        self._most_s = history.stored_s - history.began_s + given_s + _ROUNDED_S

    def take(self, said: Said) -> None:
        """Go on to what was said of a version."""
        operation = said.operation
        if operation is not None and id(operation) in self._course.applied:
            if self._fell_back(said):
                return
            if not self._places.leave(operation):
                raise _UnexplainedError(f"{_named(operation)} counts twice, again at {said.version}")
        # Reads of what was there before the last change came late.
        if not said.change and said.version < self._course.version:
            return
        path = self._course.path_to(said, self._course.trail[-1].session)
        if path is None and self._fell_back(said):
            return
        path = path or self._places.of_one_taken(said)
        if path is not None:
            self._again.walk(path, said)
        elif self._course.losses or not self._again.otherwise(said):
            raise _UnexplainedError(self._why(said))

    def finish(self) -> None:
        """Hold the end against what is stored, and each duplicate against what was applied."""
        if self._end is not None and self._walk_to_end(self._end):
            return
        if not self._course.losses:
            self._places.place_duplicates()
        totals = None if self._end is None else totals_of(self._end)
        if not self._places.is_complete(totals):
            Rearrangement(self._course, totals).place_all()
        for operation in [] if self._course.losses else self._places.lacking():
            raise _UnexplainedError(f"{_named(operation)} was a duplicate, and never applied")
        if self._end is not None and not self._places.is_complete(totals):
            raise _UnexplainedError(self._why(_stored(self._end)))
        paid_s = 0.0 if self._course.losses else self._paid_seconds()
        if paid_s > self._most_s:
            raise _UnexplainedError(f"was paid {paid_s:.0f} s of income in {self._most_s:.0f} s")

    def _walk_to_end(self, stored: Session) -> bool:
        """Go on to what is stored; tell whether the session lost something by then."""
        end = _stored(stored)
        path = self._course.path_to(end, self._course.trail[-1].session)
        if path is None and self._fell_back(end):
            return True
        if path is None:
            # What a reset had hidden shows in the totals alone, and is looked for when all else is known.
            in_play = replace(end, facts=[facts_in_play(stored)])
            path = self._course.path_to(in_play, self._course.trail[-1].session)
            if path is None and not self._course.losses and self._again.otherwise(in_play):
                return False
        if path is None:
            raise _UnexplainedError(self._why(end))
        self._course.walk(path, end)
        return False

    def _paid_seconds(self) -> float:
        """Return for how many seconds the player's oven has cooked."""
        first, last = self._course.trail[0].session, self._course.trail[-1].session
        rates = rates_of(first, self._catalogue)
        if not rates.dishes_per_second:
            return 0.0
        by_hand = rates.cook_gain * (last.clicks - first.clicks)
        return (last.cooked - first.cooked - by_hand) / rates.dishes_per_second

    def _why(self, said: Said) -> str:
        kind = said.change or "a state"
        try:
            state = copy_of(self._course.trail[-1].session)
            if said.operation is not None:
                play(state, said.operation, self._catalogue)
        except Refusal as refusal:
            return f"{kind} of {said.version} must have been refused with {refusal.code}"
        told = [text for facts in said.facts for text in differences(state, facts)]
        why = "; ".join(told) or "applied by nobody"
        return f"{kind} of {said.version} (before: {self._course.version}): {why}"

    def _fell_back(self, said: Said) -> bool:
        """Let the session be what it was before a losing fault, if that explains what was said."""
        losses = [fault for fault in self._course.losses if fault.at_s <= said.last_heard_s]
        for back in range(len(self._course.trail) - 1, 0, -1):
            losses = [fault for fault in losses if self._may_lose(fault, self._course.trail[back])]
            if not losses:
                return False
            kept, gone = self._course.trail[:back], self._course.trail[back:]
            self._course.trail, before = kept, self._course.applied
            self._course.applied = {id(step.operation) for step in kept}
            lost = [step.operation for step in gone if step.operation is not None]
            known = {id(operation) for operation in self._course.open}
            self._course.open += [op for op in lost if id(op) not in known and len(op.attempts) > 1]
            path = self._course.path_to(said, kept[-1].session, _MOST_STATES_BACK)
            if path is not None:
                self._course.outcome.lost += len(lost)
                held = set(map(id, kept))
                self._course.stretches = [one for one in self._course.stretches if id(one.last) in held]
                self._course.walk(path, said)
                return True
            self._course.trail, self._course.applied = kept + gone, before
        return False

    def _may_lose(self, fault: Faulted, step: Step) -> bool:
        """Tell whether a fault may have lost a step: one that nobody heard of, or somebody by its end."""
        if step.heard_s < fault.at_s - LOST_BY_S or (fault.loses == UNANSWERED and _was_answered(step)):
            return False
        return step.change is None or step.heard_s <= self._faults.deadline_s(fault.ended_s, HEARD_WITHIN_S)


def _stored(session: Session) -> Said:
    return Said(session.version, float("inf"), float("inf"), [facts_of_session(session)])


def _was_answered(step: Step) -> bool:
    return step.change is not None and step.change.operation is not None


def _named(operation: Operation) -> str:
    tag = f" {operation.asked['client']}/{operation.asked['seq']}" if "seq" in operation.asked else ""
    return f"{operation.request_type}{tag}"
