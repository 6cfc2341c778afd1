"""From a script's refusal to the error that a player sees. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from game import errors
from persistence.live.replies.play import NotEnoughMoney, RateLimited, SeqTooOld, UpgradeLocked
from persistence.live.replies.status import Status

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from persistence.live.replies.play import RefusalReply

_PLAIN: Final[Mapping[bytes, Callable[[], errors.Refusal]]] = {
    Status.NO_DISH: errors.NoDish,
    Status.NO_DISHES: errors.NoDishes,
    Status.UPGRADE_NOT_FOUND: errors.UpgradeNotFound,
    Status.NOT_ENOUGH_PRESTIGE: errors.NotEnoughPrestige,
}
"""The refusals whose status says all."""


def refusal_of(reply: RefusalReply) -> errors.Refusal:
    """Return what a script's reply refuses; raises KeyError for a status that is no refusal."""
    match reply:
        case SeqTooOld():
            return errors.SeqTooOld(int(reply.highest))
        case RateLimited():
            return errors.RateLimited(int(reply.retry_after_ms))
        case UpgradeLocked():
            return errors.UpgradeLocked(int(reply.level))
        case NotEnoughMoney():
            return errors.NotEnoughMoney(float(reply.have), float(reply.need))
        case _:
            return _PLAIN[reply.status]()
