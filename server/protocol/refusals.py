"""From a script's refusal to the error that a player sees. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from game.errors import (
    NoDish,
    NoDishes,
    NotEnoughMoney,
    NotEnoughPrestige,
    RateLimited,
    Refusal,
    SeqTooOld,
    UpgradeLocked,
    UpgradeNotFound,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_REFUSALS: Final[dict[str, Callable[..., Refusal]]] = {
    "seq_too_old": lambda highest: SeqTooOld(int(highest)),
    "rate_limited": lambda retry_after_ms: RateLimited(int(retry_after_ms)),
    "no_dish": NoDish,
    "no_dishes": NoDishes,
    "upgrade_not_found": UpgradeNotFound,
    "upgrade_locked": lambda level: UpgradeLocked(int(level)),
    "not_enough_money": lambda have, need: NotEnoughMoney(float(have), float(need)),
    "not_enough_prestige": NotEnoughPrestige,
}


def refusal_of(status: str, values: Sequence[Any]) -> Refusal:
    """Return what a script's status and values refuse; raises KeyError for a status that is no refusal."""
    return _REFUSALS[status](*values)
