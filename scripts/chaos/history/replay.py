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

from collections import deque
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

from game import rules
from game.errors import Refusal
from game.rates import rates_of
from game.rules import LiveSession
from scripts.chaos.history.facts import Facts, differences, facts_of, facts_of_session
from scripts.chaos.history.timeline import CHANGING, Operation

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from game.catalogue import Catalogue
    from game.session import Session
    from scripts.chaos.history.events import History
    from scripts.chaos.history.timeline import Timeline

_CAP_S: Final = 28_800
_MOST_STATES: Final = 20_000
_ON_ITS_WAY_S: Final = 30.0
"""How long after its sending a request without an answer may still reach Redis: longer than any fault."""

_FALLS_BACK_BY_S: Final = 20.0
"""How long before a losing fault a change may have been heard of and be lost all the same."""


@dataclass(slots=True)
class Change:
    """One step of a session that somebody heard of; `operation` is None where the sender never knew."""

    version: int
    kind: str
    heard_s: float
    operation: Operation | None


@dataclass(slots=True)
class Replayed:
    """What became of one player: the changes that hold, and the first thing that nothing explains."""

    changes: list[Change] = field(default_factory=list)
    hidden: int = 0
    lost: int = 0
    fault: str = ""


@dataclass(slots=True)
class _Said:
    """All that was said of one version."""

    version: int
    heard_s: float
    last_heard_s: float
    facts: list[Facts] = field(default_factory=list)
    change: str = ""
    operation: Operation | None = None
    applied: int | None = None


@dataclass(slots=True)
class _Step:
    """A state on the way, and what led to it: an operation, or what some other change was."""

    session: Session
    heard_s: float
    operation: Operation | None = None
    change: Change | None = None


def replay(player: str, history: History, timeline: Timeline, catalogue: Catalogue) -> Replayed:
    """Play one player's changes through the rules; the first thing that does not fit ends it."""
    course = _Course(player, history, timeline, catalogue)
    try:
        for said in _by_version(player, timeline):
            course.take(said)
        course.finish()
    except _UnexplainedError as error:
        course.outcome.fault = f"{player}: {error}"
    course.outcome.changes = [step.change for step in course.trail if step.change is not None]
    return course.outcome


class _UnexplainedError(Exception):
    """Nothing that was asked for explains what was said."""


