"""What to buy next: income at a pace, what each upgrade on sale adds to it, and what its xp is worth. Pure.

What the simulated players and the promises know of income comes from here. Dishes in stock count, and so does
the wait for the money.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from game.arithmetic import half_up
from game.catalogue import BoostType, UpgradeType
from game.idle import LEAST_SOLD
from game.rates import prices_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from game.catalogue import Catalogue, Upgrade
    from game.rates import Rates
    from game.session import Session

STOCK_S: Final = 600.0
"""Dishes in stock count as sold evenly over so long."""
USUAL_CLICKS_PER_S: Final = 4.0
"""The pace of a player who has not shown one, and of one whose hands rest before anything comes by itself."""
XP_WORTH: Final = 0.5
"""A purchase is made for its xp where it costs less than this part of what play for as much xp earns."""
LEAST_GAIN: Final = 1e-9
"""A gain of a smaller part of the income is a rounding."""
_EXACT: Final = 2.0**53


@dataclass(frozen=True, slots=True)
class Flow:
    """Money a second, the clicks split as pays best: `cooks` and `sells` a second."""

    money: float
    cooks: float
    sells: float


@dataclass(frozen=True, slots=True)
class Offer:
    """What one more of an upgrade costs, the wait for its price, and in how long it then earns that back."""

    upgrade: Upgrade
    price: float
    wait_s: float
    payback_s: float
    xp_s: float
    """How long play takes for the xp of this purchase, where that alone is worth the price; 0 elsewhere."""

    @property
    def seconds(self) -> float:
        """Say after how long, from now, it has paid for itself."""
        return self.wait_s + self.payback_s


def flow(
    sums: dict[BoostType, float],
    boost_tenths: float,
    clicks_per_s: float,
    dishes: float = 0.0,
    *,
    can_cook: bool = True,
) -> Flow:
    """Compute the best steady income with boosts in hundredths, at a pace, from so many dishes in stock.

    Passive sales take their dishes first; what is left is sold by hand. A click cooks or sells.
    """
    factor = boost_tenths if boost_tenths > 0 else 10.0
    cooked = (
        _ceiling((100 + sums[BoostType.DISHES_PER_CLICK]) * (sums[BoostType.DISH_MULTIPLIER] or 100) / 1e4)
        if can_cook
        else 0.0
    )
    portion = 1 + float(math.floor(sums[BoostType.SALES_PER_SELL] / 100))
    by_hand = _ceiling(
        sums[BoostType.MONEY_PER_CLICK] * (sums[BoostType.MONEY_MULTIPLIER] or 100) * portion * factor / 1e5
    )
    itself = _ceiling(
        sums[BoostType.MONEY_PER_SECOND]
        * (sums[BoostType.PASSIVE_MONEY_MULTIPLIER] or 100)
        * factor
        * portion
        / 1e5
    )
    found = dishes / STOCK_S + _ceiling(
        sums[BoostType.DISHES_PER_SECOND] * (sums[BoostType.PASSIVE_DISH_MULTIPLIER] or 100) / 1e4
    )
    taken = portion if itself > 0 else 0.0
    cooks = min(clicks_per_s, max(0.0, (clicks_per_s * portion + taken - found) / (cooked + portion)))
    supply = found + cooks * cooked
    sold_itself = min(taken, supply)
    sells = min(clicks_per_s - cooks, (supply - sold_itself) / portion)
    return Flow(sells * by_hand + sold_itself * itself / portion, cooks, sells)


def offers(
    session: Session, rates: Rates, catalogue: Catalogue, clicks_per_s: float, xp_worth: float = XP_WORTH
) -> Iterator[Offer]:
    """Yield what may be bought at this rank, at a pace; what raises no income pays back after infinity."""
    sums, can_cook = rates.sums, rates.cook_gain > 0
    now = flow(sums, session.boost, clicks_per_s, session.dishes, can_cook=can_cook).money
    xp_s = seconds_for_xp(session, rates, clicks_per_s)
    for upgrade in catalogue.upgrades:
        times_bought = session.bought.get(upgrade.id, 0)
        is_dish = upgrade.upgrade_type is UpgradeType.DISH
        if upgrade.access_level > session.rank or (is_dish and times_bought > 0):
            continue
        kind = upgrade.boost.boost_type
        before = sums[kind]
        sums[kind] = before + upgrade.boost.value_hundredths
        after = flow(sums, session.boost, clicks_per_s, session.dishes, can_cook=can_cook or is_dish).money
        sums[kind] = before
        gain = after - now
        price = next(prices_of(upgrade, times_bought))
        short = price - session.money
        wait_s = 0.0 if short <= 0 else short / now if now > 0 else math.inf
        payback_s = price / gain if gain > now * LEAST_GAIN else math.inf
        yield Offer(upgrade, price, wait_s, payback_s, xp_s if price < xp_worth * now * xp_s else 0.0)


def seconds_for_xp(session: Session, rates: Rates, clicks_per_s: float) -> float:
    """Say how long play at a pace takes for the xp of one purchase; 0 where there is none to gain."""
    per_s = clicks_per_s * rates.click_xp + rates.xp_per_second + rates.xp_per_passive_sell
    return (5 * rates.need + half_up(1000, session.stars)) / per_s if rates.need > 0 and per_s > 0 else 0.0


def best_of(on_sale: Iterable[Offer]) -> Offer | None:
    """Choose what to buy next: the cheapest that is worth its price for the xp alone.

    Where none is, what has paid for itself soonest, counted from now: the wait for its price included. Of
    equals the first on the shelf. None when nothing is worth its xp or raises the income.
    """
    best: Offer | None = None
    for offer in on_sale:
        if offer.xp_s > 0:
            is_better = best is None or best.xp_s == 0 or offer.price < best.price
        else:
            is_better = (best is None or best.xp_s == 0) and offer.seconds < (
                math.inf if best is None else best.seconds
            )
        if is_better:
            best = offer
    return best


def advise(session: Session, rates: Rates, catalogue: Catalogue, clicks_per_s: float) -> Offer | None:
    """Choose what to buy next at a pace, at the usual one where hands rest and nothing comes by itself."""
    best = best_of(offers(session, rates, catalogue, clicks_per_s))
    if best is not None or clicks_per_s > 0:
        return best
    return best_of(offers(session, rates, catalogue, USUAL_CLICKS_PER_S))


def cooks_among(clicks: int, session: Session, rates: Rates, seconds: float) -> int:
    """Say how many of `clicks` should cook, so that the rest, and passive sales, find dishes to sell."""
    if rates.cook_gain == 0:
        return 0
    kept = -seconds * rates.dishes_per_second
    if rates.sums[BoostType.MONEY_PER_SECOND] > 0:
        kept += seconds * rates.portion + LEAST_SOLD
    wanted = (kept - session.dishes + clicks * rates.portion) / (rates.cook_gain + rates.portion)
    return min(clicks, max(0, math.ceil(wanted)))


def _ceiling(amount: float) -> float:
    return float(math.ceil(amount)) if amount < _EXACT else amount
