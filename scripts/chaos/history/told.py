"""Told: each joined connection hears of each change once, or soon of a later state; revoked ones are closed.

"Soon" is within 2 s of the change, of the end of a fault that began before then, and of the end of a
standstill of the recorder. `patience` is a factor of it, for a machine that is busy.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final

from scripts.chaos.history.events import Revoked
from scripts.chaos.history.facts import differences, facts_of
from scripts.chaos.history.timeline import CHANGING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from game.session import Session
    from scripts.chaos.history.events import History
    from scripts.chaos.history.facts import Facts
    from scripts.chaos.history.replay import Change
    from scripts.chaos.history.timeline import Line, Timeline

TOLD_WITHIN_S: Final = 2.0
REVOKED_CODE: Final = 4001


def untold(
    timeline: Timeline, changes: Mapping[str, Sequence[Change]], patience: float, now_s: float
) -> Iterator[str]:
    """Say which connection did not hear of which change in time; what is not yet due at `now_s` is left."""
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
            if not later or min(later) > due_s:
                when = f"only {min(later) - change.heard_s:.1f} s later" if later else "never"
                yield (
                    f"{line.opened.tab} on {line.opened.server} ({line.opened.connection}) was {when} sent "
                    f"the {change.kind} of {change.version}"
                )


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
    timeline: Timeline, history: History, ends: Mapping[str, Session], patience: float
) -> Iterator[str]:
    """Say which connection that is still open shows another state than the one that is stored.

    This finds what no connection heard of. Players with income are left out: theirs moves on by itself.
    """
    for line in timeline.lines.values():
        player = line.opened.player
        if line.joined is None or line.closed_s < float("inf") or player not in ends:
            continue
        if timeline.faults.deadline_s(history.stopped_s, patience * TOLD_WITHIN_S) > history.ended_s:
            continue
        shown: Facts = {}
        for heard in line.heard:
            said = facts_of(heard.request_type, heard.data)
            bought = {**shown.get("all_bought", {}), **said.pop("bought", {})}
            shown |= {"all_bought": bought} | said
        if found := differences(ends[player], shown):
            yield f"{line.opened.tab} ({line.opened.connection}) stays behind: {'; '.join(found)}"


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
