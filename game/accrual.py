"""Passive income since it was last paid. Twin of `persistence/live/lua/lib/accrue.lua`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

from game.arithmetic import saturated
from game.idle import income
from game.session import Offline

if TYPE_CHECKING:
    from game.idle import Kitchen
    from game.rates import Rates
    from game.session import Session

AWAY_S: Final = 10
"""A gap of this length that earned something is shown."""
RAN_BACK_MS: Final = 10_000
"""A clock that is behind the last payment by more than this ran back."""
PROMISE_MS: Final = 300_000
"""For how long after a request a joined player counts as joined."""
CAP_S: Final = 28_800
"""Seconds away that count, where nobody set another number."""


@dataclass(frozen=True, slots=True)
class Flow:
    """What a second brings: money and dishes by the `kitchen`, xp and stars; all follow from the rates."""

    kitchen: Kitchen
    xp_per_sell: float
    xp_per_second: float
    stars_per_second: float

    def second(self, sold: float) -> Amounts:
        """Return what a second adds to the amounts in which so many dishes are sold."""
        money = self.kitchen.price_of(sold) if sold else 0.0
        cooked = self.kitchen.cooked
        xp = self.xp_per_second + (self.xp_per_sell if sold else 0.0)
        return Amounts(money, cooked - sold, xp, self.stars_per_second, cooked, money)


def flow_of(rates: Rates, boost_tenths: float) -> Flow:
    """Return what a second brings at these rates."""
    return Flow(
        rates.kitchen(boost_tenths), rates.xp_per_passive_sell, rates.xp_per_second, rates.stars_per_second
    )


class Amounts(NamedTuple):
    """What income changes."""

    money: float
    dishes: float
    xp: float
    accumulated: float
    cooked: float
    earned: float

    @property
    def shown(self) -> tuple[float, float, float, float]:
        """What players are shown of it."""
        return self.money, self.dishes, self.xp, self.accumulated


def after(amounts: Amounts, flow: Flow, seconds: int) -> Amounts:
    """Return what so many seconds make of the amounts."""
    money, dishes, xp, accumulated, cooked, earned = amounts
    kitchen = flow.kitchen
    gain, dishes, sells = income(float(seconds), dishes, kitchen)
    return Amounts(
        saturated(money + gain),
        dishes,
        saturated(xp + sells * flow.xp_per_sell + seconds * flow.xp_per_second),
        saturated(accumulated + seconds * flow.stars_per_second),
        saturated(cooked + seconds * kitchen.cooked),
        saturated(earned + gain),
    )


@dataclass(frozen=True, slots=True)
class Accrued:
    """The amounts of a session once income is paid; `apply` writes them.

    `moved`: there were seconds with income to pay, or the clock ran back by more than RAN_BACK_MS. `paid`: it
    changed an amount, or set the time: who computes is to hear of it. `away`: what the seconds earned in
    which nobody was joined, None when there were none.
    """

    accrued_at_ms: int
    amounts: Amounts
    moved: bool
    paid: bool
    away: Offline | None

    def apply(self, session: Session) -> None:
        """Pay: write the amounts, and add the earnings of a long gap to those not yet shown."""
        self.write(session)
        keep_away(session, self.away)

    def write(self, session: Session) -> None:
        """Write the amounts."""
        session.accrued_at_ms = self.accrued_at_ms
        for name, amount in self.amounts._asdict().items():
            setattr(session, name, amount)


def keep_away(session: Session, away: Offline | None) -> None:
    """Add the earnings of a gap to those not yet shown, where it is long enough and earned something."""
    if away is not None and away.away_seconds >= AWAY_S and away.earned:
        session.offline = away if session.offline is None else session.offline.plus(away)


def accrue(session: Session, rates: Rates, now_ms: int, cap_s: int, joined_until_ms: int = 0) -> Accrued:
    """Compute passive income for the whole seconds since it was last paid. Changes nothing.

    Up to `joined_until_ms` (whatever its sign) every second counts, after it at most `cap_s`. The part of a
    second that is left over is kept for the next time; what the cap cuts off is not. Time that seems to run
    backwards counts as none; by more than RAN_BACK_MS, and time is counted from now on.
    """
    amounts = amounts_of(session)
    since_ms = session.accrued_at_ms
    gap_s, rest_ms = divmod(now_ms - since_ms, 1000)
    if now_ms - since_ms < -RAN_BACK_MS:
        return Accrued(now_ms, amounts, moved=rates.passive, paid=rates.passive, away=None)
    if gap_s <= 0:
        return Accrued(since_ms, amounts, moved=False, paid=False, away=None)
    joined_ms = abs(joined_until_ms)
    if joined_ms > now_ms + PROMISE_MS + RAN_BACK_MS:
        joined_ms = 0
    joined_s = min(gap_s, max(0, (joined_ms - since_ms) // 1000))
    away_s = gap_s - joined_s
    away_paid_s = min(away_s, cap_s)
    away = Offline(0, away_s, 0.0, 0.0, 0.0, 0.0) if away_s else None
    if not rates.passive:
        return Accrued(now_ms - rest_ms, amounts, moved=False, paid=False, away=away)
    flow = flow_of(rates, session.boost)
    then = after(amounts, flow, joined_s + away_paid_s)
    paid = then.shown != amounts.shown
    if away is not None and paid:
        left = after(amounts, flow, joined_s) if joined_s else amounts
        away = Offline(
            seconds=away_paid_s,
            away_seconds=away_s,
            money=then.money - left.money,
            dishes=then.dishes - left.dishes,
            xp=then.xp - left.xp,
            stars=then.accumulated - left.accumulated,
        )
    return Accrued(now_ms - rest_ms, then, moved=True, paid=paid, away=away)


def amounts_of(session: Session) -> Amounts:
    """Return what income changes of a session."""
    return Amounts(
        session.money,
        session.dishes,
        session.xp,
        session.accumulated,
        session.cooked,
        session.earned,
    )
