"""The game's rules as far as a client needs them: what a click will bring, before the server says so. Pure.

The server decides: its next answer replaces what is computed here. Amounts of at most two decimals are whole
hundredths, so that every rounding is exact.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from .state import Game, Upgrade
    from .waiting import Entry


@dataclass(frozen=True, slots=True)
class Rates:
    """What clicks bring: dishes of a cook, dishes of a sale, and its money in a fraction's parts."""

    cook_gain: int
    sold_at_once: int
    money_per_dish: int
    """In hundred-thousandths."""

    def money_for(self, dishes: float) -> int:
        """Return the money of a sale of so many dishes."""
        return math.ceil(self.money_per_dish * dishes / 100_000)


def rates_of(game: Game) -> Rates:
    """Return what clicks bring with the upgrades that are owned."""
    sums: dict[str, int] = {}
    for upgrade in game.upgrades.values():
        if upgrade.times_bought:
            boost = upgrade.boost
            gain = _whole(boost.value * 100) * upgrade.times_bought
            sums[boost.boost_type] = sums.get(boost.boost_type, 0) + gain
    factor_tenths = _whole(game.boost * 10) if game.boost > 0 else 10
    return Rates(
        cook_gain=math.ceil((100 + sums.get("dPc", 0)) * (sums.get("dM") or 100) / 10_000),
        sold_at_once=1 + sums.get("sPs", 0) // 100,
        money_per_dish=sums.get("mPc", 0) * (sums.get("mM") or 100) * factor_tenths,
    )


def expected(game: Game, entries: Iterable[Entry]) -> Game:
    """Return the state with requests applied in their order; those that the rules refuse change nothing."""
    for entry in entries:
        game = apply(game, entry.request_type, entry.data) or game
    return game


def apply(game: Game, request_type: str, data: Mapping[str, Any]) -> Game | None:
    """Return the state after a request, None where the rules refuse it.

    Requests whose effect is not worth a guess (`level_up`, `session_reset`) leave it as it is.
    """
    count = data.get("count", 1)
    match request_type:
        case "cook":
            return _cook(game, count)
        case "sell":
            return _sell(game, count)
        case "upgrade_buy":
            upgrade = game.upgrades.get(data["id"])
            return None if upgrade is None else _buy(game, upgrade, count)
    return game


def _cook(game: Game, count: int) -> Game | None:
    if not any(one.upgrade_type == "dish" and one.times_bought for one in game.upgrades.values()):
        return None
    return replace(game, dishes=game.dishes + count * rates_of(game).cook_gain, xp=_click_xp(game, count))


def _sell(game: Game, count: int) -> Game | None:
    if game.dishes <= 0:
        return None
    rates = rates_of(game)
    full = min(count, math.floor(game.dishes / rates.sold_at_once))
    dishes = game.dishes - full * rates.sold_at_once
    money = game.money + full * rates.money_for(rates.sold_at_once)
    if full < count and dishes > 0:
        return replace(game, dishes=0, money=money + rates.money_for(dishes), xp=_click_xp(game, full + 1))
    return replace(game, dishes=dishes, money=money, xp=_click_xp(game, full))


def _buy(game: Game, upgrade: Upgrade, count: int) -> Game | None:
    bought = 0
    while bought < count:
        price = upgrade.next_price
        if not upgrade.on_sale or upgrade.access_level > game.rank or price > game.money:
            break
        upgrade = replace(upgrade, times_bought=upgrade.times_bought + 1)
        xp = _plus_xp(game, 5 * (game.need or 0), 10)
        upgrades = {**game.upgrades, upgrade.id: upgrade}
        game = replace(game, money=game.money - price, upgrades=upgrades, xp=xp)
        bought += 1
    return game if bought else None


def _click_xp(game: Game, count: int) -> float:
    return _plus_xp(game, 100, 5, count)


def _plus_xp(game: Game, gain: float, per_star: int, count: int = 1) -> float:
    """Return the xp after `count` gains of hundredths and so many more for each star."""
    if game.need is None and game.need_is_known:
        return game.xp
    each = gain + _whole(per_star * _whole(game.stars * 10_000) / 10_000)
    return (_whole(game.xp * 100) + count * each) / 100


def _whole(value: float) -> int:
    return math.floor(value + 0.5)
