"""What an export brings into a session, in place of what is there.

Twin of `persistence/live/lua/replace.lua`.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Any, Final

from game import clients
from game.achievements import ACHIEVEMENTS
from game.adjusting import OPERATORS, AdjustedBefore
from game.arithmetic import LIMIT, floor
from game.catalogue import UpgradeId, UpgradeType
from game.rates import LONGEST_POWER, rates_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from game.catalogue import Catalogue
    from game.live_session import LiveSession
    from game.session import Session

_KNOWN: Final = frozenset(one.id for one in ACHIEVEMENTS)


@dataclass(frozen=True, slots=True)
class Progress:
    """What a player has achieved, in the units of a session. All else (e-mail, clients, times) stays."""

    money: float
    dishes: float
    xp: float
    stars: float
    accumulated: float
    boost: float
    rank: float
    clicks: float
    cooked: float
    earned: float
    purchases: float
    resets: float
    bought: Mapping[int, int]
    achieved: tuple[int, ...]

    @classmethod
    def of_session(cls, session: Session) -> Progress:
        """Take what a session has."""
        numbers = {name: float(getattr(session, name)) for name in NUMBERS}
        bought = {upgrade: times for upgrade, times in sorted(session.bought.items()) if times}
        return cls(**numbers, bought=bought, achieved=tuple(session.achieved))

    @classmethod
    def read(cls, values: Mapping[str, Any]) -> Progress:
        """Read `plain` again, or a session of an export; raises ValueError that names what is wrong."""
        numbers = {name: _number(values, name) for name in NUMBERS}
        owned, achieved = values.get("bought"), values.get("achieved")
        if not isinstance(owned, dict) or not all(map(_is_count, owned, owned.values())):
            raise ValueError("bought is no list of upgrades and how often each is owned")
        if not isinstance(achieved, list | tuple) or not set(map(str, achieved)) <= set(map(str, _KNOWN)):
            raise ValueError("achieved names achievements that this game does not have")
        bought = {int(upgrade): times for upgrade, times in owned.items() if times}
        return cls(
            **numbers, bought=dict(sorted(bought.items())), achieved=tuple(sorted(set(map(int, achieved))))
        )

    def plain(self) -> dict[str, Any]:
        """Return it as plain values for JSON, the same for the same progress."""
        return {
            **{name: _whole(getattr(self, name)) for name in NUMBERS},
            "bought": {str(upgrade): times for upgrade, times in self.bought.items()},
            "achieved": [*self.achieved],
        }


NUMBERS: Final = tuple(field.name for field in fields(Progress) if field.name not in ("bought", "achieved"))
"""The numbers of Progress, in the order in which the script takes and returns them."""


@dataclass(frozen=True, slots=True)
class Replaced:
    """What was there, with income paid up to now, gave way at a version."""

    version: int
    found: Progress


@dataclass(frozen=True, slots=True)
class NotAllowed:
    """Refused: the rules allow no such `what`, a number's name or the id of an upgrade."""

    what: str


def replace(
    live: LiveSession, progress: Progress, number: int, now_us: int, cap_s: int
) -> Replaced | AdjustedBefore | NotAllowed:
    """Put progress in the place of a session's own, once, income paid first. Raises SeqTooOld."""
    session = live.session
    now_ms = now_us // 1000
    version = live.next_version(now_ms)
    window = clients.place(session, OPERATORS, number, version)
    if window is None:
        return AdjustedBefore(session.version)
    wrong = forbidden(progress, live.catalogue)
    if wrong is not None:
        return NotAllowed(wrong)
    live.accrue(now_ms, cap_s).apply(session)
    found = Progress.of_session(session)
    for name, value in asdict(progress).items():
        setattr(session, name, value)
    session.rank = int(progress.rank)
    session.bought = dict(progress.bought)
    live.rates = rates_of(session, live.catalogue)
    live.advance(version, now_ms)
    clients.remember(session, OPERATORS, window)
    return Replaced(version, found)


def forbidden(progress: Progress, catalogue: Catalogue) -> str | None:
    """Name the first thing that the rules do not allow; None where they allow all."""
    for name in NUMBERS:
        value: float = getattr(progress, name)
        most = float(catalogue.last_rank) if name == "rank" else LIMIT
        if not (0 <= value <= most and value == floor(value)):
            return name
    for number, times in progress.bought.items():
        upgrade = catalogue.by_id.get(UpgradeId(number))
        if upgrade is None:
            return str(number)
        most = 1 if upgrade.upgrade_type is UpgradeType.DISH else LONGEST_POWER
        if not 1 <= times <= most:
            return str(number)
    return None


def _number(values: Mapping[str, Any], name: str) -> float:
    value = values.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f"{name} is no number")  # noqa: TRY004 - of a text that was read
    try:
        return float(value)
    except OverflowError:
        raise ValueError(f"{name} is too large") from None


def _is_count(upgrade: object, times: object) -> bool:
    named = isinstance(upgrade, str) and upgrade.isascii() and upgrade.isdecimal()
    return named and isinstance(times, int) and not isinstance(times, bool)


def _whole(value: float) -> int | float:
    """Write a whole double as an integer, as JSON on the wire has it."""
    return int(value) if value.is_integer() and abs(value) <= 2**53 else value
