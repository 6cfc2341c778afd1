"""All judges over one history."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING, Final

from game.rates import rates_of
from scripts.chaos.history import kept, order, refused, told
from scripts.chaos.history.replay import replay
from scripts.chaos.history.timeline import Timeline
from scripts.chaos.history.two_masters import replay_apart, without

if TYPE_CHECKING:
    from collections.abc import Iterable

    from game.catalogue import Catalogue
    from game.session import Session
    from scripts.chaos.history.events import History
    from scripts.chaos.history.steps import Replayed

_MOST_OF_ONE: Final = 10


@dataclass(slots=True)
class Judgement:
    """What must not have happened, by the name of the promise: `linearizable`, `told`, `saved` and others."""

    violations: dict[str, list[str]] = field(default_factory=dict)
    replayed: dict[str, Replayed] = field(default_factory=dict)

    @property
    def is_clean(self) -> bool:
        """Whether all promises were kept."""
        return not self.violations

    @property
    def lines(self) -> list[str]:
        """Every violation in words."""
        return [f"{name}: {text}" for name, texts in self.violations.items() for text in texts]

    def hold(self, promise: str, broken: Iterable[str]) -> None:
        """Take what a judge found; of one kind the first few are enough."""
        if found := list(islice(broken, _MOST_OF_ONE)):
            self.violations.setdefault(promise, []).extend(found)


def judge(history: History, catalogue: Catalogue, patience: float = 1) -> Judgement:
    """Hold a history against every promise. `patience` is a factor of all limits of time."""
    timeline, judgement = Timeline.of(history), Judgement()
    given_up: set[int] = set()
    for player in history.start:
        apart = replay_apart(player, history, timeline, catalogue)
        judgement.replayed[player] = apart.replayed
        given_up |= apart.given_up
    kept_by_redis = Timeline.of(without(history, given_up)) if given_up else timeline
    changes = {player: replayed.changes for player, replayed in judgement.replayed.items()}
    hold, now_s = judgement.hold, history.ended_s
    faults = (replayed.fault for replayed in judgement.replayed.values() if replayed.fault)
    hold("linearizable", faults)
    hold("linearizable", order.against_time(timeline))
    hold("versions", order.went_backwards(timeline))
    hold("answered", order.answers(timeline, patience, now_s))
    hold("refused", refused.wrongly(kept_by_redis, judgement.replayed, catalogue))
    hold("remembered", order.forgotten(timeline))
    hold("told", map(str, told.late(kept_by_redis, changes, patience, now_s)))
    hold("told", told.repeated(timeline))
    hold("told", told.behind(timeline, history, _ends(history, catalogue), patience, now_s))
    hold("revoked", told.revoked(timeline, history, patience))
    hold("saved", kept.fell_back(history))
    hold("saved", kept.unsaved(timeline, history, changes, patience))
    hold("served", kept.refused_in_calm(timeline, history, patience))
    hold("graceful", kept.costly(timeline, patience))
    hold("honest", kept.dishonest(timeline, history, patience))
    hold("quiet", kept.noisy(history))
    hold("ends", kept.endless(history))
    hold("ends", kept.gave_up(timeline, history, patience))
    return judgement


def settled(history: History, catalogue: Catalogue) -> bool:
    """Say whether nothing is still under way: all is sent to every tab, and what is revoked is closed."""
    timeline = Timeline.of(history)
    changes = {player: replay(player, history, timeline, catalogue).changes for player in history.start}
    missed = told.late(timeline, changes, 0, float("inf"))
    if any(late.later_s is None and late.line.closed is None for late in missed):
        return False
    if any(told.still_open(timeline, history)):
        return False
    return not any(told.behind(timeline, history, _ends(history, catalogue), now_s=float("inf")))


def _ends(history: History, catalogue: Catalogue) -> dict[str, Session]:
    """Return the last state of every player whose state does not move by itself."""
    ends = {**history.saved, **history.live}
    return {player: end for player, end in ends.items() if not rates_of(end, catalogue).passive}
