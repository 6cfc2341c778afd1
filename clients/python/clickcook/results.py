"""The answers of each type of request. Fields that this version does not know are left out."""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import cache
from typing import TYPE_CHECKING, Any, TypeVar, cast

from .state import Upgrade, read_upgrade

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping


@dataclass(frozen=True, slots=True)
class Cooked:
    """`applied` of the cooks asked for succeeded. `duplicate`: they had counted before."""

    dishes: float
    xp: float
    applied: int
    version: int
    duplicate: bool = False


@dataclass(frozen=True, slots=True)
class Sold:
    """`applied` of the sales asked for succeeded."""

    dishes: float
    money: float
    xp: float
    applied: int
    version: int
    duplicate: bool = False


@dataclass(frozen=True, slots=True)
class Bought:
    """The upgrade has been bought `times_bought` times in all."""

    money: float
    xp: float
    id: int
    times_bought: int
    version: int
    applied: int = 1
    duplicate: bool = False


@dataclass(frozen=True, slots=True)
class UpgradeList:
    """`available`: what can still be bought, now or at a later rank; `current`: what is owned."""

    available: tuple[Upgrade, ...]
    current: tuple[Upgrade, ...]
    version: int


@dataclass(frozen=True, slots=True)
class Level:
    """`needed_xp` is that of the next rank, None at the last one."""

    current_rank: int
    current_xp: float
    version: int
    needed_xp: float | None = None


@dataclass(frozen=True, slots=True)
class LeveledUp:
    """The rank after a try to rise; `next_xp` only where it rose and another rank follows."""

    current_rank: int
    current_xp: float
    version: int
    next_xp: float | None = None
    duplicate: bool = False


@dataclass(frozen=True, slots=True)
class Prestige:
    """Stars, the boost that they bring, and the stars that a reset would bring."""

    current_value: float
    current_boost_value: float
    accumulated_value: float


@dataclass(frozen=True, slots=True)
class WasReset:
    """The state after a trade of everything for stars."""

    money: float
    dishes: float
    level_rank: int
    level_xp: float
    prestige: Prestige
    version: int
    duplicate: bool = False


@dataclass(frozen=True, slots=True)
class Income:
    """The state after the passive income up to now."""

    money: float
    dishes: float
    level_rank: int
    level_xp: float
    prestige_accumulated: float
    version: int


@dataclass(frozen=True, slots=True)
class GoldenGuest:
    """Who waits or comes next and was not served; `comes_in_ms` is 0 while the guest is here."""

    id: int
    comes_in_ms: int
    leaves_in_ms: int


@dataclass(frozen=True, slots=True)
class GoldenGuestMet:
    """What a golden guest who was served has paid, and who comes next. `duplicate`: it had paid before."""

    gain: float
    guest: GoldenGuest
    money: float
    version: int
    duplicate: bool = False


@dataclass(frozen=True, slots=True)
class Offline:
    """What was earned while no connection of the player was joined; net changes."""

    seconds: int
    away_seconds: int
    money: float
    dishes: float
    xp: float
    stars: float


@dataclass(frozen=True, slots=True)
class SessionInfo:
    """A `session`: the state itself is in `client.state`."""

    user_id: int
    version: int
    saved_version: int = 0
    last_seq: int = 0
    offline: Offline | None = None


@dataclass(frozen=True, slots=True)
class Achievement:
    """An achievement; `titles` and `texts` have one for each language."""

    id: int
    key: str
    title: str
    text: str
    titles: Mapping[str, str]
    texts: Mapping[str, str]
    counter: str
    threshold: float
    done: bool


@dataclass(frozen=True, slots=True)
class Place:
    """A place of a leaderboard; `place` and `name` are None for a player who has none."""

    place: int | None
    name: str | None
    value: float


@dataclass(frozen=True, slots=True)
class Leaderboard:
    """The best players, and the one who asks."""

    by: str
    entries: tuple[Place, ...]
    me: Place


_Result = TypeVar("_Result")


def read(kind: type[_Result], data: Mapping[str, Any]) -> _Result:
    """Read an answer without nested parts. Raises TypeError where a field is missing."""
    names = _names(cast("Hashable", kind))
    return kind(**{name: data[name] for name in names if name in data})


def read_upgrade_list(data: Mapping[str, Any]) -> UpgradeList:
    """Read the answer of `upgrade_list`."""
    available, current = data["available"], data["current"]
    return UpgradeList(
        tuple(map(read_upgrade, available)), tuple(map(read_upgrade, current)), data["version"]
    )


def read_reset(data: Mapping[str, Any]) -> WasReset:
    """Read the answer of `session_reset`."""
    return read(WasReset, {**data, "prestige": read(Prestige, data["prestige"])})


def read_session(data: Mapping[str, Any]) -> SessionInfo:
    """Read the answer of `session`."""
    offline = read(Offline, data["offline"]) if "offline" in data else None
    return read(SessionInfo, {**data, "user_id": data["session"]["user_id"], "offline": offline})


def read_golden_guest(data: Mapping[str, Any]) -> GoldenGuestMet:
    """Read the answer of `golden_guest`."""
    return read(GoldenGuestMet, {**data, "guest": read(GoldenGuest, data["guest"])})


def read_leaderboard(data: Mapping[str, Any]) -> Leaderboard:
    """Read the answer of `leaderboard`."""
    entries = tuple(read(Place, entry) for entry in data["entries"])
    return Leaderboard(data["by"], entries, read(Place, data["me"]))


@cache
def _names(kind: Any) -> tuple[str, ...]:
    return tuple(field.name for field in fields(kind))
