"""The table from errors to answers over HTTP."""

from __future__ import annotations

from typing import Final

import orjson
import pytest

from persistence.errors import (
    DurableUnavailable,
    LiveUnavailable,
    MigrationError,
    NotSent,
    StorageUnavailable,
)
from server.auth import errors as auth
from server.auth.tokens import TokenInvalid
from server.http.error_answers import BearerRefused, BodyRefused, NotEnoughData, answer_to

TABLE: Final = [
    (BodyRefused(415, "JSON only"), 415, 8, "JSON only", {}),
    (NotEnoughData(), 400, 2, "not enough data", {}),
    (auth.NotAcceptable("too short"), 400, 5, "too short", {}),
    (auth.AccountExists(), 409, 3, "this user already exist", {}),
    (auth.CredentialsInvalid(), 401, 1, "invalid user info", {"WWW-Authenticate": "Bearer"}),
    (BearerRefused("missing token"), 401, 1, "missing token", {"WWW-Authenticate": "Bearer"}),
    (TokenInvalid(), 401, 1, "token invalid", {"WWW-Authenticate": "Bearer"}),
    (auth.TooManyAttempts(77), 429, 4, "too many requests", {"Retry-After": "77"}),
    (auth.Busy(3), 503, 6, "service unavailable", {"Retry-After": "3"}),
    (StorageUnavailable("away"), 503, 6, "service unavailable", {"Retry-After": "2"}),
    (DurableUnavailable("away"), 503, 6, "service unavailable", {"Retry-After": "2"}),
    (LiveUnavailable("away"), 503, 6, "service unavailable", {"Retry-After": "2"}),
    (NotSent(OSError("away")), 503, 6, "service unavailable", {"Retry-After": "2"}),
]


@pytest.mark.parametrize("row", TABLE, ids=lambda row: type(row[0]).__name__)
def test_answers(row: tuple[Exception, int, int, str, dict[str, str]]) -> None:
    """Each error has its status, the wire's own number, its text, and the headers that go with it."""
    error, status, number, message, headers = row

    answer = answer_to(error)

    assert answer is not None
    assert status == answer.status
    assert {"status": number, "message": message} == orjson.loads(answer.body)
    assert headers.items() <= dict(answer.headers).items()


@pytest.mark.parametrize("error", [KeyError("x"), OSError("x"), MigrationError("x"), auth.AuthRefusal()])
def test_faults_have_no_answer(error: Exception) -> None:
    """What no handler may raise is a fault of ours: nothing in the table stands for it."""
    assert answer_to(error) is None
