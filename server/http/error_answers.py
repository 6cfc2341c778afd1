"""Which answer each error becomes over HTTP: one table."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from persistence.errors import StorageUnavailable
from server.auth.errors import (
    AccountExists,
    AlreadyClaimed,
    Busy,
    CredentialsInvalid,
    MailUnavailable,
    NotAcceptable,
    PasswordMissing,
    Suspended,
    TooManyAttempts,
)
from server.auth.tokens import TokenInvalid
from server.http.messages import HttpResponse, json_response, malformed, refusal, unavailable

if TYPE_CHECKING:
    from collections.abc import Callable

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
    """There is no bearer token, or the header has another form. `message` is the wire's."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


def answer_to(error: Exception) -> HttpResponse | None:
    """Return the answer that a refusal becomes, or None for a fault of our own."""
    for kind in type(error).__mro__:
        answer = _ANSWERS.get(kind)
        if answer is not None:
            return answer(error)
    return None


_ANSWERS: Final[dict[type, Callable[[Any], HttpResponse]]] = {
    BodyRefused: lambda error: malformed(error.http_status, error.message),
    NotEnoughData: lambda _: refusal(400, 2, "not enough data"),
    NotAcceptable: lambda error: refusal(400, 5, error.message),
    Suspended: lambda error: json_response(
        403,
        {"status": 10, "message": "account suspended", "until": error.ends_at, "reason": error.reason},
    ),
    PasswordMissing: lambda _: refusal(400, 2, "not enough data"),
    AlreadyClaimed: lambda _: refusal(409, 9, "this account has an e-mail already"),
    AccountExists: lambda _: refusal(409, 3, "this user already exist"),
    CredentialsInvalid: lambda _: refusal(401, 1, "invalid user info", _CHALLENGE),
    BearerRefused: lambda error: refusal(401, 1, error.message, _CHALLENGE),
    TokenInvalid: lambda _: refusal(401, 1, "token invalid", _CHALLENGE),
    TooManyAttempts: lambda error: refusal(
        429, 4, "too many requests", (("Retry-After", str(error.retry_after_s)),)
    ),
    Busy: lambda error: unavailable(error.retry_after_s),
    MailUnavailable: lambda error: unavailable(error.retry_after_s),
    StorageUnavailable: lambda _: unavailable(_RETRY_AFTER_OUTAGE_S),
}
"""The answer to each error that a handler may raise, and to those derived from it."""
