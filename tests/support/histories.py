"""Histories made up for the chaos run's judges: one player, a tab on each of two servers, the rules' answers.

`Story` writes what a server without faults would have said; a test then takes something out or changes it.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar

from game import rules
from game.errors import NoDishes
from game.live_session import LiveSession
from game.session import Session, UserId
from scripts.chaos.history.events import Closed, Event, Heard, History, Opened, Saved, Sent
from scripts.chaos.history.judge import judge
from seeds.files import read_catalogue

if TYPE_CHECKING:
    from collections.abc import Callable

CATALOGUE = read_catalogue("en")
ANNA, BERT = 1, 2
"""The connections of the player's tabs, each to the server of that name."""

OVEN = 70
UNAVAILABLE = {"code": "unavailable", "maybe_applied": True}
NO_DISHES = {"code": NoDishes.code, "message": NoDishes.text}
SETTLED_S = 100.0
"""How long a history goes on after its last change: longer than every limit."""

Kind = TypeVar("Kind", bound=Event)


class Story:
    """Writes a history step by step, a second each."""

    def __init__(self, *, bought: tuple[int, ...] = (1,), accumulated: float = 0.0) -> None:
        start = Session(UserId(7), version=1, accrued_at_ms=0, money=1000.0, accumulated=accumulated)
        start.bought |= dict.fromkeys(bought, 1)
        self.live = LiveSession.of(replace(start, bought=dict(start.bought)), CATALOGUE)
        self.history = History({"anna": start})
        self.now_s = 0.0
        self.requests = 0
        self.joined: list[int] = []
        for connection, server in ((ANNA, "anna"), (BERT, "bert")):
            self.opens(connection, server)

    def add(self, *events: Event) -> None:
        """Write events as they are."""
        self.history.events += events

    def opens(self, connection: int, server: str) -> None:
        """Open a connection and join it."""
        self.add(Opened(self.now_s, connection, "anna", f"tab-{connection}", server, f"family-{connection}"))
        self.reads(connection)
        self.joined.append(connection)

    def closes(self, connection: int, code: int) -> None:
        """End a connection."""
        self.add(Closed(self.now_s, connection, code))
        self.joined.remove(connection)

    def sends(self, connection: int, kind: str, **asked: Any) -> int:
        """Send a request; return its number."""
        self.now_s += 1
        self.requests += 1
        self.add(Sent(self.now_s, connection, self.requests, kind, asked))
        return self.requests

    def hears(self, connection: int, request: int, kind: str, data: dict[str, Any]) -> None:
        """Let a connection hear something."""
        self.add(Heard(self.now_s + 0.1, connection, request, kind, data))

    def reads(self, connection: int, client: str = "") -> None:
        """Ask for the session."""
        request = self.sends(connection, "session", **({"client": client} if client else {}))
        self.hears(connection, request, "session", self.shown())

    def shown(self) -> dict[str, Any]:
        """Return what a `session` says now."""
        state = self.live.session
        current = [{"id": key, "times_bought": times} for key, times in state.bought.items()]
        said = {
            "money": state.money,
            "dishes": state.dishes,
            "level": {"rank": state.rank, "xp": state.xp / 100},
            "prestige": {
                "current_value": state.stars / 10_000,
                "current_boost_value": state.boost / 10,
                "accumulated_value": state.accumulated / 10_000,
            },
            "upgrades": {"available": [], "current": current},
        }
        return {"session": said, "version": state.version}

    def applies(self, kind: str, count: int = 1) -> dict[str, Any]:
        """Change the session and say what the answer says."""
        state, now_us = self.live.session, int(self.now_s * 1e6)
        before = state.clicks
        if kind == "cook":
            rules.cook(self.live, count, now_us)
        elif kind == "session_reset":
            rules.session_reset(self.live, now_us, 28_800)
        else:
            rules.sell(self.live, count, now_us)
        said = {"dishes": state.dishes, "xp": state.xp / 100, "applied": int(state.clicks - before)}
        if kind == "sell":
            said["money"] = state.money
        if kind == "session_reset":
            said = self._reset_shown()
        return {**said, "version": state.version}

    def _reset_shown(self) -> dict[str, Any]:
        session = self.shown()["session"]
        said = {name: session[name] for name in ("money", "dishes", "prestige")}
        return said | {f"level_{name}": value for name, value in session["level"].items()}

    def earns(self, seconds: int) -> None:
        """Let an oven cook, and say so to every tab."""
        self.now_s += seconds
        rules.passive(self.live, int(self.now_s * 1e6), 28_800)
        for connection in self.joined:
            self.hears(connection, 0, "session", self.shown())

    def does(self, connection: int, kind: str, count: int = 1, **tag: Any) -> dict[str, Any]:
        """Let a tab do something, be answered, and let the others hear of it; return what was said."""
        request = self.sends(connection, kind, count=count, **tag)
        said = self.applies(kind, count)
        self.hears(connection, request, kind, said)
        for other in self.joined:
            if other != connection:
                self.hears(other, 0, kind, said)
        return said

    def ends(self) -> History:
        """Let some time pass, and store what there is in both databases."""
        history = self.history
        history.stopped_s, history.ended_s = self.now_s, self.now_s + SETTLED_S
        history.stored_s = history.ended_s
        self.add(Saved(history.ended_s - 1, "anna", self.live.session.version))
        history.live = {"anna": replace(self.live.session, bought=dict(self.live.session.bought))}
        history.saved = dict(history.live)
        return history


def played() -> Story:
    """Tell of some cooks and sells on both tabs, all as it should be."""
    story = Story()
    for seq in range(1, 4):
        story.does(ANNA, "cook", 5, client="a", seq=seq)
        story.does(BERT, "sell", 2)
    return story


def without(history: History, kind: type[Kind], wanted: Callable[[Kind], bool]) -> History:
    """Take the one event out of a history that fits."""
    found = [event for event in history.events if isinstance(event, kind) and wanted(event)]
    assert len(found) == 1, found
    history.events.remove(found[0])
    return history


def violated(history: History, patience: float = 1) -> set[str]:
    """Judge a history; return the names of the promises that were broken."""
    return set(judge(history, CATALOGUE, patience).violations)


def unanswered(story: Story, *counts: int) -> list[int]:
    """Send numbered cooks of so many dishes from ANNA's tab that nobody is answered; return their numbers."""
    first = story.requests + 1
    for seq, count in enumerate(counts, first):
        story.sends(ANNA, "cook", count=count, client="u", seq=seq)
    return list(range(first, first + len(counts)))


def resent(story: Story, connection: int, *cooks: tuple[int, int]) -> None:
    """Let a connection send cooks again, each a number and a count: they were applied before."""
    for seq, count in cooks:
        again = story.sends(connection, "cook", count=count, client="u", seq=seq)
        state = story.live.session
        said = {"dishes": state.dishes, "xp": state.xp / 100, "applied": 0, "duplicate": True}
        story.hears(connection, again, "cook", {**said, "version": state.version})


def judged(story: Story) -> list[str]:
    """Judge whether the changes of a story follow from what was asked for."""
    return [line for line in judge(story.ends(), CATALOGUE).lines if "linearizable" in line]
