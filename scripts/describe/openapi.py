"""The description of HTTP as OpenAPI 3.1, made from the routes that the server serves. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, cast

from persistence.recovery.export import FORMAT
from scripts.describe.wire_shapes import Schema, shape
from server.auth.tokens import ACCESS_TTL_S, REFRESH_TTL_S
from server.http.account_routes import account_routes
from server.http.connection import HttpLimits
from server.http.heads import WEBSOCKET_PATH
from server.http.messages import STATUS_INTERNAL, STATUS_MALFORMED, STATUS_UNAVAILABLE, HttpResponse
from server.http.people_routes import Features, people_routes
from server.http.routes import Bearer, Route
from server.http.service_routes import Condition, Readiness, service_routes

if TYPE_CHECKING:
    from server.http.messages import HttpRequest

_BODY_TYPES: Final = ("application/json", "application/x-www-form-urlencoded", "multipart/form-data")

_SOME_TEXT: Final[Schema] = {"type": "string", "minLength": 1}

_FAILURES: Final = {
    "Malformed": (STATUS_MALFORMED, "No request of this contract."),
    "Unauthorized": (1, "The bearer token or the password is not good."),
    "Incomplete": (
        2,
        "A field is missing or empty (status 2), not acceptable (5), or the body is malformed (8).",
    ),
    "Suspended": (
        10,
        "The player is suspended (status 10), or the origin of the page is not allowed (8).",
    ),
    "Exists": (3, "The e-mail address has an account."),
    "Claimed": (9, "The e-mail address has an account (status 3), or this account has one already (9)."),
    "TooMany": (4, "Too many failures lately; Retry-After says for how many seconds to wait."),
    "Unavailable": (STATUS_UNAVAILABLE, "A dependency is down or a queue is full; Retry-After."),
    "Internal": (STATUS_INTERNAL, "A fault of the server; no detail leaks."),
}


_MORE: Final[dict[str, dict[str, Schema]]] = {
    "Suspended": {"until": {"type": ["string", "null"], "format": "date-time"}, "reason": _SOME_TEXT},
}
"""What a failure says besides status and message."""


@dataclass(frozen=True, slots=True)
class _Operation:
    """What is to be said of a route beyond what it declares itself: its answers by HTTP status."""

    summary: str
    answers: dict[int, str]


_LISTS_OF_EXPORT: Final = ("log_ins", "reset_links", "leaderboard", "operator_log", "suspensions")
_ACCOUNT: Final = {403: "Malformed", 413: "Malformed", 429: "TooMany", 500: "Internal", 503: "Unavailable"}
_WITH_BODY: Final = {400: "Incomplete", 415: "Malformed", **_ACCOUNT}

_OPERATIONS: Final = {
    ("POST", "/reg"): _Operation(
        "Open an account and log in",
        {200: "Tokens", 409: "Exists", **_WITH_BODY},
    ),
    ("POST", "/auth"): _Operation(
        "Log in",
        {200: "Tokens", 401: "Unauthorized", **_WITH_BODY, 403: "Suspended"},
    ),
    ("POST", "/refresh"): _Operation(
        "Exchange a refresh token for the next pair; any body",
        {200: "Tokens", 401: "Unauthorized", **_ACCOUNT, 403: "Suspended"},
    ),
    ("POST", "/logout"): _Operation(
        "End the whole family of a refresh token; any body",
        {200: "Done", 401: "Unauthorized", **_ACCOUNT},
    ),
    ("POST", "/logout/everywhere"): _Operation(
        "End every family of the user of a refresh token; any body",
        {200: "Done", 401: "Unauthorized", **_ACCOUNT},
    ),
    ("POST", "/guest"): _Operation(
        "Begin to play without an account; any body. 404 where GUESTS=off",
        {200: "Tokens", 404: "Malformed", **_ACCOUNT},
    ),
    ("POST", "/claim"): _Operation(
        "Give a guest an e-mail and a password, end every family, and begin a new one",
        {200: "Tokens", 401: "Unauthorized", 409: "Claimed", **_WITH_BODY},
    ),
    ("POST", "/email"): _Operation(
        "Change the e-mail address, end every family, and begin a new one",
        {200: "Tokens", 401: "Unauthorized", 409: "Exists", **_WITH_BODY},
    ),
    ("POST", "/forgot"): _Operation(
        "Have a link sent that sets a new password; the same answer whether the address is known or not",
        {200: "Done", **_WITH_BODY},
    ),
    ("POST", "/reset"): _Operation(
        "Set a new password with a link's token, end every family, and begin a new one",
        {200: "Tokens", 401: "Unauthorized", **_WITH_BODY, 403: "Suspended"},
    ),
    ("GET", "/export"): _Operation(
        "Give all that is kept of the player",
        {200: "Export", 401: "Unauthorized", 500: "Internal", 503: "Unavailable"},
    ),
    ("GET", "/features"): _Operation("Say what a page may offer", {200: "Features"}),
    ("POST", "/password"): _Operation(
        "Change the password, end every family, the caller's own too, and begin a new one",
        {200: "Tokens", 401: "Unauthorized", **_WITH_BODY},
    ),
    ("DELETE", "/account"): _Operation(
        "Delete the account with all that belongs to it",
        {200: "Done", 401: "Unauthorized", **_WITH_BODY},
    ),
    ("GET", "/healthz"): _Operation("Say that the process lives", {200: "Alive"}),
    ("GET", "/readyz"): _Operation(
        "Say whether players should be sent here, and how each part is",
        {200: "Ready", 503: "NotReady"},
    ),
    ("GET", "/metrics"): _Operation("Give the figures for Prometheus", {200: "Metrics"}),
    ("GET", WEBSOCKET_PATH): _Operation(
        "Become a WebSocket, see asyncapi.yaml",
        {101: "Upgraded", 400: "Malformed", 403: "Malformed", 426: "Malformed", 503: "Unavailable"},
    ),
}


def routes() -> tuple[Route, ...]:
    """Return the server's own routes, with nothing behind them."""
    nobody = cast("Any", None)  # only a handler that is called would ask it
    features = Features(guests=True, guest_ttl_days=90, mail=True)
    return (
        *account_routes(nobody),
        *people_routes(nobody, nobody, nobody, features),
        *service_routes(lambda: Readiness(Condition.OK, {}), _no_figures),
    )


