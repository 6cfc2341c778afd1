"""A player's session: the persistent state that Redis holds and PostgreSQL keeps.

Amounts are floats that hold whole numbers: exact to 2^53, the nearest double beyond, at most 1e300.
The names are those of the hash in Redis and of the columns in PostgreSQL.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NewType

UserId = NewType("UserId", int)


@dataclass(slots=True)
class ClientWindow:
    """Which of a client's last 64 numbers were applied.

    Bit i of `applied` stands for `highest - i`. `used_version` is the version that one was last
    applied with: at least the Redis time then, in ms.
    """

    highest: int
    applied: int
    used_version: int


@dataclass(frozen=True, slots=True)
class Offline:
    """What gaps of 10 s or more earned.

    `seconds` were paid, after the cap, of `away_seconds`. The others are net changes: `dishes` may be
    negative, `xp` is in hundredths, `stars` (accumulated ones) in ten-thousandths.
    """

    seconds: int
    away_seconds: int
    money: float
    dishes: float
    xp: float
    stars: float

    @property
    def earned(self) -> bool:
        """Whether an amount changed."""
        return any((self.money, self.dishes, self.xp, self.stars))

    def plus(self, later: Offline) -> Offline:
        """Return what both gaps earned."""
        return Offline(
            seconds=self.seconds + later.seconds,
            away_seconds=self.away_seconds + later.away_seconds,
            money=self.money + later.money,
            dishes=self.dishes + later.dishes,
            xp=self.xp + later.xp,
            stars=self.stars + later.stars,
        )


@dataclass(slots=True)
class Session:
    """The persistent state of one player.

    Units: `xp` hundredths; `stars` (current) and `accumulated` ten-thousandths; `boost` tenths;
    `accrued_at_ms` Redis' time up to which passive income is paid. `offline` is what long gaps earned and
    no client has been shown.
    """

    user_id: UserId
    version: int
    accrued_at_ms: int
    money: float = 0.0
    dishes: float = 0.0
    rank: int = 0
    xp: float = 0.0
    stars: float = 0.0
    accumulated: float = 0.0
    boost: float = 0.0
    bought: dict[int, int] = field(default_factory=dict)
    clicks: float = 0.0
    cooked: float = 0.0
    earned: float = 0.0
    purchases: float = 0.0
    resets: float = 0.0
    achieved: tuple[int, ...] = ()
    offline: Offline | None = None
    clients: dict[str, ClientWindow] = field(default_factory=dict)
