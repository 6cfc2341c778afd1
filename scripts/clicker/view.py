"""What a client knows of its player, in the units of the game's rules."""

from __future__ import annotations

from typing import TYPE_CHECKING

from game.catalogue import Boost, BoostType, Catalogue, Names, Upgrade, UpgradeId, UpgradeType
from game.rates import Rates, rates_of
from game.session import Session, UserId

if TYPE_CHECKING:
    from clients.python import clickcook


class View:
    """The session as the server told it, and what follows from it by the rules.

    `need_is_known` is False where a `level_check` has to be asked.
    """

    def __init__(self) -> None:
        self.session = Session(UserId(0), version=0, accrued_at_ms=0)
        self.catalogue = Catalogue(0, (), (0,))
        self.rates: Rates = rates_of(self.session, self.catalogue)
        self.need_is_known = False
        self._derived_from: tuple[object, ...] = ()

    def take(self, game: clickcook.Game | None) -> None:
        """Follow the state of a client; None, before the first, changes nothing."""
        if game is None:
            return
        session = self.session
        session.version, session.user_id = game.version, UserId(game.user_id)
        session.money, session.dishes = float(game.money), float(game.dishes)
        session.rank, session.xp = game.rank, hundredths(game.xp)
        session.stars, session.boost = 10_000.0 * game.stars, 10.0 * game.boost
        session.accumulated = 10_000.0 * game.accumulated
        self.need_is_known = game.need_is_known
        derived_from = (game.upgrades, game.rank, game.need, game.boost)
        if derived_from != self._derived_from:
            self._derived_from = derived_from
            session.bought = {key: one.times_bought for key, one in game.upgrades.items() if one.times_bought}
            ranks = (0,) * (game.rank + 1)
            upgrades = tuple(_upgrade(one) for one in game.upgrades.values())
            self.catalogue = Catalogue(0, upgrades, (*ranks, int(game.need)) if game.need else ranks)
            self.rates = rates_of(session, self.catalogue)


def hundredths(value: float) -> float:
    """Return an amount with two decimals as the rules hold it."""
    return float(round(value * 100))


def _upgrade(item: clickcook.Upgrade) -> Upgrade:
    boost = item.boost
    return Upgrade(
        id=UpgradeId(item.id),
        name=item.name,
        names=Names(ru=item.names["ru"], en=item.names["en"]),
        icon_name=item.icon_name,
        upgrade_type=UpgradeType(item.upgrade_type),
        price_factor=float(item.price_factor),
        price=float(item.price),
        access_level=item.access_level,
        boost=Boost(boost.id, BoostType(boost.boost_type), round(boost.value * 100)),
    )
