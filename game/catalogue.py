"""What can be bought and what each rank needs: the catalogue as immutable values.

Boost values are whole hundredths, so that every sum, ceil and half-up of the rules is exact.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import NewType

UpgradeId = NewType("UpgradeId", int)


class UpgradeType(StrEnum):
    """The shelf an upgrade stands on; the order here is the order on the wire."""

    DISH = "dish"
    EQUIPMENT = "equipment"
    GLOBAL = "global"
    STAFF = "staff"
    POINT = "point"


class BoostType(StrEnum):
    """What an upgrade raises, by the names that clients know."""

    DISHES_PER_CLICK = "dPc"
    MONEY_PER_CLICK = "mPc"
    SALES_PER_SELL = "sPs"
    DISHES_PER_SECOND = "dPs"
    MONEY_PER_SECOND = "mPs"
    DISH_MULTIPLIER = "dM"
    MONEY_MULTIPLIER = "mM"
    PASSIVE_DISH_MULTIPLIER = "dpM"
    PASSIVE_MONEY_MULTIPLIER = "mpM"


@dataclass(frozen=True, slots=True)
class Boost:
    """What one purchase of an upgrade adds to the sum of its boost type, in hundredths."""

    id: int
    boost_type: BoostType
    value_hundredths: int


@dataclass(frozen=True, slots=True)
class Names:
    """What an upgrade is called, by language."""

    ru: str
    en: str


@dataclass(frozen=True, slots=True)
class Upgrade:
    """One thing on sale. `price` is whole money, `access_level` the rank it needs.

    `name` is the one of `names` in the server's language.
    """

    id: UpgradeId
    name: str
    names: Names
    icon_name: str
    upgrade_type: UpgradeType
    price_factor: float
    price: float
    access_level: int
    boost: Boost


@dataclass(frozen=True, slots=True)
class Catalogue:
    """All upgrades and ranks of one generation.

    `upgrades` stand in wire order: type, then price, then id. `level_xp[r]` is the whole xp that
    rank r needs; `level_xp[0]` is 0. `generation` grows with each change of the stored catalogue.
    `language` is that of the names: `ru` or `en`. `changes` tells since when this generation and some before
    it hold: generation, moment (ms).
    """

    generation: int
    upgrades: tuple[Upgrade, ...]
    level_xp: tuple[int, ...]
    language: str = "ru"
    changes: tuple[tuple[int, int], ...] = field(default=(), compare=False)
    by_id: dict[UpgradeId, Upgrade] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Index the upgrades by id."""
        object.__setattr__(self, "by_id", {upgrade.id: upgrade for upgrade in self.upgrades})

    def __hash__(self) -> int:
        """Compare generations at no cost: values kept for a catalogue are looked up at each request."""
        return hash((self.generation, self.language))

    def ended_ms(self, generation: int) -> int | None:
        """Say when an older generation ended; None where that is not known."""
        return dict(self.changes).get(generation + 1)

    @property
    def last_rank(self) -> int:
        """The rank after which none follows."""
        return len(self.level_xp) - 1
