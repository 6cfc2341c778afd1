"""What can go wrong, one class for each thing that its owner would do differently."""

from __future__ import annotations

from typing import Any, ClassVar


class ClickCookError(Exception):
    """Anything that a client cannot settle by itself."""


class Unreachable(ClickCookError):  # noqa: N818 - the word says what is the matter
    """Nobody answers over HTTP, or the server is busy: try again, after `retry_after_s` where it is not 0."""

    def __init__(self, message: str, retry_after_s: float = 0) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class AccountRefused(ClickCookError):  # noqa: N818 - as above
    """The server refused something about the account.

    `http_status` and `status` are HTTP's and the contract's numbers, `body` the whole answer.
    """

    def __init__(self, http_status: int, body: dict[str, Any]) -> None:
        super().__init__(str(body.get("message", http_status)))
        self.http_status = http_status
        self.status = body.get("status", 0)
        self.body = body


class Suspended(AccountRefused):
    """The player may not play now; `until` is an ISO time or None, `reason` the operator's words."""

    @property
    def until(self) -> str | None:
        """When the suspension ends, None where it does not end by itself."""
        until: str | None = self.body.get("until")
        return until

    @property
    def reason(self) -> str:
        """What the operator says about it."""
        return str(self.body.get("reason", ""))


class LoggedOut(ClickCookError):  # noqa: N818 - as above
    """There is no log-in, or the server no longer takes it: log in again."""


class Ended(ClickCookError):  # noqa: N818 - as above
    """The conversation is over.

    `reason` is `stopped`, `logged_out`, `revoked`, `client_fault` or `policy`; the last two mean that server
    and client do not understand each other.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(f"the conversation has ended: {reason}")
        self.reason = reason


class NotSent(Ended):
    """A request had no answer when the conversation ended.

    `maybe_applied`: it was sent at least once and may have counted. Else it was not applied.
    """

    def __init__(self, reason: str, *, maybe_applied: bool) -> None:
        super().__init__(reason)
        self.maybe_applied = maybe_applied


class Refused(ClickCookError):  # noqa: N818 - as above
    """The game answered a request with an error: nothing was changed.

    `code` is the contract's, `data` the whole answer. Each code of a request has a class of its own; one that
    this version does not know is a plain `Refused`.
    """

    CODE: ClassVar[str] = ""

    def __init__(self, code: str, data: dict[str, Any]) -> None:
        super().__init__(str(data.get("message", code)))
        self.code = code
        self.data = data


class InvalidMessage(Refused):
    """A value in the request is not acceptable."""

    CODE = "invalid_message"


class UnknownRequest(Refused):
    """The server does not know this type of request."""

    CODE = "unknown_request"


class NoDish(Refused):
    """Nothing can be cooked before a dish is bought."""

    CODE = "no_dish"


class NoDishes(Refused):
    """There are no dishes to sell."""

    CODE = "no_dishes"


class NoGoldenGuest(Refused):
    """The golden guest has not come yet, or has left."""

    CODE = "no_golden_guest"


class UpgradeNotFound(Refused):
    """There is no such upgrade, or it is a dish that is already owned."""

    CODE = "upgrade_not_found"


class UpgradeLocked(Refused):
    """The player's rank is too low."""

    CODE = "upgrade_locked"


class NotEnoughMoney(Refused):
    """The price is higher than what the player has."""

    CODE = "not_enough_money"


class NotEnoughPrestige(Refused):
    """A reset would bring less than one star."""

    CODE = "not_enough_prestige"


class NameInvalid(Refused):
    """The name breaks the rule of names."""

    CODE = "name_invalid"


class NameTaken(Refused):
    """Another player has this name."""

    CODE = "name_taken"


_BY_CODE = {kind.CODE: kind for kind in Refused.__subclasses__()}


def refusal(code: str, data: dict[str, Any]) -> Refused:
    """Return the exception of an error's code."""
    return _BY_CODE.get(code, Refused)(code, data)
