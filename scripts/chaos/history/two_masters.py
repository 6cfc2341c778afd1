"""Two masters: the changes of one that was given up later, told apart from those that hold.

Where no replica is waited for, an old master may serve on for seconds while another one serves already. Both
count on from one state, so their changes cannot be played in one order of versions: two may have the same
version, and one master's versions lie between the other's. What the old one took then is lost with it
(decision 11).

A part of what tabs heard is put down to such a master only where all of this holds:

- a fault was under way by which Redis may lose what it answered, and all of the part was heard within it;
- it is all that some connections heard from one moment to another one, and no other connection heard of any
  of it, since a process has one master at a time; other connections were served within the fault too. What
  was heard of a version that two requests were answered with may be of either master, also where both say
  the same;
- it replays through the rules by itself, from a state that the session had before;
- what is left replays further than before, without any of it.

Everything else that does not replay is a violation as it is anywhere.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field, replace
from itertools import combinations, islice
from typing import TYPE_CHECKING, Final

from scripts.chaos.history.events import Faulted, Heard, History, Lagged, Opened, Sent
from scripts.chaos.history.facts import facts_of, facts_of_session
from scripts.chaos.history.order import LOST_BY_S
from scripts.chaos.history.replay import ALL, replay
from scripts.chaos.history.timeline import UNDECIDED, Timeline

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from game.catalogue import Catalogue
    from scripts.chaos.history.events import Event
    from scripts.chaos.history.steps import Replayed, Step
    from scripts.chaos.history.timeline import Line

_MOST_PARTS: Final = 60
"""How many parts of a history are tried for each change that does not replay."""
_MOST_LINES: Final = 3
"""How many connections of a player may have been at the old master at once."""
_MOST_STATES: Final = 60
_ON_ANOTHER_MASTER_MS: Final = 1_000
"""A version grows by more than this where a process comes to another master (decision 11)."""

_Spans = dict[int, list[Heard]]
"""What each connection heard from the old master, by its number."""


@dataclass(slots=True)
class Apart:
    """A player's changes that hold, and the numbers (`id`) of events of masters that were given up."""

    replayed: Replayed
    given_up: set[int] = field(default_factory=set)


@dataclass(frozen=True, slots=True)
class _Part:
    """What some connections may have heard from an old master during a fault."""

    own: History
    timeline: Timeline
    window: Faulted
    spans: _Spans

    @property
    def given_up(self) -> set[int]:
        """The messages, and the requests that they answer, each by its `id`."""
        gone = {id(heard) for span in self.spans.values() for heard in span}
        for connection, span in self.spans.items():
            attempts = self.timeline.lines[connection].attempts
            gone |= {id(attempts[heard.request].sent) for heard in span if heard.request in attempts}
        return gone

    def history(self) -> History:
        """Make a history of it: what was heard, and what was asked for, also without an answer.

        What it called a duplicate it may have applied before; only what that says of the session counts.
        """
        events: list[Event] = []
        duplicates: set[int] = set()
        wanted = self.given_up | set(map(id, self._undecided()))
        for event in self.own.events:
            if isinstance(event, Opened):
                events.append(event)
            elif not isinstance(event, Heard | Sent) or id(event) not in wanted:
                continue
            elif isinstance(event, Heard) and event.data.get("duplicate"):
                duplicates.add(event.request)
                events.append(replace(event, request=0))
            else:
                events.append(event)
        events = [each for each in events if not (isinstance(each, Sent) and each.request in duplicates)]
        return replace(self.own, events=events, live={}, saved={})

    def _undecided(self) -> Iterator[Sent]:
        until_s = max(span[-1].at_s for span in self.spans.values())
        for line in self.timeline.lines.values():
            for attempt in line.attempts.values():
                codes = {answer.data.get("code", "") for answer in attempt.answers}
                if codes <= UNDECIDED and self.window.at_s <= attempt.sent.at_s <= until_s:
                    yield attempt.sent


def replay_apart(player: str, history: History, timeline: Timeline, catalogue: Catalogue) -> Apart:
    """Play one player's changes; where they do not fit, look for those of a master that was given up."""
    found = Apart(replay(player, history, timeline, catalogue))
    windows = [fault for fault in timeline.faults.faults if fault.loses == ALL]
    while found.replayed.fault and windows:
        own = _of_player(player, without(history, found.given_up))
        further = _further(player, own, found, windows, catalogue)
        if further is None:
            break
        found = further
    return found


def without(history: History, given_up: Collection[int]) -> History:
    """Leave out of a history what was given up."""
    return replace(history, events=[event for event in history.events if id(event) not in given_up])


def _of_player(player: str, history: History) -> History:
    """Leave in a history what concerns one player."""
    opened = (event for event in history.events if isinstance(event, Opened))
    numbers = {event.connection for event in opened if event.player == player}
    events = [
        event
        for event in history.events
        if isinstance(event, Faulted | Lagged) or getattr(event, "connection", 0) in numbers
    ]
    return replace(history, events=events)


def _further(
    player: str, own: History, before: Apart, windows: Sequence[Faulted], catalogue: Catalogue
) -> Apart | None:
    """Find the part that leaves the history which replays furthest, and further than before."""
    timeline = Timeline.of(own)
    version = before.replayed.fault_version
    furthest, reached = None, version
    parts = (part for window in windows for part in _parts(timeline, own, window, version))
    for part in islice(parts, _MOST_PARTS):
        lost = _replayed_alone(player, part, before.replayed.steps, catalogue)
        if lost is None:
            continue
        gone = part.given_up
        rest = without(own, gone)
        left = replay(player, rest, Timeline.of(rest), catalogue)
        if left.fault and left.fault_version <= reached:
            continue
        left.given_up = before.replayed.given_up + len(lost.changes)
        for step in lost.steps:
            step.since_s, step.until_s = part.window.at_s, part.window.ended_s
        left.steps[:0] = lost.steps
        furthest, reached = Apart(left, before.given_up | gone), left.fault_version
        if not left.fault:
            break
    return furthest


