"""Every refusal that a player may see: a closed tree with stable codes, texts in one place.

A refusal changed nothing, but for `Unavailable.maybe_applied`. `retryable` says whether the same request may
succeed when it is sent again unchanged.
"""

from __future__ import annotations

from typing import ClassVar, Final

_EXACT: Final = 2**53


def amount_text(amount: float) -> str:
    """Write an amount for people: all digits up to 2^53, an exponent beyond."""
    return str(int(amount)) if abs(amount) <= _EXACT else repr(float(amount))


class Refusal(Exception):  # noqa: N818 - an answer of the game, named after its wire code
    """A request that the game does not do. Answer with `code`, `message` and what `details` adds."""

    code: ClassVar[str]
    retryable: ClassVar[bool] = False
    text: ClassVar[str]

    @property
    def message(self) -> str:
        """The text for the player."""
        return self.text

    def details(self) -> dict[str, int | bool]:
        """Return what the answer's data holds besides code and message."""
        return {}

    def __str__(self) -> str:
        return self.message


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


class SeqTooOld(InvalidMessage):
    """A seq so far below the client's highest that nobody remembers whether it was applied."""

    def __init__(self, highest: int) -> None:
        super().__init__(f"seq is 64 or more below {highest}")
        self.highest = highest


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


class NoDish(Refusal):
    """Cooking without an owned dish."""

    code = "no_dish"
    text = "can't perform this action"


class NoDishes(Refusal):
    """Selling with nothing to sell."""

    code = "no_dishes"
    text = "not enough dishes"


class UpgradeNotFound(Refusal):
    """No such upgrade, or a dish that is owned already."""

    code = "upgrade_not_found"
    text = "upgrade not found"


class UpgradeLocked(Refusal):
    """The rank is below the upgrade's `level`."""

    code = "upgrade_locked"
    text = "upgrade locked, needs level {level}"

    def __init__(self, level: int) -> None:
        super().__init__(level)
        self.level = level

    @property
    def message(self) -> str:
        """The text for the player."""
        return self.text.format(level=self.level)


class NotEnoughMoney(Refusal):
    """There is `have`, the price is `need`."""

    code = "not_enough_money"
    text = "not enough money, you have: {have}, you need: {need}"

    def __init__(self, have: float, need: float) -> None:
        super().__init__(have, need)
        self.have = have
        self.need = need

    @property
    def message(self) -> str:
        """The text for the player."""
        return self.text.format(have=amount_text(self.have), need=amount_text(self.need))


class NotEnoughPrestige(Refusal):
    """A reset below one accumulated star."""

    code = "not_enough_prestige"
    text = "not enough prestige points"


class RateLimited(Refusal):
    """Too many clicks: one more is allowed in `retry_after_ms`."""

    code = "rate_limited"
    retryable = True
    text = "too many requests"

    def __init__(self, retry_after_ms: int) -> None:
        super().__init__(retry_after_ms)
        self.retry_after_ms = retry_after_ms

    def details(self) -> dict[str, int | bool]:
        """Return when to try again."""
        return {"retry_after_ms": self.retry_after_ms}


class NameInvalid(Refusal):
    """A public name that is too short, too long, or has what does not belong in a name."""

    code = "name_invalid"
    text = "a name has 3 to 24 printable characters, no @ and no double spaces"


class NameTaken(Refusal):
    """A public name that somebody else chose before."""

    code = "name_taken"
    text = "this name is taken"


class Unavailable(Refusal):
    """Redis or the cold load failed. With `maybe_applied` nobody knows whether the request was done."""

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
    NameInvalid,
    NameTaken,
    RateLimited,
    Unavailable,
)
"""One for each code of the wire contract."""
