"""What happened in a simulated game, and the questions that the promises about pacing ask of it."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from game.catalogue import Upgrade, UpgradeId


@dataclass(frozen=True, slots=True)
class Purchase:
    """One purchase: when, what, at which price, and after how long the income that it adds has paid it."""

    at_s: int
    upgrade: Upgrade
    price: float
    payback_s: float


@dataclass(frozen=True, slots=True)
class RankUp:
    """One rank: when, in which run (0 before the first reset), and how long it took."""

    at_s: int
    run: int
    rank: int
    took_s: int


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
    """What happened, in order. `resets` are the moments of resets in seconds."""

    purchases: list[Purchase] = field(default_factory=list)
    rank_ups: list[RankUp] = field(default_factory=list)
    resets: list[int] = field(default_factory=list)
    samples: list[Sample] = field(default_factory=list)

    def longest_wait_s(self, until_s: int) -> int:
        """Return the longest time without a purchase from the start to `until_s`."""
        moments = [0, *(purchase.at_s for purchase in self.purchases if purchase.at_s < until_s), until_s]
        return max(later - earlier for earlier, later in pairwise(moments))

    def reached_s(self, rank: int) -> float:
        """Return when a rank was first reached, infinity when never."""
        return next((up.at_s for up in self.rank_ups if up.rank == rank), math.inf)

    def slowdowns(self, least_s: int) -> list[tuple[float, RankUp]]:
        """Return by how much longer each rank took than the one before it in its run, the worst first.

        A rank that took less than `least_s` counts as that long.
        """
        found = [
            (up.took_s / max(before.took_s, least_s), up)
            for before, up in pairwise(self.rank_ups)
            if before.run == up.run
        ]
        return sorted(found, key=lambda pair: -pair[0])

    def paybacks_s(self) -> dict[UpgradeId, float]:
        """Return for each upgrade that was bought how soon it paid for itself at its best moment."""
        best: dict[UpgradeId, float] = {}
        for purchase in self.purchases:
            known = best.get(purchase.upgrade.id, math.inf)
            best[purchase.upgrade.id] = min(known, purchase.payback_s)
        return best
