"""Order: versions on a connection, versions in real time, one answer to each request, in the order sent."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from scripts.chaos.history.events import Faulted, Heard
    from scripts.chaos.history.timeline import Attempt, Line, Timeline

ANSWERED_WITHIN_S: Final = 10.0
LOST_BY_S: Final = 20.0
"""How long before a losing fault an answer may have come and be lost all the same."""

_STRICT: Final = frozenset({"cook", "sell", "upgrade_buy", "session_reset"})
_READS: Final = frozenset({"session"})


def went_backwards(timeline: Timeline) -> Iterator[str]:
    """Say on which connection a version was lower than one before."""
    for line in timeline.lines.values():
        highest = 0
        for heard in line.heard:
            version = heard.data.get("version", 0) if heard.request_type != "error" else 0
            if 0 < version < highest:
                yield f"{_name(line)}: {heard.request_type} of {version} after {highest}"
            highest = max(highest, version)


def against_time(timeline: Timeline) -> Iterator[str]:
    """Say which answer has no higher version than one that came before its request was sent.

    Not where Redis may have lost the earlier one: its master may have served next to another one.
    """
    lost = [fault for fault in timeline.faults.faults if fault.loses == "all"]
    players = {line.opened.player for line in timeline.lines.values()}
    for player in sorted(players):
        answered = sorted(_answered(timeline, player), key=lambda pair: pair[1].at_s)
        asked = sorted(answered, key=lambda pair: pair[0].sent.at_s)
        highest, at = 0, 0
        for attempt, answer in asked:
            while at < len(answered) and answered[at][1].at_s < attempt.sent.at_s:
                if not _may_be_lost(answered[at][1].at_s, lost):
                    highest = max(highest, answered[at][1].data["version"])
                at += 1
            version, kind = answer.data["version"], answer.request_type
            new = kind in _STRICT and not answer.data.get("duplicate")
            if version < highest or (new and version == highest):
                yield f"{player}: {kind} answered with {version}, sent after an answer with {highest}"


def _answered(timeline: Timeline, player: str) -> Iterator[tuple[Attempt, Heard]]:
    for line in timeline.of_player(player):
        for attempt in line.attempts.values():
            for answer in attempt.answers:
                if answer.request_type in _STRICT | _READS | {"level_up"} and "version" in answer.data:
                    yield attempt, answer


def answers(timeline: Timeline, patience: float, now_s: float) -> Iterator[str]:
    """Say which request has no answer in time, or more than one, and where answers changed places."""
    for line in timeline.lines.values():
        numbers = [heard.request for heard in line.heard if heard.request]
        sent = list(line.attempts)
        if numbers != sent[: len(numbers)]:
            yield f"{_name(line)}: answers are not those of the requests, in their order, once each"
            continue
        for request in sent[len(numbers) :]:
            attempt = line.attempts[request]
            # Requests are answered in turn, and each may wait for Redis for as long as it may take.
            before_s = line.heard[-1].at_s if line.heard else 0
            since_s = max(attempt.sent.at_s, before_s)
            due_s = timeline.faults.deadline_s(since_s, patience * ANSWERED_WITHIN_S)
            if due_s < min(now_s, line.closed_s):
                yield f"{_name(line)}: {attempt.sent.request_type} was not answered"
                break


def forgotten(timeline: Timeline) -> Iterator[str]:
    """Say where a `session` did not know a client's number whose answer had come before it was asked for.

    A player has no more clients here than the server remembers. What Redis may have lost is left out.
    """
    lost = [fault for fault in timeline.faults.faults if fault.loses == "all"]
    for player in sorted({line.opened.player for line in timeline.lines.values()}):
        known: list[tuple[float, str, int]] = []
        for operation in timeline.operations[player]:
            if "seq" in operation.asked:
                known += (
                    (answer.at_s, str(operation.asked["client"]), int(operation.asked["seq"]))
                    for answer in operation.applied
                    if not _may_be_lost(answer.at_s, lost)
                )
        for line in timeline.of_player(player):
            for attempt in line.attempts.values():
                for answer in attempt.answers:
                    if "last_seq" not in answer.data:
                        continue
                    client = attempt.sent.asked.get("client")
                    numbers = [seq for at_s, who, seq in known if who == client and at_s < attempt.sent.at_s]
                    last = max(numbers, default=0)
                    if answer.data["last_seq"] < last:
                        yield f"{_name(line)}: {client} is at {answer.data['last_seq']}, answered was {last}"


def _may_be_lost(answered_s: float, losses: Sequence[Faulted]) -> bool:
    return any(fault.at_s - LOST_BY_S <= answered_s <= fault.ended_s for fault in losses)


def _name(line: Line) -> str:
    return f"{line.opened.tab} on {line.opened.server} ({line.opened.connection})"
