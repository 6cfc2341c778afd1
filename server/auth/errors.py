"""What log-in can refuse. The text that a player sees is chosen where the refusal becomes an answer."""

from __future__ import annotations


class AuthRefusal(Exception):  # noqa: N818 - a refusal is no fault
    """A request was refused and changed nothing."""


class NotAcceptable(AuthRefusal):
    """A value breaks a rule; `message` says which and why. Ask again with another value."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class AccountExists(AuthRefusal):
    """The e-mail address has an account already."""


class AlreadyClaimed(AuthRefusal):
    """The account has an e-mail address already: nothing is left to claim. Log in with that."""


class MailUnavailable(AuthRefusal):
    """This server sends no mail; try again after `retry_after_s`, when its operator may have set it up."""

    def __init__(self, retry_after_s: int) -> None:
        super().__init__(retry_after_s)
        self.retry_after_s = retry_after_s


class CredentialsInvalid(AuthRefusal):
    """No such e-mail address, or another password: nobody learns which."""


class Suspended(AuthRefusal):
    """The player may not play until `ends_at` (ISO time; None: no end is set), for a `reason`."""

    def __init__(self, ends_at: str | None, reason: str) -> None:
        super().__init__(ends_at, reason)
        self.ends_at = ends_at
        self.reason = reason


class PasswordMissing(AuthRefusal):
    """The account has a password, and none was given."""


class TooManyAttempts(AuthRefusal):
    """Too many failures lately; try again after `retry_after_s`."""

    def __init__(self, retry_after_s: int) -> None:
        super().__init__(retry_after_s)
        self.retry_after_s = retry_after_s


class Busy(AuthRefusal):
    """Too many passwords wait to be checked; try again after `retry_after_s`."""

    def __init__(self, retry_after_s: int) -> None:
        super().__init__(retry_after_s)
        self.retry_after_s = retry_after_s
