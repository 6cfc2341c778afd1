"""What the wire refuses, every refusal that a player may see, and which of them a script's reply is. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from game.errors import (
    NameInvalid,
    NameTaken,
    NoDish,
    NoDishes,
    NoGoldenGuest,
    NotEnoughMoney,
    NotEnoughPrestige,
    RateLimited,
    Refusal,
    SeqTooOld,
    UpgradeLocked,
    UpgradeNotFound,
)
from persistence.live.replies import refusals
from persistence.live.replies.status import Status

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from persistence.live.replies.refusals import RefusalReply


class InvalidMessage(Refusal):
    """A message against the contract: not JSON, a field missing or of the wrong type, a bad count or seq."""

    code = "invalid_message"
    text = "invalid message: {reason}"

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason

    @property
    def message(self) -> str:
        """The text for the player."""
        return self.text.format(reason=self.reason)


class UnknownRequest(Refusal):
    """A request type that does not exist."""

    code = "unknown_request"
    text = "unknown request_type"


class MissingToken(Refusal):
    """No token, or an empty one."""

    code = "missing_token"
    text = "missing token"


class TokenInvalid(Refusal):
    """A token that is not good here: the client refreshes it and sends again."""

    code = "token_invalid"
    text = "token invalid"


class SessionRequired(Refusal):
    """The player never had a session: the client asks for one first."""

    code = "session_required"
    text = "session required"


class Unavailable(Refusal):
    """A storage is away. With `maybe_applied` nobody knows whether the request was done."""

    code = "unavailable"
    retryable = True
    text = "service unavailable"

    def __init__(self, retry_after_ms: int, *, maybe_applied: bool = False) -> None:
        super().__init__(retry_after_ms)
        self.retry_after_ms = retry_after_ms
        self.maybe_applied = maybe_applied

    def details(self) -> dict[str, int | bool]:
        """Return when to try again, and whether it may have happened."""
        found: dict[str, int | bool] = {"retry_after_ms": self.retry_after_ms}
        if self.maybe_applied:
            found["maybe_applied"] = True
        return found


REFUSALS: Final[tuple[type[Refusal], ...]] = (
    InvalidMessage,
    UnknownRequest,
    MissingToken,
    TokenInvalid,
    SessionRequired,
    NoDish,
    NoDishes,
    UpgradeNotFound,
    UpgradeLocked,
    NotEnoughMoney,
    NotEnoughPrestige,
    NoGoldenGuest,
    NameInvalid,
    NameTaken,
    RateLimited,
    Unavailable,
)
"""One for each code of the wire contract. `SeqTooOld` is an `invalid_message` of the game's."""

_PLAIN: Final[Mapping[bytes, Callable[[], Refusal]]] = {
    Status.NO_DISH: NoDish,
    Status.NO_DISHES: NoDishes,
    Status.NO_GOLDEN_GUEST: NoGoldenGuest,
    Status.UPGRADE_NOT_FOUND: UpgradeNotFound,
    Status.NOT_ENOUGH_PRESTIGE: NotEnoughPrestige,
}
"""The refusals whose status says all."""


def refusal_of(reply: RefusalReply) -> Refusal:
    """Return what a script's reply refuses; raises KeyError for a status that is no refusal."""
    match reply:
        case refusals.SeqTooOld():
            return SeqTooOld(int(reply.highest))
        case refusals.RateLimited():
            return RateLimited(int(reply.retry_after_ms))
        case refusals.UpgradeLocked():
            return UpgradeLocked(int(reply.level))
        case refusals.NotEnoughMoney():
            return NotEnoughMoney(float(reply.have), float(reply.need))
        case _:
            return _PLAIN[reply.status]()
