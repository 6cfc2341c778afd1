"""Told: each joined connection hears of each change once, or soon of a later state; revoked ones are closed.

"Soon" is within 2 s of the change, of the end of a fault that began before then, and of the end of a
standstill of the recorder. `patience` is a factor of it, for a machine that is busy.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from scripts.chaos.history.events import Revoked
from scripts.chaos.history.facts import differences, facts_of
from scripts.chaos.history.timeline import CHANGING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from game.session import Session
    from scripts.chaos.history.events import History
    from scripts.chaos.history.facts import Facts
    from scripts.chaos.history.steps import Change
    from scripts.chaos.history.timeline import Line, Timeline

TOLD_WITHIN_S: Final = 2.0


@dataclass(frozen=True, slots=True)
class Late:
    """A connection that did not hear of a change in time; `later_s` is how late it was, None for never."""

    line: Line
    change: Change
    later_s: float | None

    def __str__(self) -> str:
        opened = self.line.opened
        when = "never" if self.later_s is None else f"only {self.later_s:.1f} s later"
        return (
            f"{opened.tab} on {opened.server} ({opened.connection}) was {when} sent "
            f"the {self.change.kind} of {self.change.version}"
        )


def late(
    timeline: Timeline, changes: Mapping[str, Sequence[Change]], patience: float, now_s: float
) -> Iterator[Late]:
    """Find connections that did not hear of a change in time; what is not yet due at `now_s` is left.

    An infinite `now_s` makes everything due that a connection which is open has not heard.
    """
    for line in timeline.lines.values():
        joined = line.joined
        if joined is None:
            continue
        own = _own_operations(line)
        states = [heard for heard in line.heard if heard.request_type == "session"]
        pushed_s = {
            heard.data["version"]: heard.at_s for heard in line.heard if heard.request_type in CHANGING
        }
        for change in changes[line.opened.player]:
            if change.version <= joined.data["version"]:
                continue
            if change.operation is not None and own.get(id(change.operation), False):
                continue
            due_s = timeline.faults.deadline_s(change.heard_s, patience * TOLD_WITHIN_S)
            if due_s >= min(line.closed_s, now_s) or pushed_s.get(change.version, due_s + 1) <= due_s:
                continue
            later = [each.at_s for each in states if each.data["version"] >= change.version]
            later += [pushed_s[change.version]] if change.version in pushed_s else []
            if not later or min(later) > due_s:
                yield Late(line, change, min(later) - change.heard_s if later else None)


def _own_operations(line: Line) -> dict[int, bool]:
    """Say of each operation sent on a connection whether it was answered there, but for errors."""
    answered: dict[int, bool] = {}
    for attempt in line.attempts.values():
        said = any(answer.request_type != "error" for answer in attempt.answers)
        key = id(attempt.operation)
        answered[key] = answered.get(key, False) or said
    return answered


def repeated(timeline: Timeline) -> Iterator[str]:
    """Say which connection heard of one change more than once."""
    for line in timeline.lines.values():
        kinds = Counter(
            (heard.request_type, heard.data["version"])
            for heard in line.heard
            if heard.request_type in ("cook", "sell", "upgrade_buy", "session_reset")
            and not heard.data.get("duplicate")
        )
        for (kind, version), times in kinds.items():
            if times > 1:
                yield f"{line.opened.tab} ({line.opened.connection}) heard {times} times of {kind} {version}"


def behind(
    timeline: Timeline,
    history: History,
    ends: Mapping[str, Session],
    patience: float = 0,
    now_s: float = 0,
) -> Iterator[str]:
    """Say which connection that is still open shows another state than the one that is stored.

    This finds what no connection heard of. Players with income are left out: theirs moves on by itself.
    """
    for line in timeline.lines.values():
        player = line.opened.player
        if line.joined is None or line.closed_s < float("inf") or player not in ends:
            continue
        if timeline.faults.deadline_s(history.stopped_s, patience * TOLD_WITHIN_S) > now_s:
            continue
        shown: Facts = {}
        for heard in line.heard:
            said = facts_of(heard.request_type, heard.data)
            bought = {**shown.get("all_bought", {}), **said.pop("bought", {})}
            shown |= {"all_bought": bought} | said
        if found := differences(ends[player], shown):
            yield f"{line.opened.tab} ({line.opened.connection}) stays behind: {'; '.join(found)}"


def still_open(timeline: Timeline, history: History) -> Iterator[Line]:
    """Find joined connections of revoked log-ins that are open."""
    dead = {(event.player, event.family) for event in history.events if isinstance(event, Revoked)}
    for line in timeline.lines.values():
        if line.joined and line.closed is None and (line.opened.player, line.opened.family) in dead:
            yield line


def revoked(timeline: Timeline, history: History, patience: float) -> Iterator[str]:
    """Say which connection of a revoked log-in was not closed in time, or played on."""
    for event in history.events:
        if not isinstance(event, Revoked):
            continue
        due_s = timeline.faults.deadline_s(event.at_s, patience * TOLD_WITHIN_S)
        for line in timeline.of_player(event.player):
            if line.opened.family != event.family or line.joined is None:
                continue
            name = f"{line.opened.tab} on {line.opened.server} ({line.opened.connection})"
            if line.closed_s > due_s and history.ended_s > due_s:
                yield f"{name} was open {line.closed_s - event.at_s:.1f} s after its log-in was revoked"
            played = [
                answer
                for attempt in line.attempts.values()
                if attempt.sent.at_s > due_s
                for answer in attempt.answers
                if answer.request_type != "error"
            ]
            if played:
                yield f"{name} played on with a revoked log-in: {len(played)} answers"
