"""A history put in order: each connection with what it heard, each operation with its attempts."""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, TypeVar

from scripts.chaos.history.events import Closed, Faulted, Heard, Lagged, Opened, Sent

if TYPE_CHECKING:
    from collections.abc import Iterable

    from scripts.chaos.history.events import History

Kind = TypeVar("Kind")

CHANGING: Final = frozenset({"cook", "sell", "upgrade_buy", "level_up", "session_reset"})
UNDECIDED: Final = frozenset({"unavailable"})
"""Errors after which it is not known whether a request was applied; every other one changed nothing."""


def is_read(answer: Heard) -> bool:
    """Tell whether an answer is of a `level_up` without enough xp: it only says what there is."""
    return answer.request_type == "level_up" and "next_xp" not in answer.data


@dataclass(slots=True)
class Attempt:
    """One sending of a request on one connection, and what it was answered."""

    sent: Sent
    operation: Operation | None = None
    answers: list[Heard] = field(default_factory=list)


@dataclass(slots=True)
class Operation:
    """What a player wanted done once: a plain request, or all attempts with one `client` and `seq`."""

    player: str
    request_type: str
    asked: dict[str, Any]
    attempts: list[Attempt] = field(default_factory=list)

    @property
    def effect(self) -> tuple[str, int, int]:
        """What it does to a session: operations with the same effect may stand for each other."""
        return self.request_type, int(self.asked.get("count", 1)), int(self.asked.get("id", 0))

    @property
    def sent_s(self) -> float:
        """When it was first sent."""
        return min(attempt.sent.at_s for attempt in self.attempts)

    @property
    def last_sent_s(self) -> float:
        """When it was last sent."""
        return max(attempt.sent.at_s for attempt in self.attempts)

    @property
    def answers(self) -> list[Heard]:
        """Everything that it was answered."""
        return [answer for attempt in self.attempts for answer in attempt.answers]

    @property
    def applied(self) -> list[Heard]:
        """The answers that say that it was applied just then: one at most, were all well."""
        return [
            answer
            for answer in self.answers
            if answer.request_type != "error" and not answer.data.get("duplicate") and not is_read(answer)
        ]

    @property
    def duplicates(self) -> list[Heard]:
        """The answers that say that it had been applied before."""
        return [answer for answer in self.answers if answer.data.get("duplicate")]

    @property
    def known_at(self) -> float:
        """The lowest version at which it was known to have been applied before; infinity for none."""
        return min((int(answer.data["version"]) for answer in self.duplicates), default=float("inf"))

    @property
    def may_be_applied(self) -> bool:
        """Whether it may have been applied without an answer that gave it a version of its own."""
        if self.applied:
            return False
        for attempt in self.attempts:
            codes = {answer.data.get("code", "") for answer in attempt.answers if not is_read(answer)}
            if not attempt.answers or codes & (UNDECIDED | {""}):
                return True
        return False


@dataclass(slots=True)
class Line:
    """One connection from its opening to its end; `joined_s` is its first answer that was no error."""

    opened: Opened
    joined: Heard | None = None
    closed: Closed | None = None
    heard: list[Heard] = field(default_factory=list)
    attempts: dict[int, Attempt] = field(default_factory=dict)

    @property
    def closed_s(self) -> float:
        """When it ended; infinity where it never did."""
        return float("inf") if self.closed is None else self.closed.at_s


@dataclass(slots=True)
class Faults:
    """Says when a thing must have happened at the latest: some time after faults and standstills."""

    faults: list[Faulted]
    lags: list[Lagged]

    def over_s(self, since_s: float, within_s: float) -> float:
        """Return the first moment after `since_s` with no fault in the `within_s` behind it."""
        end_s = since_s
        for fault in self.faults:
            if fault.ended_s < since_s:
                continue
            if fault.at_s > end_s + within_s:
                break
            end_s = max(end_s, fault.ended_s)
        return end_s

    def deadline_s(self, since_s: float, within_s: float) -> float:
        """Return when `within_s` has passed without a fault, and without counting standstills."""
        calm_s = self.over_s(since_s, within_s)
        end_s = calm_s + within_s
        begin = bisect_left(self.lags, calm_s, key=lambda lag: lag.at_s)
        for lag in self.lags[begin:]:
            if lag.at_s - lag.by_s > end_s:
                break
            end_s += lag.by_s
        return end_s

    def near(self, since_s: float, until_s: float, within_s: float) -> bool:
        """Tell whether a fault began by `until_s` and ended no longer than `within_s` before `since_s`."""
        return any(
            fault.at_s <= until_s and since_s <= self.deadline_s(fault.ended_s, within_s)
            for fault in self.faults
        )


@dataclass(slots=True)
class Timeline:
    """The connections by number, the operations by player in the order of their sending, and the faults."""

    lines: dict[int, Line] = field(default_factory=dict)
    operations: dict[str, list[Operation]] = field(default_factory=lambda: defaultdict(list))
    faults: Faults = field(default_factory=lambda: Faults([], []))

    @classmethod
    def of(cls, history: History) -> Timeline:
        """Put a history in order."""
        timeline = cls()
        tagged: dict[tuple[str, str, int], Operation] = {}
        for event in history.events:
            match event:
                case Opened():
                    timeline.lines[event.connection] = Line(event)
                case Closed():
                    timeline.lines[event.connection].closed = event
                case Sent():
                    timeline._sent(event, tagged)
                case Heard():
                    timeline._heard(event)
                case _:
                    continue
        faults = sorted(_of(history, Faulted), key=lambda fault: fault.at_s)
        timeline.faults = Faults(faults, sorted(_of(history, Lagged), key=lambda lag: lag.at_s))
        return timeline

    def of_player(self, player: str) -> list[Line]:
        """Return a player's connections."""
        return [line for line in self.lines.values() if line.opened.player == player]

    def _sent(self, sent: Sent, tagged: dict[tuple[str, str, int], Operation]) -> None:
        line = self.lines[sent.connection]
        attempt = line.attempts[sent.request] = Attempt(sent)
        if sent.request_type not in CHANGING:
            return
        player = line.opened.player
        operation = None
        key = (player, str(sent.asked.get("client", "")), int(sent.asked.get("seq", 0)))
        if "seq" in sent.asked:
            operation = tagged.get(key)
        if operation is None:
            operation = Operation(player, sent.request_type, sent.asked)
            self.operations[player].append(operation)
            if "seq" in sent.asked:
                tagged[key] = operation
        operation.attempts.append(attempt)
        attempt.operation = operation

    def _heard(self, heard: Heard) -> None:
        line = self.lines[heard.connection]
        line.heard.append(heard)
        if heard.request and heard.request in line.attempts:
            line.attempts[heard.request].answers.append(heard)
            if line.joined is None and heard.request_type != "error" and "version" in heard.data:
                line.joined = heard


def _of(history: History, kind: type[Kind]) -> Iterable[Kind]:
    return (event for event in history.events if isinstance(event, kind))
