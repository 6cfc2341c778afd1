"""The routes of an account: each reads its fields, asks the service and says what came of it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from server.http.error_answers import BearerRefused
from server.http.fields import (
    ACCEPTABLE_EMAIL,
    ACCEPTABLE_NEW_PASSWORD,
    ACCEPTABLE_PASSWORD,
    EMAIL,
    PASSWORD,
    PASSWORD_IF_ANY,
)
from server.http.forms import read_fields
from server.http.messages import HttpRequest, HttpResponse, json_response
from server.http.routes import Bearer, Route

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from server.auth.account_service import AccountService
    from server.auth.tokens import TokenPair
    from server.http.fields import FormField

_BEARER: Final = re.compile(r"bearer +([^\s,]+)", re.IGNORECASE)


def account_routes(accounts: AccountService) -> tuple[Route, ...]:
    """Return the routes of the table "HTTP" in protocol.md that concern accounts."""

    async def register(request: HttpRequest, email: str, password: str) -> HttpResponse:
        return with_tokens(await accounts.register(email, password, request.client))

    async def log_in(request: HttpRequest, email: str, password: str) -> HttpResponse:
        return with_tokens(await accounts.log_in(email, password, request.client))

    async def refresh(_request: HttpRequest, token: str) -> HttpResponse:
        return with_tokens(await accounts.refresh(token))

    async def log_out(_request: HttpRequest, token: str) -> HttpResponse:
        await accounts.log_out(token)
        return json_response(200, {"status": 0})

    async def log_out_everywhere(_request: HttpRequest, token: str) -> HttpResponse:
        await accounts.log_out(token, everywhere=True)
        return json_response(200, {"status": 0})

    async def change_password(
        request: HttpRequest, token: str, password: str, new_password: str
    ) -> HttpResponse:
        return with_tokens(await accounts.change_password(token, password, new_password, request.client))

    async def delete(request: HttpRequest, token: str, password: str) -> HttpResponse:
        await accounts.delete(token, password, request.client)
        return json_response(200, {"status": 0})

    return (
        account_route("POST", "/reg", register, ACCEPTABLE_EMAIL, ACCEPTABLE_PASSWORD),
        account_route("POST", "/auth", log_in, EMAIL, PASSWORD),
        account_route("POST", "/refresh", refresh, bearer=Bearer.REFRESH),
        account_route("POST", "/logout", log_out, bearer=Bearer.REFRESH),
        account_route("POST", "/logout/everywhere", log_out_everywhere, bearer=Bearer.REFRESH),
        account_route(
            "POST", "/password", change_password, PASSWORD, ACCEPTABLE_NEW_PASSWORD, bearer=Bearer.ACCESS
        ),
        account_route("DELETE", "/account", delete, PASSWORD_IF_ANY, bearer=Bearer.ACCESS),
    )


def account_route(
    method: str,
    path: str,
    work: Callable[..., Awaitable[HttpResponse]],
    *fields: FormField,
    bearer: Bearer | None = None,
) -> Route:
    """Make a route that hands `work` the request, its bearer token where one is needed, and its fields."""
    names = tuple(field.name for field in fields)
    optional = frozenset(field.name for field in fields if not field.required)

    async def handle(request: HttpRequest) -> HttpResponse:
        token = () if bearer is None else (bearer_token(request),)
        return await work(request, *token, *read_fields(request, *names, optional=optional))

    return Route(method, path, handle, fields, bearer)


def bearer_token(request: HttpRequest) -> str:
    """Return the bearer token of a request; raises BearerRefused with the wire's message."""
    authorization = request.header("authorization")
    if authorization is None:
        raise BearerRefused("missing token")
    match = _BEARER.fullmatch(authorization)
    if match is None:
        raise BearerRefused("invalid token format")
    (token,) = match.groups()
    return token


def with_tokens(pair: TokenPair) -> HttpResponse:
    """Answer with a pair of tokens."""
    tokens = {"access_token": pair.access_token, "refresh_token": pair.refresh_token}
    return json_response(200, {"status": 0, "tokens": tokens})