async def _no_figures() -> bytes:
    return b""


async def _upgrade(_request: HttpRequest) -> HttpResponse:
    return HttpResponse(101)


def describe() -> dict[str, object]:
    """Return the whole document. Raises KeyError for a route that is not described here."""
    paths: dict[str, dict[str, object]] = {}
    for route in (*routes(), Route("GET", WEBSOCKET_PATH, _upgrade)):
        said = _OPERATIONS[route.method, route.path]
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route, said)
    limits = HttpLimits()
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Click & Cook: accounts and service",
            "version": "1.0.0",
            "description": "The words that go with this are in protocol.md. Bodies have at most "
            f"{limits.max_body_bytes} bytes. OPTIONS answers preflights on every path, and GET also HEAD; "
            "any other method is 405, an unknown path 404.",
        },
        "servers": [{"url": "http://127.0.0.1:1323"}],
        "paths": paths,
        "components": {
            "securitySchemes": {
                Bearer.ACCESS.value: _bearer(f"An access token, good for {ACCESS_TTL_S} s."),
                Bearer.REFRESH.value: _bearer(f"A refresh token, good once, for {REFRESH_TTL_S} s."),
            },
            "responses": {**_successes(), **_failures()},
            "schemas": _schemas(),
        },
    }


def _operation(route: Route, said: _Operation) -> Schema:
    words = route.path.strip("/").replace("/", "_").replace("ws", "upgrade")
    operation: Schema = {"operationId": words, "summary": said.summary}
    if route.bearer is not None:
        operation["security"] = [{route.bearer.value: []}]
    if route.fields:
        required, optional = (_schemas_of(route, required=wanted) for wanted in (True, False))
        content = {kind: {"schema": shape(required, optional)} for kind in _BODY_TYPES}
        operation["requestBody"] = {"required": bool(required), "content": content}
    operation["responses"] = {
        str(status): {"$ref": f"#/components/responses/{name}"}
        for status, name in sorted(said.answers.items())
    }
    return operation


