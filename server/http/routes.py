"""The site: finds the route of a request, and gives every answer what every answer carries."""

from __future__ import annotations

import time
import traceback
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Final

import structlog

from runtime.log_limits import LogLimiter
from server.http.error_answers import answer_to
from server.http.heads import WEBSOCKET_PATH, upgrade_required
from server.http.messages import HttpRequest, HttpResponse, internal_error, malformed, unavailable
from server.http.static import file_for

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Mapping

    from server.http.cors import Origins
    from server.http.fields import FormField
    from server.http.static import StaticFile

_log = structlog.get_logger(__name__)

_SECURITY_HEADERS: Final = (
    (
        "Content-Security-Policy",
        (
            "default-src 'self'; img-src 'self' data:; object-src 'none'; base-uri 'none'; "
            "form-action 'self'; frame-ancestors 'none'"
        ),
    ),
    ("X-Content-Type-Options", "nosniff"),
    ("X-Frame-Options", "DENY"),
    ("Referrer-Policy", "no-referrer"),
    ("Cross-Origin-Opener-Policy", "same-origin"),
)
_SAFE_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS"})
_MAX_PATH_CHARACTERS: Final = 512
"""No route and no file has a longer one, whatever is written in per cent."""
_DRAINING_RETRY_AFTER_S: Final = 1
_FULL_RETRY_AFTER_S: Final = 5
_UNAVAILABLE: Final = 503


class Bearer(Enum):
    """Which token a route wants as its bearer."""

    ACCESS = "accessToken"
    REFRESH = "refreshToken"


@dataclass(frozen=True, slots=True)
class Route:
    """Which handler answers a method on a path, and what it reads. A handler's refusals are exceptions."""

    method: str
    path: str
    handler: Callable[[HttpRequest], Awaitable[HttpResponse]]
    fields: tuple[FormField, ...] = ()
    bearer: Bearer | None = None


class Website:
    """All routes and files behind one port.

    `observe` is called with each answer: its route (never a path that a client made up) and its status.
    """

    def __init__(
        self,
        routes: Iterable[Route],
        files: Mapping[str, StaticFile],
        origins: Origins,
        observe: Callable[[str, int], None] = lambda _route, _status: None,
    ) -> None:
        self._routes: dict[str, dict[str, Route]] = {WEBSOCKET_PATH: {}}
        for route in (Route("GET", WEBSOCKET_PATH, _upgrade_required), *routes):
            self._routes.setdefault(route.path, {})[route.method] = route
        self._files = files
        self._origins = origins
        self._observe = observe
        self._not_served_lines = LogLimiter()
        self.draining = False

    async def respond(self, request: HttpRequest) -> HttpResponse:
        """Answer a request; a fault of our own becomes a 500 without a detail and a line in the log."""
        methods = self._methods(request.path)
        if not methods:
            name, response = "unknown", malformed(404, "not found")
        elif request.method == "OPTIONS":
            name, response = "preflight", self._preflight(request, methods)
        else:
            name = request.path if request.path in self._routes else "file"
            response = await self._handle(request, methods)
        self._observe(name, response.status)
        return response

    def finish(self, request: HttpRequest | None, response: HttpResponse) -> HttpResponse:
        """Add the headers that every answer carries."""
        origin = request.header("origin") if request is not None else None
        host = request.header("host") if request is not None else None
        return response.with_headers((*self._origins.headers(origin, host), *_SECURITY_HEADERS))

    def refuse_origin(self, request: HttpRequest) -> HttpResponse | None:
        """Refuse what a page of a foreign origin sends: it could log its visitors in, or lock them out."""
        return None if request.method in _SAFE_METHODS else self._refuse_foreign(request)

    def may_upgrade(self, request: HttpRequest) -> HttpResponse | None:
        """Refuse a WebSocket for a page of a foreign origin, and while draining."""
        refused = self._refuse_foreign(request)
        if refused is not None:
            return refused
        return unavailable(_DRAINING_RETRY_AFTER_S) if self.draining else None

    def _refuse_foreign(self, request: HttpRequest) -> HttpResponse | None:
        origin = request.header("origin")
        if origin is None or self._origins.allows(origin, request.header("host")):
            return None
        return malformed(403, "origin not allowed")

    def _methods(self, path: str) -> dict[str, Route]:
        """Return the routes of a path by method; GET also answers HEAD."""
        if len(path) > _MAX_PATH_CHARACTERS:
            return {}
        methods = self._routes.get(path)
        if methods is None:
            file = file_for(self._files, path)
            if file is None:
                return {}
            methods = {"GET": Route("GET", path, file.serve)}
        return {**methods, "HEAD": methods["GET"]} if "GET" in methods else methods

    def _preflight(self, request: HttpRequest, methods: Mapping[str, Route]) -> HttpResponse:
        names = (*methods, "OPTIONS")
        cors = self._origins.preflight_headers(names, request.header("origin"), request.header("host"))
        return HttpResponse(204, headers=(("Allow", ", ".join(names)), *cors))

    async def _handle(self, request: HttpRequest, methods: Mapping[str, Route]) -> HttpResponse:
        route = methods.get(request.method)
        if route is None:
            return malformed(405, "method not allowed", (("Allow", ", ".join((*methods, "OPTIONS"))),))
        try:
            return await route.handler(request)
        except Exception as error:  # noqa: BLE001 - whatever a handler does, its client gets an answer
            answer = answer_to(error)
            if answer is None:
                # Places without texts: an error of a database may quote an e-mail.
                trace = "".join(traceback.format_tb(error.__traceback__))
                _log.error("request_failed", route=route.path, error=type(error).__name__, trace=trace)
            elif answer.status == _UNAVAILABLE:
                left_out = self._not_served_lines.left_out(time.monotonic())
                if left_out is not None:
                    name = type(error).__name__
                    _log.warning("request_not_served", route=route.path, error=name, left_out=left_out)
            return answer or internal_error()


class FullHouse:
    """Stands in for the site where a limit of connections is reached: refuses all until there is room."""

    def __init__(self, site: Website) -> None:
        self._site = site

    async def respond(self, request: HttpRequest) -> HttpResponse:  # noqa: ARG002 - all get the same answer
        """Refuse."""
        return unavailable(_FULL_RETRY_AFTER_S).with_headers((("Connection", "close"),))

    def finish(self, request: HttpRequest | None, response: HttpResponse) -> HttpResponse:
        """Add what the site adds."""
        return self._site.finish(request, response)

    def refuse_origin(self, request: HttpRequest) -> HttpResponse | None:
        """Judge as the site does."""
        return self._site.refuse_origin(request)

    def may_upgrade(self, request: HttpRequest) -> HttpResponse | None:
        """Judge as the site does; a connection that passes gets a close code."""
        return self._site.may_upgrade(request)


async def _upgrade_required(_request: HttpRequest) -> HttpResponse:
    return upgrade_required()
