"""The routes of an account: each reads its fields, asks the service and says what came of it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from server.http.error_answers import BearerRefused
from server.http.forms import read_fields
from server.http.messages import HttpRequest, HttpResponse, json_response
from server.http.routes import Route

if TYPE_CHECKING:
    from server.auth.account_service import Accounts
    from server.auth.tokens import TokenPair

_BEARER: Final = re.compile(r"bearer +([^\s,]+)", re.IGNORECASE)


def account_routes(accounts: Accounts) -> tuple[Route, ...]:
    """Return the routes of the table "HTTP" in protocol.md that concern accounts."""

    async def register(request: HttpRequest) -> HttpResponse:
        email, password = read_fields(request, "email", "password")
        return _with_tokens(await accounts.register(email, password, request.client))

    async def log_in(request: HttpRequest) -> HttpResponse:
        email, password = read_fields(request, "email", "password")
        return _with_tokens(await accounts.log_in(email, password, request.client))

    async def refresh(request: HttpRequest) -> HttpResponse:
        return _with_tokens(await accounts.refresh(bearer_token(request)))

    async def log_out(request: HttpRequest) -> HttpResponse:
        await accounts.log_out(bearer_token(request))
        return json_response(200, {"status": 0})

    async def change_password(request: HttpRequest) -> HttpResponse:
        token = bearer_token(request)
        password, new_password = read_fields(request, "password", "new_password")
        return _with_tokens(await accounts.change_password(token, password, new_password, request.client))

    async def delete(request: HttpRequest) -> HttpResponse:
        token = bearer_token(request)
        (password,) = read_fields(request, "password")
        await accounts.delete(token, password, request.client)
        return json_response(200, {"status": 0})

    return (
        Route("POST", "/reg", register),
        Route("POST", "/auth", log_in),
        Route("POST", "/refresh", refresh),
        Route("POST", "/logout", log_out),
        Route("POST", "/password", change_password),
        Route("DELETE", "/account", delete),
    )


def bearer_token(request: HttpRequest) -> str:
    """Return the bearer token of a request; raises BearerRefused with the wire's message."""
    authorization = request.header("authorization")
    if authorization is None:
        raise BearerRefused("missing token")
    match = _BEARER.fullmatch(authorization)
    if match is None:
        raise BearerRefused("invalid token format")
    return match[1]


def _with_tokens(pair: TokenPair) -> HttpResponse:
    tokens = {"access_token": pair.access_token, "refresh_token": pair.refresh_token}
    return json_response(200, {"status": 0, "tokens": tokens})