class _Course:
    def __init__(self, player: str, history: History, timeline: Timeline, catalogue: Catalogue) -> None:
        self.outcome = Replayed()
        start = history.start[player]
        self.trail = [_Step(start, float("-inf"))]
        self._catalogue = catalogue
        self._version = start.version
        self._applied: set[int] = set()
        self._open = [op for op in timeline.operations[player] if op.may_be_applied]
        self._losses = [fault for fault in timeline.faults.faults if fault.loses]
        self._end = history.live.get(player) or history.saved.get(player)
        self._pays = rates_of(start, catalogue).passive

    def take(self, said: _Said) -> None:
        """Go on to what was said of a version."""
        operation = said.operation
        if operation is not None and id(operation) in self._applied:
            if not self._fell_back(said):
                raise _UnexplainedError(f"{_named(operation)} counts twice, again at {said.version}")
            return
        # Reads of what was there before the last change came late.
        if not said.change and said.version < self._version:
            return
        path = self._path(said, self.trail[-1].session)
        if path is None and not self._fell_back(said):
            raise _UnexplainedError(self._why(said))
        if path is not None:
            self._walk(path, said)

    def finish(self) -> None:
        """Hold the end against what is stored, and each duplicate against what was applied."""
        if self._end is not None:
            stored = facts_of_session(self._end)
            end = _Said(self._end.version, float("inf"), float("inf"), [stored])
            path = self._path(end, self.trail[-1].session)
            if path is not None:
                self._walk(path, end)
            elif not self._fell_back(end):
                raise _UnexplainedError(self._why(end))
        if self._losses:
            return
        used = [step.operation for step in self.trail if step.operation is not None]
        free = [used_one.effect for used_one in used if not (used_one.duplicates or used_one.applied)]
        for operation in self._open:
            if operation.duplicates and id(operation) not in self._applied:
                if operation.effect not in free:
                    raise _UnexplainedError(f"{_named(operation)} was a duplicate, and never applied")
                free.remove(operation.effect)

    def _why(self, said: _Said) -> str:
        kind = said.change or "a state"
        try:
            state = _copy(self.trail[-1].session)
            if said.operation is not None:
                _play(state, said.operation, self._catalogue)
        except Refusal as refusal:
            return f"{kind} of {said.version} must have been refused with {refusal.code}"
        told = [text for facts in said.facts for text in differences(state, facts)]
        return f"{kind} of {said.version} (before: {self._version}): {'; '.join(told) or 'applied by nobody'}"

    # Between two things that were said.

    def _path(self, said: _Said, start: Session) -> list[_Step] | None:
        """Find the fewest hidden operations that lead to what was said; None where none do."""
        since_s = self.trail[-1].heard_s - _ON_ITS_WAY_S
        free = [
            op
            for op in self._open
            if id(op) not in self._applied
            and op.sent_s <= said.last_heard_s
            and (op.duplicates or op.last_sent_s >= since_s)
        ]
        # Of operations with one effect those that are known to be applied come first.
        free.sort(key=lambda op: (not op.duplicates, op.sent_s))
        waiting: deque[tuple[list[_Step], list[Operation]]] = deque([([_Step(start, 0)], free)])
        seen: set[object] = set()
        while waiting and len(seen) < _MOST_STATES:
            steps, left = waiting.popleft()
            for last in self._last_steps(steps[-1].session, left, said):
                if self._fits(last.session, said):
                    return [*steps[1:], last]
            tried = set()
            for operation in left:
                if operation.effect in tried:
                    continue
                tried.add(operation.effect)
                session = _copy(steps[-1].session)
                try:
                    _play(session, operation, self._catalogue)
                except Refusal:
                    continue
                if session == steps[-1].session:
                    continue  # a `level_up` without enough xp
                rest = [other for other in left if other is not operation]
                key = (repr(facts_of_session(session)), tuple(sorted(op.effect for op in rest)))
                if key not in seen:
                    seen.add(key)
                    waiting.append(([*steps, _Step(session, said.heard_s, operation)], rest))
        return None

    def _last_steps(self, before: Session, left: Sequence[Operation], said: _Said) -> Iterator[_Step]:
        """Yield the ways to end with what was said: nothing more, the operation, or one of its kind."""
        if not said.change:
            yield _Step(_copy(before), said.heard_s)
            return
        options: Iterable[Operation] = [said.operation] if said.operation is not None else left
        for operation in options:
            if operation.request_type != said.change:
                continue
            session = _copy(before)
            try:
                _play(session, operation, self._catalogue)
            except Refusal:
                continue
            if said.applied is None or session.clicks - before.clicks == said.applied:
                yield _Step(session, said.heard_s, operation)

    def _fits(self, session: Session, said: _Said) -> bool:
        if self._pays:
            self._pay(session, said)
        return not any(differences(session, facts) for facts in said.facts)

    def _pay(self, session: Session, said: _Said) -> None:
        """Give a player with income so many seconds of it as what was said implies; whole ones only."""
        rates = rates_of(session, self._catalogue)
        for facts in said.facts:
            seconds = (facts.get("dishes", session.dishes) - session.dishes) / rates.dishes_per_second
            if seconds > 0 and seconds == int(seconds):
                session.dishes += seconds * rates.dishes_per_second
                session.cooked += seconds * rates.dishes_per_second
                session.xp += seconds * rates.xp_per_second

    def _walk(self, path: list[_Step], said: _Said) -> None:
        *between, last = path
        self.outcome.hidden += len(between)
        self.trail += between
        if said.change:
            last.change = Change(said.version, said.change, said.heard_s, said.operation)
        self.trail.append(last)
        self._applied |= {id(step.operation) for step in path if step.operation is not None}
        self._version = max(self._version, said.version)

    def _fell_back(self, said: _Said) -> bool:
        """Let the session be what it was before a losing fault, if that explains what was said."""
        for fault in self._losses:
            if fault.at_s > said.last_heard_s:
                continue
            for back in range(len(self.trail) - 1, 0, -1):
                if self.trail[back].heard_s < fault.at_s - _FALLS_BACK_BY_S:
                    break
                kept, gone = self.trail[:back], self.trail[back:]
                self.trail, before = kept, self._applied
                self._applied = {id(step.operation) for step in kept}
                lost = [step.operation for step in gone if step.operation is not None]
                self._open += [op for op in lost if op not in self._open]
                path = self._path(said, kept[-1].session)
                if path is not None:
                    self.outcome.lost += len(lost)
                    self._walk(path, said)
                    return True
                self.trail, self._applied = kept + gone, before
        return False


def _by_version(player: str, timeline: Timeline) -> list[_Said]:
    """Gather what was said of each version, lowest first."""
    said: dict[int, _Said] = {}
    operations = {
        id(attempt): operation for operation in timeline.operations[player] for attempt in operation.attempts
    }
    for line in timeline.of_player(player):
        for heard in line.heard:
            version, kind = heard.data.get("version"), heard.request_type
            if version is None or kind in ("error", "achievement"):
                continue
            entry = said.setdefault(version, _Said(version, heard.at_s, heard.at_s))
            entry.heard_s = min(entry.heard_s, heard.at_s)
            entry.last_heard_s = max(entry.last_heard_s, heard.at_s)
            entry.facts.append(facts_of(kind, heard.data))
            if kind not in CHANGING or heard.data.get("duplicate"):
                continue
            if kind == "level_up" and "next_xp" not in heard.data:
                continue  # not enough xp: a read
            entry.change = kind
            entry.applied = heard.data.get("applied", entry.applied)
            attempt = line.attempts.get(heard.request)
            if attempt is not None:
                entry.operation = operations[id(attempt)]
    return [said[version] for version in sorted(said)]


def _copy(session: Session) -> Session:
    return replace(session, bought=dict(session.bought))


def _named(operation: Operation) -> str:
    tag = f" {operation.asked['client']}/{operation.asked['seq']}" if "seq" in operation.asked else ""
    return f"{operation.request_type}{tag}"


def _play(session: Session, operation: Operation, catalogue: Catalogue) -> None:
    """Do one request by the rules, at the moment up to which income is paid. Raises Refusal."""
    live, now_us = LiveSession.of(session, catalogue), session.accrued_at_ms * 1000
    kind, count, upgrade_id = operation.effect
    match kind:
        case "cook":
            rules.cook(live, count, now_us)
        case "sell":
            rules.sell(live, count, now_us)
        case "upgrade_buy":
            rules.upgrade_buy(live, upgrade_id, now_us, _CAP_S)
        case "level_up":
            rules.level_up(live, now_us, _CAP_S)
        case _:
            rules.session_reset(live, now_us, _CAP_S)
