"""What a client knows of its player, kept up to date by answers, copies and pushes; never backwards. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping


@dataclass(frozen=True, slots=True)
class Boost:
    """What one purchase of an upgrade adds."""

    id: int
    boost_type: str
    value: float


@dataclass(frozen=True, slots=True)
class Upgrade:
    """An upgrade as the server describes it: `price` is the base price, `names` has one for each language."""

    id: int
    name: str
    names: Mapping[str, str]
    icon_name: str
    upgrade_type: str
    price_factor: float
    price: float
    access_level: int
    boost: Boost
    times_bought: int

    @property
    def next_price(self) -> float:
        """What the next purchase costs: the power by repeated multiplication, as the server does it."""
        power = 1.0
        for _ in range(self.times_bought):
            power *= self.price_factor
            if power >= _MOST:
                break
        return float(min(int(self.price * power + 0.5), int(_MOST)))

    @property
    def on_sale(self) -> bool:
        """Whether it can still be bought, now or at a later rank."""
        return self.upgrade_type != "dish" or self.times_bought == 0


@dataclass(frozen=True, slots=True)
class Game:
    """A player's state at a version.

    `need` is the xp of the next rank: None at the last one, and where it is not known (`need_is_known`): a
    `level_check` tells. `upgrades` are all by id, owned or not. `stars`, `boost` and `accumulated` are the
    prestige. `saved_version` is the newest version that is safe for good.
    """

    user_id: int = 0
    email: str = ""
    money: float = 0
    dishes: float = 0
    rank: int = 0
    xp: float = 0
    need: float | None = None
    need_is_known: bool = False
    stars: float = 0
    boost: float = 0
    accumulated: float = 0
    upgrades: Mapping[int, Upgrade] = field(default_factory=dict)
    version: int = 0
    saved_version: int = 0

    @property
    def owned(self) -> dict[int, int]:
        """How often each upgrade was bought; those never bought are absent."""
        return {one.id: one.times_bought for one in self.upgrades.values() if one.times_bought}


_MOST = 1e300

_SAME_NAME = ("money", "dishes", "xp")
_CLICKS = frozenset({"cook", "sell"})


def read_upgrade(item: Mapping[str, Any]) -> Upgrade:
    """Read an upgrade of the wire."""
    boost = item["boost"]
    return Upgrade(
        item["id"],
        item["name"],
        item.get("names", {}),
        item["icon_name"],
        item["upgrade_type"],
        item["price_factor"],
        item["price"],
        item["access_level"],
        Boost(boost["id"], boost["boost_type"], boost["value"]),
        item["times_bought"],
    )


def merge(game: Game | None, kind: str, data: Mapping[str, Any]) -> Game | None:
    """Return the state after a message; what is older than what is known changes nothing."""
    if kind == "session":
        return _merge_session(game, data)
    version = data.get("version", 0)
    if game is None or version < game.version:
        return game
    if kind in _CLICKS:
        return _after_click(game, data, version)
    if kind not in _CHANGES:
        return game
    amounts = {name: data[name] for name in _SAME_NAME if name in data}
    return replace(game, version=version, **{**amounts, **_CHANGES[kind](game, data)})


def _after_click(game: Game, data: Mapping[str, Any], version: int) -> Game:
    """Do what `replace` does in a third of the time: most messages are answers of clicks."""
    return Game(
        game.user_id,
        game.email,
        data.get("money", game.money),
        data["dishes"],
        game.rank,
        data["xp"],
        game.need,
        game.need_is_known,
        game.stars,
        game.boost,
        game.accumulated,
        game.upgrades,
        version,
        game.saved_version,
    )


def _merge_session(game: Game | None, data: Mapping[str, Any]) -> Game:
    session, version = data["session"], data["version"]
    saved_version = max(data.get("saved_version", 0), game.saved_version if game is not None else 0)
    if game is not None and version < game.version:
        return replace(game, saved_version=saved_version)
    level, upgrades = session["level"], session["upgrades"]
    same_rank = game is not None and game.rank == level["rank"]
    return Game(
        user_id=session["user_id"],
        email=session["user_email"],
        money=session["money"],
        dishes=session["dishes"],
        rank=level["rank"],
        xp=level["xp"],
        need=game.need if game is not None and same_rank else None,
        need_is_known=game.need_is_known if game is not None and same_rank else False,
        upgrades=_shelf(upgrades["current"], upgrades["available"]),
        version=version,
        saved_version=saved_version,
        **_prestige(session["prestige"]),
    )


def _prestige(prestige: Mapping[str, float]) -> dict[str, float]:
    return {
        "stars": prestige["current_value"],
        "boost": prestige["current_boost_value"],
        "accumulated": prestige["accumulated_value"],
    }


def _shelf(
    current: Iterable[Mapping[str, Any]], available: Iterable[Mapping[str, Any]]
) -> dict[int, Upgrade]:
    """Return all upgrades by id; what is owned and on sale at once stands in both lists."""
    return {item["id"]: read_upgrade(item) for items in (current, available) for item in items}


def _bought(upgrades: Mapping[int, Upgrade], upgrade_id: int, times: int) -> Mapping[int, Upgrade]:
    if upgrade_id not in upgrades:
        return upgrades
    return {**upgrades, upgrade_id: _times(upgrades[upgrade_id], times)}


def _times(upgrade: Upgrade, times: int) -> Upgrade:
    return upgrade if upgrade.times_bought == times else replace(upgrade, times_bought=times)


def _list(_game: Game, data: Mapping[str, Any]) -> dict[str, Any]:
    return {"upgrades": _shelf(data["current"], data["available"])}


def _buy(game: Game, data: Mapping[str, Any]) -> dict[str, Any]:
    return {"upgrades": _bought(game.upgrades, data["id"], data["times_bought"])}


def _check(_game: Game, data: Mapping[str, Any]) -> dict[str, Any]:
    level = {"rank": data["current_rank"], "xp": data["current_xp"]}
    return {**level, "need": data.get("needed_xp"), "need_is_known": True}


def _rise(game: Game, data: Mapping[str, Any]) -> dict[str, Any]:
    level = {"rank": data["current_rank"], "xp": data["current_xp"]}
    if data["current_rank"] == game.rank:
        return level
    return {**level, "need": data.get("next_xp"), "need_is_known": True}


def _reset(game: Game, data: Mapping[str, Any]) -> dict[str, Any]:
    level = {"rank": data["level_rank"], "xp": data["level_xp"]}
    unowned = {key: _times(one, 0) for key, one in game.upgrades.items()}
    unknown = {"need": None, "need_is_known": False}
    return {**level, **_prestige(data["prestige"]), **unknown, "upgrades": unowned}


def _income(game: Game, data: Mapping[str, Any]) -> dict[str, Any]:
    level = {"rank": data["level_rank"], "xp": data["level_xp"]}
    accumulated = {"accumulated": data["prestige_accumulated"]}
    unknown = {} if data["level_rank"] == game.rank else {"need": None, "need_is_known": False}
    return {**level, **accumulated, **unknown}


_CHANGES: Final[dict[str, Callable[[Game, Mapping[str, Any]], dict[str, Any]]]] = {
    "upgrade_buy": _buy,
    "upgrade_list": _list,
    "level_check": _check,
    "level_up": _rise,
    "session_reset": _reset,
    "passive": _income,
    "golden_guest": _income,
}
"""What each kind of message changes, amounts aside. A new rank's need is unknown until it is sent."""
