"""What a client knows of its player: the server's last word, kept up by every answer and push."""

from __future__ import annotations

from typing import Any

from game.catalogue import Boost, BoostType, Catalogue, Names, Upgrade, UpgradeId, UpgradeType
from game.rates import Rates, rates_of
from game.session import Session, UserId


class View:
    """The session as the server told it, and what follows from it by the rules.

    `need_is_known` turns False where a `level_check` has to be asked.
    """

    def __init__(self) -> None:
        self.session = Session(UserId(0), version=0, accrued_at_ms=0)
        self.catalogue = Catalogue(0, (), (0,))
        self.rates: Rates = rates_of(self.session, self.catalogue)
        self.need_is_known = False
        self._upgrades: tuple[Upgrade, ...] = ()
        self._need = 0

    def take(self, request_type: str, data: dict[str, Any]) -> None:
        """Take an answer's or a push's data; what is older than what is known changes nothing."""
        version = data.get("version", 0)
        session = self.session
        if version < session.version:
            return
        session.version = version
        session.money = float(data.get("money", session.money))
        session.dishes = float(data.get("dishes", session.dishes))
        if "xp" in data:
            session.xp = hundredths(data["xp"])
        match request_type:
            case "session":
                self._take_session(data["session"])
            case "upgrade_buy":
                session.bought[data["id"]] = data["times_bought"]
                self._derive()
            case "level_check":
                self._rise(data["current_rank"], data["current_xp"], data.get("needed_xp", 0))
            case "level_up":
                need = data.get("next_xp", 0) if data["current_rank"] > session.rank else self._need
                self._rise(data["current_rank"], data["current_xp"], need)
            case "session_reset":
                session.bought.clear()
                self._take_prestige(data["prestige"])
                session.rank, session.xp = data["level_rank"], hundredths(data["level_xp"])
                self.need_is_known = False
                self._derive()
            case "passive":
                session.rank, session.xp = data["level_rank"], hundredths(data["level_xp"])
                session.accumulated = 10_000.0 * data["prestige_accumulated"]

    def _take_session(self, told: dict[str, Any]) -> None:
        session = self.session
        session.money, session.dishes = float(told["money"]), float(told["dishes"])
        if told["level"]["rank"] != session.rank:
            self.need_is_known = False
        session.rank, session.xp = told["level"]["rank"], hundredths(told["level"]["xp"])
        self._take_prestige(told["prestige"])
        shelves = told["upgrades"]["available"], told["upgrades"]["current"]
        by_id = {item["id"]: item for shelf in shelves for item in shelf}
        self._upgrades = tuple(_upgrade(item) for item in by_id.values())
        session.bought = {item["id"]: item["times_bought"] for item in told["upgrades"]["current"]}
        self._derive()

    def _take_prestige(self, told: dict[str, Any]) -> None:
        self.session.stars = 10_000.0 * told["current_value"]
        self.session.boost = 10.0 * told["current_boost_value"]
        self.session.accumulated = 10_000.0 * told["accumulated_value"]

    def _rise(self, rank: int, xp: float, need: int) -> None:
        self.session.rank, self.session.xp, self._need = rank, hundredths(xp), need
        self.need_is_known = True
        self._derive()

    def _derive(self) -> None:
        ranks = (0,) * (self.session.rank + 1)
        self.catalogue = Catalogue(0, self._upgrades, (*ranks, self._need) if self._need else ranks)
        self.rates = rates_of(self.session, self.catalogue)


def hundredths(value: float) -> float:
    """Return an amount with two decimals as the rules hold it."""
    return float(round(value * 100))


def _upgrade(item: dict[str, Any]) -> Upgrade:
    boost = item["boost"]
    return Upgrade(
        id=UpgradeId(item["id"]),
        name=item["name"],
        names=Names(ru=item["names"]["ru"], en=item["names"]["en"]),
        icon_name=item["icon_name"],
        upgrade_type=UpgradeType(item["upgrade_type"]),
        price_factor=float(item["price_factor"]),
        price=float(item["price"]),
        access_level=item["access_level"],
        boost=Boost(boost["id"], BoostType(boost["boost_type"]), round(boost["value"] * 100)),
    )
