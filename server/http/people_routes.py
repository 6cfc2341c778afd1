"""The routes of guests, and of accounts beyond logging in: each reads its fields and asks its service."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from server.http.account_routes import account_route, with_tokens
from server.http.fields import ACCEPTABLE_EMAIL, ACCEPTABLE_PASSWORD, LINK_TOKEN, PASSWORD
from server.http.messages import HttpRequest, HttpResponse, json_response
from server.http.routes import Bearer, Route

if TYPE_CHECKING:
    from server.auth.export_service import ExportService
    from server.auth.guest_service import GuestService
    from server.auth.recovery_service import RecoveryService


@dataclass(frozen=True, slots=True)
class Features:
    """What a page may offer. `guest_ttl_days`: after so long away a guest is deleted."""

    guests: bool
    guest_ttl_days: int
    mail: bool


def people_routes(
    guests: GuestService, recovery: RecoveryService, exports: ExportService, features: Features
) -> tuple[Route, ...]:
    """Return the routes of the table "HTTP" in protocol.md that concern guests and changes of accounts."""

    async def open_guest(request: HttpRequest) -> HttpResponse:
        return with_tokens(await guests.open(request.client))

    async def claim(request: HttpRequest, token: str, email: str, password: str) -> HttpResponse:
        return with_tokens(await guests.claim(token, email, password, request.client))

    async def change_email(request: HttpRequest, token: str, password: str, email: str) -> HttpResponse:
        return with_tokens(await recovery.change_email(token, password, email, request.client))

    async def forgot(request: HttpRequest, email: str) -> HttpResponse:
        await recovery.forgot(email, request.client)
        return json_response(200, {"status": 0})

    async def reset(request: HttpRequest, token: str, password: str) -> HttpResponse:
        return with_tokens(await recovery.reset(token, password, request.client))

    async def export(_request: HttpRequest, token: str) -> HttpResponse:
        user_id, kept = await exports.export(token)
        name = f'attachment; filename="click-and-cook-{user_id}.json"'
        return json_response(200, kept, (("Content-Disposition", name),))

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
        account_route("POST", "/email", change_email, PASSWORD, ACCEPTABLE_EMAIL, bearer=Bearer.ACCESS),
        account_route("POST", "/forgot", forgot, ACCEPTABLE_EMAIL),
        account_route("POST", "/reset", reset, LINK_TOKEN, ACCEPTABLE_PASSWORD),
        account_route("GET", "/export", export, bearer=Bearer.ACCESS),
        Route("GET", "/features", show_features),
    )
