"""What a player's clicks must have come to, compared with what the server has. Pure."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Difference:
    """How many answered clicks the server lacks, and how many it has that nobody made."""

    lost: int
    doubled: int


@dataclass(slots=True)
class Ledger:
    """The cooks and sells of a player who owns the sandwich and nothing else: each moves one dish.

    `sent` counts each click once, however often the client sent it; `applied` counts the answered ones.
    """

    sent: Counter[str] = field(default_factory=Counter)
    applied: Counter[str] = field(default_factory=Counter)

    def against(self, dishes: float, money: float, *, may_lose: bool = False) -> Difference:
        """Compare with the server's state, when nothing is unanswered.

        `may_lose`: Redis may lose what it answered. A click is doubled there only where the server has more
        than were sent.
        """
        stored = Counter(cook=round(dishes + money), sell=round(money))
        most = self.sent if may_lose else self.applied
        # Counters subtract to what is more alone.
        return Difference((self.applied - stored).total(), (stored - most).total())
