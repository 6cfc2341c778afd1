"""Passive income since it was last paid. Twin of `persistence/live/lua/lib/accrue.lua`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from game.arithmetic import saturated
from game.idle import income
from game.session import Offline

if TYPE_CHECKING:
    from game.rates import Rates
    from game.session import Session

AWAY_S: Final = 10
"""A gap of this length that earned something is shown."""
RAN_BACK_MS: Final = 10_000
"""A clock that is behind the last payment by more than this ran back."""


@dataclass(frozen=True, slots=True)
class Accrued:
    """The amounts of a session once income is paid; `apply` writes them.

    `moved`: there were seconds with income to pay, or the clock ran back by more than RAN_BACK_MS.
    `paid`: it changed an amount. `seconds` were paid, 0 when
    nothing changed. `away`: what a gap of AWAY_S or more earned.
    """

    accrued_at_ms: int
    money: float
    dishes: float
    xp: float
    accumulated: float
    cooked: float
    earned: float
    moved: bool
    paid: bool
    seconds: int
    away: Offline | None

    def apply(self, session: Session) -> None:
        """Pay: write the amounts, and add the earnings of a long gap to those not yet shown."""
        self.write(session)
        keep_away(session, self.away)

    def write(self, session: Session) -> None:
        """Write the amounts."""
        session.accrued_at_ms = self.accrued_at_ms
        session.money = self.money
        session.dishes = self.dishes
        session.xp = self.xp
        session.accumulated = self.accumulated
        session.cooked = self.cooked
        session.earned = self.earned


def keep_away(session: Session, away: Offline | None) -> None:
    """Add the earnings of a long gap to those not yet shown."""
    if away is not None:
        session.offline = away if session.offline is None else session.offline.plus(away)


def accrue(session: Session, rates: Rates, now_ms: int, cap_s: int) -> Accrued:
    """Compute passive income for the whole seconds since it was last paid, at most `cap_s`. Changes nothing.

    The part of a second that is left over is kept for the next time; what the cap cuts off is not. Time that
    seems to run backwards counts as none; by more than RAN_BACK_MS, and time is counted from now on.
    """
    gap_ms = now_ms - session.accrued_at_ms
    gap_s = gap_ms // 1000
    seconds = max(0, min(gap_s, cap_s))
    accrued_at_ms = now_ms - gap_ms % 1000 if gap_ms >= 1000 else session.accrued_at_ms  # noqa: PLR2004 - a second
    ran_back = gap_ms < -RAN_BACK_MS
    if gap_ms < 1000 or not rates.passive:  # noqa: PLR2004 - a second
        return Accrued(
            accrued_at_ms=now_ms if ran_back else accrued_at_ms,
            money=session.money,
            dishes=session.dishes,
            xp=session.xp,
            accumulated=session.accumulated,
            cooked=session.cooked,
            earned=session.earned,
            moved=ran_back and rates.passive,
            paid=False,
            seconds=0,
            away=None,
        )
    earned = income(float(seconds), session.dishes, rates.kitchen(session.boost))
    money = saturated(session.money + earned.money)
    xp = saturated(session.xp + earned.sells * rates.xp_per_passive_sell + seconds * rates.xp_per_second)
    accumulated = saturated(session.accumulated + seconds * rates.stars_per_second)
    before = (session.money, session.dishes, session.xp, session.accumulated)
    paid = (money, earned.dishes, xp, accumulated) != before
    away = Offline(
        seconds=seconds,
        away_seconds=gap_s,
        money=money - session.money,
        dishes=earned.dishes - session.dishes,
        xp=xp - session.xp,
        stars=accumulated - session.accumulated,
    )
    return Accrued(
        accrued_at_ms=accrued_at_ms,
        money=money,
        dishes=earned.dishes,
        xp=xp,
        accumulated=accumulated,
        cooked=saturated(session.cooked + seconds * rates.dishes_per_second),
        earned=saturated(session.earned + earned.money),
        moved=True,
        paid=paid,
        seconds=seconds if paid else 0,
        away=away if paid and gap_s >= AWAY_S else None,
    )
