"""What clients count: answers, waits, errors, reconnects; one for all clients of a process."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from scripts.clicker.answered import Answered

_STEPS_A_DOUBLING: Final = 8
_SHORTEST_S: Final = 1e-5


@dataclass(slots=True)
class Waits:
    """A histogram of waits whose steps grow by a twelfth, so that it is small whatever it counts."""

    counts: Counter[int] = field(default_factory=Counter)
    total: int = 0
    longest_s: float = 0.0

    def add(self, wait_s: float) -> None:
        """Count one wait."""
        self.counts[math.ceil(math.log2(max(wait_s, _SHORTEST_S) / _SHORTEST_S) * _STEPS_A_DOUBLING)] += 1
        self.total += 1
        self.longest_s = max(self.longest_s, wait_s)

    def percentile_s(self, percent: float) -> float:
        """Return the wait that `percent` of all stayed below, rounded up to its step; 0 without any."""
        left = self.total * percent / 100
        for step in sorted(self.counts):
            left -= self.counts[step]
            if left <= 0:
                return min(self.longest_s, _SHORTEST_S * math.exp2(step / _STEPS_A_DOUBLING))
        return 0.0


@dataclass(slots=True)
class Totals:
    """Plain numbers since the start.

    `clicks` are cooks and sells that were applied. `lost` are applied numbers that the server no longer knew
    at a reconnect, `went_back` names versions below an earlier one on the same connection: both stay empty.
    `answered` waits from a request's first sending to its final answer, `errors` are counted by code,
    `closes` by close code (1006: broken off, or not opened).
    """

    sent: int = 0
    resent: int = 0
    settled: int = 0
    duplicates: int = 0
    clicks: int = 0
    timeouts: int = 0
    lost: int = 0
    went_back: list[str] = field(default_factory=list)
    errors: Counter[str] = field(default_factory=Counter)
    closes: Counter[int] = field(default_factory=Counter)
    answered: Waits = field(default_factory=Waits)

    @property
    def reconnects(self) -> int:
        """How many connections ended, or could not be opened, while the play went on."""
        return self.closes.total()

    def settle(self, answered: Answered, wait_s: float) -> None:
        """Count a final answer that came so long after its request was first sent."""
        self.settled += 1
        self.answered.add(wait_s)
        if answered.sent.request_type not in ("cook", "sell"):
            return
        if answered.data.get("duplicate"):
            self.duplicates += 1
            self.clicks += answered.sent.data.get("count", 1)
        elif not answered.code:
            self.clicks += answered.data["applied"]
