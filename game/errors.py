"""What the game refuses: each refusal with a stable code, its text in one place.

A refusal changed nothing. `retryable` says whether the same request may succeed when it is sent again
unchanged. What the wire refuses before and after the game is in `server.protocol.errors`.
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


class SeqTooOld(Refusal):
    """A seq so far below the client's highest that nobody remembers whether it was applied."""

    code = "invalid_message"
    text = "invalid message: seq is 64 or more below {highest}"

    def __init__(self, highest: int) -> None:
        super().__init__(highest)
        self.highest = highest

    @property
    def message(self) -> str:
        """The text for the player."""
        return self.text.format(highest=self.highest)


class NoDish(Refusal):
    """Cooking without an owned dish."""

    code = "no_dish"
    text = "can't perform this action"


class NoDishes(Refusal):
    """Selling with nothing to sell."""

    code = "no_dishes"
    text = "not enough dishes"


class NoGoldenGuest(Refusal):
    """Serving a golden guest who has not come yet, or has left."""

    code = "no_golden_guest"
    text = "this golden guest is not here"


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
    """A public name that is too short, too long, or has what does not belong in a name or can't be seen."""

    code = "name_invalid"
    text = "a name has 3 to 24 printable characters, no @ and no double spaces"


class NameTaken(Refusal):
    """A public name that somebody else chose before."""

    code = "name_taken"
    text = "this name is taken"
