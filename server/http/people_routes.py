"""The routes of guests, and of accounts beyond logging in: each reads its fields and asks its service."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from server.http.account_routes import account_route, with_tokens
from server.http.fields import ACCEPTABLE_EMAIL, ACCEPTABLE_PASSWORD
from server.http.messages import HttpRequest, HttpResponse, json_response
from server.http.routes import Bearer, Route

if TYPE_CHECKING:
    from server.auth.guest_service import GuestService


@dataclass(frozen=True, slots=True)
class Features:
    """What a page may offer. `guest_ttl_days`: after so long away a guest is deleted."""

    guests: bool
    guest_ttl_days: int
    mail: bool


def people_routes(guests: GuestService, features: Features) -> tuple[Route, ...]:
    """Return the routes of the table "HTTP" in protocol.md that concern guests and changes of accounts."""

    async def open_guest(request: HttpRequest) -> HttpResponse:
        return with_tokens(await guests.open(request.client))

    async def claim(request: HttpRequest, token: str, email: str, password: str) -> HttpResponse:
        return with_tokens(await guests.claim(token, email, password, request.client))

    async def show_features(_request: HttpRequest) -> HttpResponse:
        offered = {
            "guests": features.guests,
            "guest_ttl_days": features.guest_ttl_days,
            "mail": features.mail,
        }
        return json_response(200, offered)

    return (
        *((account_route("POST", "/guest", open_guest),) if features.guests else ()),
        account_route("POST", "/claim", claim, ACCEPTABLE_EMAIL, ACCEPTABLE_PASSWORD, bearer=Bearer.ACCESS),
        Route("GET", "/features", show_features),
    )
