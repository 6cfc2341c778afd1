"""What happened in a simulated game, and the questions that the promises about pacing ask of it."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from game.catalogue import BoostType, Upgrade, UpgradeId


@dataclass(frozen=True, slots=True)
class Purchase:
    """One purchase: when, in which run (0 before the first reset), what, its price and its payback."""

    at_s: int
    run: int
    upgrade: Upgrade
    price: float
    payback_s: float


@dataclass(frozen=True, slots=True)
class RankUp:
    """One rank: when, in which run, and how long it took."""

    at_s: int
    run: int
    rank: int
    took_s: int


@dataclass(frozen=True, slots=True)
class Look:
    """What the player saw at a decision: the income, and how soon the best upgrade on sale pays back."""

    at_s: int
    run: int
    rank: int
    income: float
    least_payback_s: float


@dataclass(frozen=True, slots=True)
class Night:
    """What eight hours away would have brought at a moment, in hours of the player's own clicking."""

    at_s: int
    run: int
    worth_h: float


@dataclass(frozen=True, slots=True)
class Guest:
    """What a golden guest brought at a moment, in seconds of all of the player's income."""

    at_s: int
    worth_s: float


@dataclass(frozen=True, slots=True)
class Sample:
    """How things stood at a moment.

    `income` is the expected money a second, `stars` those that resets have brought.
    """

    at_s: int
    rank: int
    money: float
    income: float
    purchases: int
    stars: float


@dataclass(slots=True)
class Course:
    """What happened, in order. `resets` are their moments, `stars_at_resets` what each has brought."""

    purchases: list[Purchase] = field(default_factory=list)
    rank_ups: list[RankUp] = field(default_factory=list)
    resets: list[int] = field(default_factory=list)
    stars_at_resets: list[float] = field(default_factory=list)
    samples: list[Sample] = field(default_factory=list)
    looks: list[Look] = field(default_factory=list)
    nights: list[Night] = field(default_factory=list)
    guests: list[Guest] = field(default_factory=list)

    def longest_wait_s(self, until_s: int) -> int:
        """Return the longest time without a purchase from the start to `until_s`."""
        moments = [0, *(purchase.at_s for purchase in self.purchases if purchase.at_s < until_s), until_s]
        return max(later - earlier for earlier, later in pairwise(moments))

    def reached_s(self, rank: int) -> float:
        """Return when a rank was first reached, infinity when never."""
        return next((up.at_s for up in self.rank_ups if up.rank == rank), math.inf)

    def first_s(self, kind: BoostType) -> float:
        """Return when the first upgrade of a kind was bought, infinity when never."""
        return next((one.at_s for one in self.purchases if one.upgrade.boost.boost_type is kind), math.inf)

    def longest_payback(self, runs: int) -> Look:
        """Return the moment of the first `runs` runs when the best upgrade on sale paid back latest."""
        return max((look for look in self.looks if look.run < runs), key=lambda look: look.least_payback_s)

    def worst_night(self, from_s: int, runs: int) -> Night:
        """Return the least worth of a night from a moment on, in the first `runs` runs."""
        return min(self.nights_from(from_s, runs), key=lambda night: night.worth_h)

    def nights_from(self, from_s: int, runs: int) -> list[Night]:
        """Return the nights tried from a moment on, in the first `runs` runs."""
        return [night for night in self.nights if night.run < runs and night.at_s >= from_s]

    def way_back(self) -> float:
        """Return how long it took after the first reset to stand where it was made, as a part of that run.

        To stand there: the rank, and the income. Infinity when it was not reached.
        """
        if not self.resets:
            return math.inf
        reset_s = min(self.resets)
        *_, stood = (look for look in self.looks if look.run == 0)
        for look in self.looks:
            if look.run > 0 and look.rank >= stood.rank and look.income >= stood.income:
                return (look.at_s - reset_s) / reset_s
        return math.inf

    def slowdowns(self, least_s: int, run: int | None = None) -> list[tuple[float, RankUp]]:
        """Return by how much longer each rank took than the one before it in its run, the worst first.

        A rank that took less than `least_s` counts as that long. With `run` only that one is looked at.
        """
        found = [
            (up.took_s / max(before.took_s, least_s), up)
            for before, up in pairwise(self.rank_ups)
            if before.run == up.run and run in (None, up.run)
        ]
        return sorted(found, key=lambda pair: -pair[0])

    def paybacks_s(self) -> dict[UpgradeId, float]:
        """Return for each upgrade that was bought how soon it paid for itself at its best moment."""
        best: dict[UpgradeId, float] = {}
        for purchase in self.purchases:
            known = best.get(purchase.upgrade.id, math.inf)
            best[purchase.upgrade.id] = min(known, purchase.payback_s)
        return best

    def every(self, count: int, until_s: float = math.inf) -> Iterator[Sample]:
        """Yield at most about `count` samples, evenly."""
        samples = [sample for sample in self.samples if sample.at_s <= until_s]
        yield from samples[:: max(1, len(samples) // count)]
