"""Saved and served: PostgreSQL follows and never falls back; after a fault all works again by itself."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Final

from scripts.chaos.history.events import Ended, Health, Logged, LoggedIn, Quit, Saved
from scripts.chaos.history.timeline import Faults

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from scripts.chaos.history.events import Heard, History
    from scripts.chaos.history.steps import Change
    from scripts.chaos.history.timeline import Attempt, Line, Timeline

SAVED_WITHIN_S: Final = 8.0
"""A lease of 5 s that a killed flusher leaves behind, and some intervals of 1 s."""

SERVED_WITHIN_S: Final = 10.0
SLOW_S: Final = 1.0
"""The shortest limit of the servers: for replicas to confirm. They give up what takes longer."""

GRACEFUL_WITHIN_S: Final = 0.5
HONEST_WITHIN_S: Final = 3.0
MOST_LINES_A_SECOND: Final = 50.0
MOST_TRACEBACKS: Final = 0
_IN_ORDER: Final = (0, 130)
"""How a server ends after a drain, or where it was asked to before it served."""

_OF_PROGRAMS: Final = ("server", "one of two workers", "flusher", "log's", "clients")
"""How the names of faults begin that leave the databases as they are."""

_ACCEPTED: Final = (200, 409)
"""What a log-in is answered with, or a registration of somebody who is registered."""


def fell_back(history: History) -> Iterator[str]:
    """Say whose version went down in PostgreSQL."""
    highest: dict[str, int] = defaultdict(int)
    for event in history.events:
        if isinstance(event, Saved):
            if event.version < highest[event.player]:
                yield f"{event.player}: PostgreSQL had {highest[event.player]}, then {event.version}"
            highest[event.player] = max(highest[event.player], event.version)


def unsaved(
    timeline: Timeline,
    history: History,
    changes: Mapping[str, Sequence[Change]],
    patience: float,
) -> Iterator[str]:
    """Say whose change PostgreSQL did not have in time, one for each player, and who differs at the end."""
    samples: dict[str, list[Saved]] = defaultdict(list)
    for event in history.events:
        if isinstance(event, Saved):
            samples[event.player].append(event)
    for player in history.start:
        for change in changes[player]:
            due_s = timeline.faults.deadline_s(change.heard_s, patience * SAVED_WITHIN_S)
            seen = next((each for each in samples[player] if each.at_s > due_s), None)
            if seen is not None and seen.version < change.version:
                yield f"{player}: {change.version} not saved {seen.at_s - change.heard_s:.1f} s later"
                break
        live, saved = history.live.get(player), history.saved.get(player)
        if live is not None and live != saved:
            yield f"{player}: Redis and PostgreSQL differ at the end: {live} {saved}"
        if live is None and saved is None and changes[player]:
            yield f"{player}: neither Redis nor PostgreSQL has a session at the end"


def refused_in_calm(timeline: Timeline, history: History, patience: float) -> Iterator[str]:
    """Say which request or log-in was refused as unavailable though no fault was near, one for each tab.

    The servers' limits know no patience: on a machine that is said to be busy, those are left out that were
    refused while the server took longer than its shortest limit.
    """
    within_s = patience * SERVED_WITHIN_S
    slow = _slow(timeline, history) if patience > 1 else {}
    for line in timeline.lines.values():
        for attempt in line.attempts.values():
            refused_s = [one.at_s for one in attempt.answers if one.data.get("code") == "unavailable"]
            if not refused_s or _was_slow(slow, line.opened.server, attempt.sent.at_s, max(refused_s)):
                continue
            if _is_calm(timeline, attempt.sent.at_s, max(refused_s), within_s):
                yield f"{line.opened.tab} on {line.opened.server}: {attempt.sent.request_type} unavailable"
                break
    for event in history.events:
        if not isinstance(event, LoggedIn) or event.status in _ACCEPTED:
            continue
        if _was_slow(slow, event.server, event.asked_s, event.at_s):
            continue
        if _is_calm(timeline, event.asked_s, event.at_s, within_s):
            yield f"{event.player}: log-in at {event.server} answered {event.status}"


def gave_up(timeline: Timeline, history: History, patience: float) -> Iterator[str]:
    """Say which program ended by itself.

    At its start one may where a database does not answer it, which its supervisor starts again: not in calm.
    """
    databases = Faults(
        [one for one in timeline.faults.faults if not one.kind.startswith(_OF_PROGRAMS)], timeline.faults.lags
    )
    for event in history.events:
        if not isinstance(event, Quit) or not event.code:
            continue
        near = databases.near(event.started_s, event.at_s, patience * SERVED_WITHIN_S)
        if not (event.lacked_database and near):
            yield f"{event.program} ended by itself with {event.code}"


def _slow(timeline: Timeline, history: History) -> dict[str, list[tuple[float, float]]]:
    """Return when each server took longer than its shortest limit for an answer, from the question on."""
    slow: dict[str, list[tuple[float, float]]] = defaultdict(list)
    for line, attempt, answer, waited_s in _waits(timeline, float("-inf"), float("inf")):
        if waited_s >= SLOW_S:
            slow[line.opened.server].append((attempt.sent.at_s, answer.at_s))
    for event in history.events:
        if isinstance(event, LoggedIn) and event.at_s - event.asked_s >= SLOW_S:
            slow[event.server].append((event.asked_s, event.at_s))
    return slow


def _was_slow(
    slow: Mapping[str, Sequence[tuple[float, float]]], server: str, asked_s: float, answered_s: float
) -> bool:
    """Tell whether a server was slow while it was asked something, or just before."""
    since_s = asked_s - SERVED_WITHIN_S
    return any(begin_s <= answered_s and end_s >= since_s for begin_s, end_s in slow.get(server, ()))


def _is_calm(timeline: Timeline, asked_s: float, answered_s: float, within_s: float) -> bool:
    """Tell whether no fault was near from a request until its answer: one may begin in between."""
    return not timeline.faults.near(asked_s, answered_s, within_s)


def costly(timeline: Timeline, patience: float) -> Iterator[str]:
    """Say which graceful fault refused a request or held one up for long.

    Left out are those with another fault near, and what a machine that was too busy just before cannot do
    better: waits where it took as long, refusals where it took longer than the servers' shortest limit.
    """
    faults = timeline.faults.faults
    for fault in faults:
        begin_s, end_s = fault.at_s, fault.ended_s + GRACEFUL_WITHIN_S
        near = [one for one in faults if one.at_s < end_s and one.ended_s + SERVED_WITHIN_S > begin_s]
        if not fault.is_graceful or len(near) > 1:
            continue
        before = _waits(timeline, begin_s - SERVED_WITHIN_S, begin_s - GRACEFUL_WITHIN_S)
        before_s = max((waited_s for _, _, _, waited_s in before), default=0.0)
        lags = timeline.faults.lags
        lagged_s = sum(lag.by_s for lag in lags if begin_s < lag.at_s < end_s + patience)
        for line, attempt, answer, waited_s in _waits(timeline, begin_s, fault.ended_s):
            if answer.data.get("code") == "unavailable" and before_s <= SLOW_S:
                yield f"{fault.kind}: {line.opened.tab}'s {attempt.sent.request_type} refused"
            elif before_s <= GRACEFUL_WITHIN_S and waited_s - lagged_s > patience * GRACEFUL_WITHIN_S:
                yield f"{fault.kind}: {line.opened.tab} waited {waited_s:.1f} s"


def _waits(
    timeline: Timeline, since_s: float, until_s: float
) -> Iterator[tuple[Line, Attempt, Heard, float]]:
    """Go through the answers to what was sent in some time, and how long each took in s."""
    for line in timeline.lines.values():
        for attempt in line.attempts.values():
            if since_s <= attempt.sent.at_s <= until_s:
                for answer in attempt.answers:
                    yield line, attempt, answer, answer.at_s - attempt.sent.at_s


def dishonest(timeline: Timeline, history: History, patience: float) -> Iterator[str]:
    """Say which server called itself `ok` for some time while it refused whatever it was asked.

    One that has just started may not know yet.
    """
    answers: dict[str, list[Heard]] = defaultdict(list)
    for line in timeline.lines.values():
        for attempt in line.attempts.values():
            answers[line.opened.server] += attempt.answers
    within_s = patience * HONEST_WITHIN_S
    ok_since_s: dict[str, float] = {}
    for event in history.events:
        if not isinstance(event, Health):
            continue
        if event.status != "ok":
            ok_since_s.pop(event.server, None)
            continue
        if event.at_s - ok_since_s.setdefault(event.server, event.at_s) < within_s / 2:
            continue
        near = [heard for heard in answers[event.server] if abs(heard.at_s - event.at_s) < within_s]
        before = [heard for heard in near if heard.at_s < event.at_s]
        spans = before and event.at_s - min(heard.at_s for heard in before) > within_s / 2
        if spans and len(near) > len(before) and _all_refused(near):
            yield f"{event.server} said ok at {event.at_s:.1f} s and refused {len(near)} requests around it"
            return


def _all_refused(answers: Iterable[Heard]) -> bool:
    return all(heard.data.get("code") == "unavailable" for heard in answers)


def noisy(history: History) -> Iterator[str]:
    """Say which program wrote more lines a second than somebody could read, or a traceback."""
    for event in history.events:
        if isinstance(event, Logged):
            rate = event.lines / max(event.at_s - event.since_s, 1.0)
            if rate > MOST_LINES_A_SECOND:
                yield f"{event.program} wrote {rate:.0f} lines a second"
            if event.tracebacks > MOST_TRACEBACKS:
                yield f"{event.program} wrote {event.tracebacks} tracebacks"


def endless(history: History) -> Iterator[str]:
    """Say which program did not end in order when it was asked to."""
    for event in history.events:
        if isinstance(event, Ended) and event.code not in _IN_ORDER:
            took = f"ended with {event.code}" if event.code is not None else "did not end"
            yield f"{event.program} {took} {event.at_s - event.asked_s:.1f} s after it was asked to"
