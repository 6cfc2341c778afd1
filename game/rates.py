"""What follows from a session and the catalogue: sums of boosts, gains of a click, the price of an upgrade.

In `persistence/live/lua`, the twins of `cook_gain` and `click_xp` are in `lib`, that of `Rates.sale` in
`sell.lua`, that of the price in `upgrade_buy.lua`.
Nothing here changes a session.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from game.arithmetic import LIMIT, ceiling, floor, half_up, saturated
from game.catalogue import BoostType, UpgradeId, UpgradeType
from game.idle import Kitchen

if TYPE_CHECKING:
    from collections.abc import Iterator

    from game.catalogue import Catalogue, Upgrade
    from game.session import Session

UNAFFORDABLE: Final = 1e301
"""A price that nobody can pay, since money ends at 1e300."""
LONGEST_POWER: Final = 100_000
"""Multiplications after which a price counts as unaffordable; computing it must end."""
CLICK_XP: Final = 100.0
"""Hundredths of xp for one cook or sell, without stars."""


@dataclass(slots=True)
class Rates:
    """The derived fields of a session: `sums` of boosts in hundredths, and what they and the rank come to.

    `cook_gain` dishes for one cook, 0 without an owned dish; `click_xp` hundredths of xp for one cook or
    sell, 0 at the last rank; `need` whole xp for the next rank, 0 at the last one.
    """

    sums: dict[BoostType, float]
    cook_gain: float
    click_xp: float
    need: float

    @property
    def portion(self) -> float:
        """Dishes sold with one sell."""
        return 1.0 + floor(self.sums[BoostType.SALES_PER_SELL] / 100)

    @property
    def passive(self) -> bool:
        """Whether there is income without a click."""
        return self.sums[BoostType.MONEY_PER_SECOND] > 0 or self.sums[BoostType.DISHES_PER_SECOND] > 0

    @property
    def dishes_per_second(self) -> float:
        """Dishes cooked in a second without a click."""
        per_second = self.sums[BoostType.DISHES_PER_SECOND]
        return (
            ceiling(1e4, per_second, multiplier(self.sums[BoostType.PASSIVE_DISH_MULTIPLIER]))
            if per_second > 0
            else 0.0
        )

    @property
    def stars_per_second(self) -> float:
        """Ten-thousandths of a star accumulated in a second."""
        return half_up(
            20000,
            self.sums[BoostType.MONEY_PER_SECOND],
            multiplier(self.sums[BoostType.PASSIVE_MONEY_MULTIPLIER]),
        )

    @property
    def xp_per_passive_sell(self) -> float:
        """Hundredths of xp for a second in which something was sold; none at the last rank."""
        return half_up(20, self.sums[BoostType.MONEY_PER_SECOND]) if self.need > 0 else 0.0

    @property
    def xp_per_second(self) -> float:
        """Hundredths of xp for a second of cooking without a click; none at the last rank."""
        return half_up(5, self.sums[BoostType.DISHES_PER_SECOND]) if self.need > 0 else 0.0

    def sale(self, dishes: float, boost_tenths: float) -> float:
        """Return the money for dishes sold together by hand."""
        return ceiling(
            1e5,
            self.sums[BoostType.MONEY_PER_CLICK],
            multiplier(self.sums[BoostType.MONEY_MULTIPLIER]),
            prestige_factor(boost_tenths),
            dishes,
        )

    def kitchen(self, boost_tenths: float) -> Kitchen:
        """Return what passive income depends on."""
        return Kitchen(
            cooked=self.dishes_per_second,
            portion=self.portion,
            sale_hundredths=self.sums[BoostType.MONEY_PER_SECOND],
            multiplier_hundredths=multiplier(self.sums[BoostType.PASSIVE_MONEY_MULTIPLIER]),
            factor_tenths=prestige_factor(boost_tenths),
        )


def multiplier(hundredths: float) -> float:
    """Return a multiplier from its sum of boosts: 1 when nothing owned raises it."""
    return hundredths if hundredths > 0 else 100.0


def prestige_factor(boost_tenths: float) -> float:
    """Return the prestige factor in tenths: 1 before the first prestige."""
    return boost_tenths if boost_tenths > 0 else 10.0


def cook_gain_of(sums: dict[BoostType, float]) -> float:
    """Return the dishes for one cook with these boosts."""
    return ceiling(1e4, 100 + sums[BoostType.DISHES_PER_CLICK], multiplier(sums[BoostType.DISH_MULTIPLIER]))


def click_xp_of(stars: float, need: float) -> float:
    """Return the hundredths of xp for one cook or sell, with current stars in ten-thousandths."""
    return CLICK_XP + half_up(2000, stars) if need > 0 else 0.0


def need_of(rank: int, catalogue: Catalogue) -> float:
    """Return the whole xp that the rank after this one needs, 0 at the last."""
    return float(catalogue.level_xp[rank + 1]) if rank < catalogue.last_rank else 0.0


def rates_of(session: Session, catalogue: Catalogue) -> Rates:
    """Derive a session's rates again. What it owns and the catalogue no longer has counts for nothing."""
    sums = dict.fromkeys(BoostType, 0.0)
    owns_dish = False
    for upgrade_id, times_bought in sorted(session.bought.items()):
        upgrade = catalogue.by_id.get(UpgradeId(upgrade_id))
        if upgrade is not None and times_bought > 0:
            kind = upgrade.boost.boost_type
            sums[kind] = saturated(sums[kind] + float(upgrade.boost.value_hundredths) * float(times_bought))
            owns_dish = owns_dish or upgrade.upgrade_type is UpgradeType.DISH
    need = need_of(session.rank, catalogue)
    return Rates(
        sums=sums,
        cook_gain=cook_gain_of(sums) if owns_dish else 0.0,
        click_xp=click_xp_of(session.stars, need),
        need=need,
    )


def price_of(upgrade: Upgrade, times_bought: int) -> float:
    """Return what one more costs: price * price_factor ^ times_bought, half up.

    The power is a repeated multiplication of doubles.

    UNAFFORDABLE where the power passes 1e300 or takes more than LONGEST_POWER multiplications.
    """
    return _price(upgrade, _power(upgrade.price_factor, times_bought))


def prices_of(upgrade: Upgrade, times_bought: int) -> Iterator[float]:
    """Yield what one more costs, and each one after it, without an end."""
    factor = upgrade.price_factor
    power = _power(factor, times_bought)
    while True:
        yield _price(upgrade, power)
        times_bought += 1
        power = power * factor if factor == 1 or times_bought <= LONGEST_POWER else math.inf


def _power(factor: float, times: int) -> float:
    """Multiply a factor so many times; infinity where that passes LIMIT or takes too long."""
    power = 1.0
    if factor != 1:
        if times > LONGEST_POWER:
            return math.inf
        for _ in range(times):
            power *= factor
            if power > LIMIT:
                return math.inf
    return power


def _price(upgrade: Upgrade, power: float) -> float:
    if power > LIMIT:
        return UNAFFORDABLE
    exact = float(upgrade.price) * power
    if exact >= UNAFFORDABLE:
        return UNAFFORDABLE
    whole = floor(exact)
    return whole + 1 if exact - whole >= 0.5 else whole  # noqa: PLR2004 - half up is what a half is