def _parts(timeline: Timeline, own: History, window: Faulted, version: int) -> Iterator[_Part]:
    """Yield what may have been heard from the old master within a fault, around a version or before."""
    lines = list(timeline.lines.values())
    first_s = min(
        (each.at_s for line in lines for each in _versioned(line) if each.data["version"] == version),
        default=0.0,
    )
    if not window.at_s <= first_s <= window.ended_s + LOST_BY_S:
        return
    heard = {
        line.opened.connection: [
            each for each in _versioned(line) if window.at_s <= each.at_s <= window.ended_s
        ]
        for line in lines
    }
    heard = {connection: each for connection, each in heard.items() if each}
    by_version: dict[int, list[Heard]] = defaultdict(list)
    for line in lines:
        for each in _versioned(line):
            by_version[each.data["version"]].append(each)
    for given_twice in _given_twice(timeline):
        by_version[given_twice].clear()
    for count in range(1, min(_MOST_LINES, len(heard) - 1) + 1):
        for connections in combinations(heard, count):
            spans = {
                connection: _alone(heard[connection], version, connections, by_version)
                for connection in connections
            }
            if all(spans.values()):
                yield from (_Part(own, timeline, window, each) for each in _shorter(spans, version))


def _versioned(line: Line) -> Iterator[Heard]:
    for heard in line.heard:
        if heard.request_type not in ("error", "achievement") and "version" in heard.data:
            yield heard


def _given_twice(timeline: Timeline) -> Iterator[int]:
    """Yield the versions that more than one request was answered with: each master gave one."""
    answered = Counter(
        answer.data["version"]
        for operations in timeline.operations.values()
        for operation in operations
        for answer in operation.applied
    )
    return (version for version, times in answered.items() if times > 1)


def _alone(
    heard: Sequence[Heard],
    version: int,
    connections: Collection[int],
    by_version: Mapping[int, Sequence[Heard]],
) -> list[Heard]:
    """Return what a connection heard around a version, and no connection but `connections` heard of."""
    at = max((at for at, each in enumerate(heard) if each.data["version"] <= version), default=-1)
    if at < 0:
        return []

    def is_shared(each: Heard) -> bool:
        others = by_version[each.data["version"]]
        return any(one.connection not in connections and _agree(one, each) for one in others)

    first = last = at
    if is_shared(heard[at]):
        return []
    while first > 0 and not is_shared(heard[first - 1]):
        first -= 1
    while last + 1 < len(heard) and not is_shared(heard[last + 1]):
        last += 1
    return list(heard[first : last + 1])


def _agree(one: Heard, other: Heard) -> bool:
    """Tell whether two messages of one version may be of one state."""
    said, held = facts_of(one.request_type, one.data), facts_of(other.request_type, other.data)
    return all(held.get(name, value) == value for name, value in said.items())


def _shorter(spans: _Spans, version: int) -> Iterator[_Spans]:
    """Yield spans as they are, and from or to where a process may have come to another master.

    That is where versions jump; or right before the version that does not replay, since the master that
    stays may have counted nearly as far.
    """
    yield spans
    begun = {connection: _from_jump(span, version) for connection, span in spans.items()}
    for first in (spans, begun):
        if first != spans:
            yield first
        for to in (_to_jump, _to_version):
            ended = {connection: to(span, version) for connection, span in first.items()}
            if ended != first and all(ended.values()):
                yield ended


def _from_jump(span: list[Heard], version: int) -> list[Heard]:
    jumps = [at for at in _jumps(span) if span[at].data["version"] <= version]
    return span[max(jumps, default=0) :]


def _to_jump(span: list[Heard], version: int) -> list[Heard]:
    jumps = [at for at in _jumps(span) if span[at].data["version"] > version]
    return span[: min(jumps, default=len(span))]


def _to_version(span: list[Heard], version: int) -> list[Heard]:
    return [heard for heard in span if heard.data["version"] < version]


def _jumps(span: Sequence[Heard]) -> Iterator[int]:
    for at in range(1, len(span)):
        if span[at].data["version"] - span[at - 1].data["version"] > _ON_ANOTHER_MASTER_MS:
            yield at


def _replayed_alone(player: str, part: _Part, steps: Sequence[Step], catalogue: Catalogue) -> Replayed | None:
    """Play a part by itself, from some state that the session had; None where none leads to it."""
    heard = [each for span in part.spans.values() for each in span]
    first_s, first_version = min(each.at_s for each in heard), min(each.data["version"] for each in heard)
    history = part.history()
    timeline = Timeline.of(history)
    tried: set[str] = set()
    for step in reversed(steps):
        state = repr(facts_of_session(step.session))
        if not part.window.at_s - LOST_BY_S <= step.heard_s <= first_s or state in tried:
            continue
        tried.add(state)
        if len(tried) > _MOST_STATES:
            return None
        session = replace(step.session, bought=dict(step.session.bought), version=first_version - 1)
        alone = replay(player, replace(history, start={player: session}), timeline, catalogue)
        if not alone.fault and alone.changes:
            return alone
    return None
