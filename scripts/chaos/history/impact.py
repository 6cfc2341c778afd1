"""What faults meant to players, by kind: refused requests, how soon everybody played on, what was noticed."""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from dataclasses import dataclass, field
from statistics import median
from typing import TYPE_CHECKING, Final

from scripts.chaos.history.timeline import Timeline

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from scripts.chaos.history.events import Faulted, Heard, History
    from scripts.chaos.history.timeline import Attempt, Line

_NEAR_S: Final = 5.0
_OWN_LEAVING: Final = frozenset({1000, 4001})


@dataclass(slots=True)
class Impact:
    """All faults of one kind in some runs: `refused` requests, connections `lost`, waits in s.

    `recovered_s` are, for each fault, from its end until every tab that was connected then, and stayed, had
    an answer to something sent after it. `alone_s` are those of faults without another one near.
    """

    times: int = 0
    refused: int = 0
    lost: int = 0
    recovered_s: list[float] = field(default_factory=list)
    alone_s: list[float] = field(default_factory=list)
    longest_wait_s: float = 0.0


def add_impacts(history: History, impacts: dict[str, Impact]) -> None:
    """Add the faults of one run. What happened is put down to the fault that began last before."""
    timeline = Timeline.of(history)
    faults = timeline.faults.faults
    if not faults:
        return
    begins = [fault.at_s for fault in faults]
    for fault in faults:
        impacts[fault.kind].times += 1

    def of(at_s: float) -> Impact:
        return impacts[faults[max(0, bisect_right(begins, at_s) - 1)].kind]

    for line in timeline.lines.values():
        if line.closed is not None and line.closed.code not in _OWN_LEAVING:
            of(line.closed.at_s).lost += 1
    for attempt, answer in _answered(timeline):
        impact = of(answer.at_s)
        impact.refused += answer.data.get("code") == "unavailable"
        impact.longest_wait_s = max(impact.longest_wait_s, answer.at_s - attempt.sent.at_s)
    for fault in faults:
        took_s = _recovery_s(fault, timeline)
        if took_s is not None:
            impacts[fault.kind].recovered_s.append(took_s)
            if not _has_company(fault, took_s, faults):
                impacts[fault.kind].alone_s.append(took_s)


def _answered(timeline: Timeline) -> Iterator[tuple[Attempt, Heard]]:
    for line in timeline.lines.values():
        for attempt in line.attempts.values():
            for answer in attempt.answers:
                yield attempt, answer


def _has_company(fault: Faulted, took_s: float, faults: Sequence[Faulted]) -> bool:
    """Say whether another fault was near before everybody had recovered."""
    return any(
        other.at_s < fault.ended_s + took_s and other.ended_s > fault.at_s - _NEAR_S
        for other in faults
        if other is not fault
    )


def _recovery_s(fault: Faulted, timeline: Timeline) -> float | None:
    """Return how long the slowest tab waited after a fault; None where nobody played on."""
    tabs: dict[str, list[Line]] = defaultdict(list)
    for line in timeline.lines.values():
        tabs[line.opened.tab].append(line)
    waits = [_wait_s(lines, fault) for lines in tabs.values()]
    return max((wait_s for wait_s in waits if wait_s is not None), default=None)


def _wait_s(lines: Sequence[Line], fault: Faulted) -> float | None:
    """Return how long one tab waited; None for one that was not connected, or left by itself."""
    if not any(line.opened.at_s <= fault.at_s <= line.closed_s for line in lines):
        return None
    first_s = min(
        (
            answer.at_s
            for line in lines
            for attempt in line.attempts.values()
            for answer in attempt.answers
            if answer.request_type != "error" and attempt.sent.at_s >= fault.ended_s
        ),
        default=None,
    )
    if first_s is None or any(_left(line, fault.at_s, first_s) for line in lines):
        return None
    return first_s - fault.ended_s


def _left(line: Line, since_s: float, until_s: float) -> bool:
    closed = line.closed
    return closed is not None and closed.code in _OWN_LEAVING and since_s <= closed.at_s <= until_s


def summary(times_s: list[float]) -> str:
    """Write median and longest of some times."""
    if not times_s:
        return "-"
    return f"{median(times_s):.2f} / {max(times_s):.2f} s"


def waits_s(history: History) -> list[float]:
    """Return how long each answer took, sorted."""
    answered = _answered(Timeline.of(history))
    return sorted(answer.at_s - attempt.sent.at_s for attempt, answer in answered)


def counts(history: History) -> dict[str, int]:
    """Count requests, answers, pushes and what became of them."""
    timeline = Timeline.of(history)
    lines = list(timeline.lines.values())
    attempts = [attempt for line in lines for attempt in line.attempts.values()]
    answers = [answer for attempt in attempts for answer in attempt.answers]
    return {
        "connections": len(lines),
        "requests sent": len(attempts),
        "answers": len(answers),
        "answers that applied a change": sum(
            len(operation.applied) for each in timeline.operations.values() for operation in each
        ),
        "answers `duplicate`": sum(bool(answer.data.get("duplicate")) for answer in answers),
        "answers `unavailable`": sum(answer.data.get("code") == "unavailable" for answer in answers),
        "pushes": sum(not heard.request for line in lines for heard in line.heard),
        "connections of revoked log-ins closed": sum(
            line.closed is not None and line.closed.code == 4001  # noqa: PLR2004 - the contract's code
            for line in lines
        ),
    }
