"""What an operator may change of a session. Twin of `persistence/live/lua/adjust.lua`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from game import clients
from game.arithmetic import LIMIT, floor
from game.catalogue import UpgradeId, UpgradeType
from game.rates import LONGEST_POWER, rates_of

if TYPE_CHECKING:
    from game.live_session import LiveSession

AMOUNTS: Final = ("money", "dishes", "xp", "stars", "accumulated", "boost")
"""Fields of a session that an operator may give more or less of."""
RANK: Final = "rank"

OPERATORS: Final = "operators number the changes they make of a player in PostgreSQL: operator_log"
"""The client under which a session remembers operators' numbers: longer than a player's may be."""


@dataclass(frozen=True, slots=True)
class Adjustment:
    """One change: `what` is a field of AMOUNTS, RANK, or the id of an upgrade as text.

    `by`: how much more, or less, in the field's unit; for RANK the new rank.
    """

    what: str
    by: float


@dataclass(frozen=True, slots=True)
class Adjusted:
    """What was changed, from `before` to `after`, at a version."""

    version: int
    before: float
    after: float


@dataclass(frozen=True, slots=True)
class AdjustedBefore:
    """A change of this number was made already; the session is at `version` by now."""

    version: int


@dataclass(frozen=True, slots=True)
class OutOfRange:
    """Refused: below 0, no whole number, or more than the rules allow; it is `before` now."""

    before: float


@dataclass(frozen=True, slots=True)
class UnknownUpgrade:
    """Refused: the catalogue has no such upgrade."""


def adjust(
    live: LiveSession, change: Adjustment, number: int, now_us: int, cap_s: int
) -> Adjusted | AdjustedBefore | OutOfRange | UnknownUpgrade:
    """Make an operator's change of this number once, income paid first. Raises SeqTooOld."""
    session = live.session
    now_ms = now_us // 1000
    version = live.next_version(now_ms)
    window = clients.place(session, OPERATORS, number, version)
    if window is None:
        return AdjustedBefore(session.version)
    accrued = live.accrue(now_ms, cap_s)
    if change.what in AMOUNTS:
        before: float = getattr(accrued.amounts, change.what, getattr(session, change.what))
        after, most = before + change.by, LIMIT
    elif change.what == RANK:
        before, after, most = float(session.rank), change.by, float(live.catalogue.last_rank)
    else:
        upgrade = live.catalogue.by_id.get(UpgradeId(int(change.what)))
        if upgrade is None:
            return UnknownUpgrade()
        before = float(session.bought.get(upgrade.id, 0))
        after, most = before + change.by, float(LONGEST_POWER)
        if upgrade.upgrade_type is UpgradeType.DISH:
            most = 1.0
    if not (0 <= after <= most and after == floor(after)):
        return OutOfRange(before)
    accrued.apply(session)
    if change.what in AMOUNTS:
        setattr(session, change.what, after)
    elif change.what == RANK:
        session.rank = int(after)
    elif after:
        session.bought[int(change.what)] = int(after)
    else:
        session.bought.pop(int(change.what), None)
    live.rates = rates_of(session, live.catalogue)
    live.advance(version, now_ms)
    clients.remember(session, OPERATORS, window)
    return Adjusted(version, before, after)