def _schemas_of(route: Route, *, required: bool) -> dict[str, Schema]:
    return {
        field.name: {"type": "string", **dict(field.schema)}
        for field in route.fields
        if field.required == required
    }


def _bearer(description: str) -> Schema:
    return {"type": "http", "scheme": "bearer", "bearerFormat": "JWT", "description": description}


def _json(description: str, schema: str) -> Schema:
    content = {"application/json": {"schema": {"$ref": f"#/components/schemas/{schema}"}}}
    return {"description": description, "content": content}


def _successes() -> dict[str, Schema]:
    return {
        "Tokens": _json("A pair of tokens.", "Tokens"),
        "Done": _json("Done.", "Done"),
        "Export": _json("All that is kept of the player, as a file.", "Export")
        | {"headers": {"Content-Disposition": _header({"type": "string"})}},
        "Features": _json("What a page may offer.", "Features"),
        "Alive": _json("The process lives.", "Alive"),
        "Ready": _json("Players may come.", "Ready"),
        "NotReady": _json("Redis does not answer, or the process is draining.", "NotReady") | _retry_after(),
        "Metrics": {
            "description": "Prometheus text format.",
            "content": {"text/plain": {"schema": {"type": "string"}}},
        },
        "Upgraded": {"description": "The connection is a WebSocket now."},
    }


def _failures() -> dict[str, Schema]:
    found = {}
    for name, (status, description) in _FAILURES.items():
        found[name] = _json(description, name)
        if name in {"TooMany", "Unavailable"}:
            found[name] |= _retry_after()
        if name == "Unauthorized":
            found[name] |= {"headers": {"WWW-Authenticate": _header({"const": "Bearer"})}}
        found[name]["description"] = f"{description} Status {status}."
    return found


def _retry_after() -> Schema:
    return {"headers": {"Retry-After": _header({"type": "integer", "minimum": 1})}}


def _header(schema: Schema) -> Schema:
    return {"required": True, "schema": schema}


def _schemas() -> dict[str, Schema]:
    found: dict[str, Schema] = {
        "Tokens": shape(
            {
                "status": {"const": 0},
                "tokens": shape({"access_token": _SOME_TEXT, "refresh_token": _SOME_TEXT}),
            }
        ),
        "Done": shape({"status": {"const": 0}}),
        "Export": shape(
            {
                "format": {"const": FORMAT},
                "exported_at": {"type": "string", "format": "date-time"},
                "account": {"type": "object"},
                "live": {"type": ["object", "null"]},
                "saved": {"type": ["object", "null"]},
                **{name: {"type": "array", "items": {"type": "object"}} for name in _LISTS_OF_EXPORT},
                "units": {"type": "object"},
                "left_out": {"type": "object"},
            }
        ),
        "Features": shape(
            {
                "guests": {"type": "boolean"},
                "guest_ttl_days": {"type": "integer", "minimum": 1},
                "mail": {"type": "boolean"},
            }
        ),
        "Alive": shape({"status": {"const": "ok"}}),
        "Ready": shape({"status": {"enum": [Condition.OK.value, Condition.DEGRADED.value]}})
        | {"additionalProperties": {"type": "string"}},
        "NotReady": shape({"status": {"const": STATUS_UNAVAILABLE}, "message": _SOME_TEXT}),
    }
    several: dict[str, Schema] = {
        "Incomplete": {"enum": [2, 5, STATUS_MALFORMED]},
        "Claimed": {"enum": [3, 9]},
        "Suspended": {"enum": [STATUS_MALFORMED, 10]},
    }
    for name, (status, _) in _FAILURES.items():
        statuses = several.get(name, {"const": status})
        found[name] = shape({"status": statuses, "message": _SOME_TEXT}, _MORE.get(name))
    return found
