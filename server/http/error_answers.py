"""Which answer each refusal becomes: the one place where errors meet HTTP."""

from __future__ import annotations

from typing import Final

from persistence.durable.errors import DurableUnavailable
from persistence.live.store import LiveUnavailable
from server.auth.errors import (
    AccountExists,
    Busy,
    CredentialsInvalid,
    NotAcceptable,
    TooManyAttempts,
)
from server.auth.tokens import TokenInvalid
from server.http.messages import HttpResponse, malformed, refusal, unavailable

_CHALLENGE: Final = (("WWW-Authenticate", "Bearer"),)
_RETRY_AFTER_OUTAGE_S: Final = 2


class BodyRefused(Exception):  # noqa: N818 - what happened to the body
    """The body cannot be read: 400 for its content, 415 for its type. `message` says why."""

    def __init__(self, http_status: int, message: str) -> None:
        super().__init__(message)
        self.http_status = http_status
        self.message = message


class NotEnoughData(Exception):  # noqa: N818 - named after its wire message
    """A field is missing or empty."""


class BearerRefused(Exception):  # noqa: N818 - named after what was refused
    """There is no bearer token, or what is there has another form. `message` is the wire's."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


def answer_to(error: Exception) -> HttpResponse | None:
    """Return the answer that a refusal becomes, or None for a fault of our own."""
    return _answer_to_values(error) or _answer_to_identity(error) or _answer_to_load(error)


def _answer_to_values(error: Exception) -> HttpResponse | None:
    match error:
        case BodyRefused():
            return malformed(error.http_status, error.message)
        case NotEnoughData():
            return refusal(400, 2, "not enough data")
        case NotAcceptable():
            return refusal(400, 5, error.message)
        case AccountExists():
            return refusal(409, 3, "this user already exist")
        case _:
            return None


def _answer_to_identity(error: Exception) -> HttpResponse | None:
    match error:
        case CredentialsInvalid():
            return refusal(401, 1, "invalid user info", _CHALLENGE)
        case BearerRefused():
            return refusal(401, 1, error.message, _CHALLENGE)
        case TokenInvalid():
            return refusal(401, 1, "token invalid", _CHALLENGE)
        case _:
            return None


def _answer_to_load(error: Exception) -> HttpResponse | None:
    match error:
        case TooManyAttempts():
            return refusal(429, 4, "too many requests", (("Retry-After", str(error.retry_after_s)),))
        case Busy():
            return unavailable(error.retry_after_s)
        case DurableUnavailable() | LiveUnavailable():
            return unavailable(_RETRY_AFTER_OUTAGE_S)
        case _:
            return None
