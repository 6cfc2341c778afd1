"""Two small catalogues for tests: every boost type, prices from nothing to past 1e300."""

from __future__ import annotations

from typing import Final

from game.catalogue import Boost, BoostType, Catalogue, Names, Upgrade, UpgradeId, UpgradeType

SANDWICH: Final = 1
LOBSTER: Final = 2
FEAST: Final = 16

LEVEL_XP: Final = (0, *(100 + 7 * rank * rank for rank in range(1, 101)))


def upgrade(
    upgrade_id: int,
    kind: UpgradeType,
    boost_type: BoostType,
    value_hundredths: int,
    *,
    price: float = 10.0,
    price_factor: float = 1.15,
    access_level: int = 0,
) -> Upgrade:
    """Make an upgrade named by its id."""
    return Upgrade(
        id=UpgradeId(upgrade_id),
        name=f"улучшение {upgrade_id}",
        names=Names(ru=f"улучшение {upgrade_id}", en=f"upgrade {upgrade_id}"),
        icon_name=f"icon_{upgrade_id}",
        upgrade_type=kind,
        price_factor=price_factor,
        price=price,
        access_level=access_level,
        boost=Boost(upgrade_id, boost_type, value_hundredths),
    )


_DISH, _EQUIPMENT, _GLOBAL = UpgradeType.DISH, UpgradeType.EQUIPMENT, UpgradeType.GLOBAL
_STAFF, _POINT = UpgradeType.STAFF, UpgradeType.POINT

_UPGRADES: Final = (
    upgrade(SANDWICH, _DISH, BoostType.MONEY_PER_CLICK, 100, price=0.0, price_factor=1.0),
    upgrade(LOBSTER, _DISH, BoostType.MONEY_PER_CLICK, 725, price=40.0, price_factor=1.0, access_level=2),
    upgrade(3, _EQUIPMENT, BoostType.DISHES_PER_CLICK, 33, price=5.0, price_factor=1.07),
    upgrade(4, _EQUIPMENT, BoostType.SALES_PER_SELL, 100, price=20.0),
    upgrade(5, _EQUIPMENT, BoostType.DISHES_PER_SECOND, 40, price=15.0),
    upgrade(6, _EQUIPMENT, BoostType.MONEY_PER_SECOND, 35, price=25.0),
    upgrade(7, _GLOBAL, BoostType.DISH_MULTIPLIER, 110, price=50.0, price_factor=2.0),
    upgrade(8, _GLOBAL, BoostType.MONEY_MULTIPLIER, 125, price=50.0, price_factor=2.0),
    upgrade(9, _GLOBAL, BoostType.PASSIVE_DISH_MULTIPLIER, 150, price=60.0, access_level=1),
    upgrade(10, _GLOBAL, BoostType.PASSIVE_MONEY_MULTIPLIER, 101, price=60.0, access_level=1),
    upgrade(11, _STAFF, BoostType.DISHES_PER_SECOND, 300, price=75.0),
    upgrade(12, _STAFF, BoostType.SALES_PER_SELL, 700, price=75.0, price_factor=1.0),
    upgrade(13, _POINT, BoostType.MONEY_PER_SECOND, 25_000, price=400.0),
    upgrade(14, _POINT, BoostType.MONEY_PER_SECOND, 9_000_000_000, price=1e15, price_factor=1e40),
    upgrade(15, _STAFF, BoostType.DISHES_PER_SECOND, 700_000_000_000, price=1e9, price_factor=1.0000001),
    upgrade(
        FEAST,
        _DISH,
        BoostType.MONEY_PER_CLICK,
        900_000_000_000_000,
        price=1e299,
        price_factor=1.0,
        access_level=100,
    ),
)

CATALOGUE: Final = Catalogue(generation=1, upgrades=_UPGRADES, level_xp=LEVEL_XP)

CHANGED: Final = Catalogue(
    generation=2,
    upgrades=(
        *_UPGRADES[:4],
        upgrade(5, _EQUIPMENT, BoostType.DISHES_PER_SECOND, 90, price=15.0),
        upgrade(6, _EQUIPMENT, BoostType.DISHES_PER_CLICK, 10, price=25.0),
        *_UPGRADES[6:],
    ),
    level_xp=tuple(2 * xp for xp in LEVEL_XP),
)
"""The next generation: an upgrade raises more, one raises something else, ranks need twice the xp."""
