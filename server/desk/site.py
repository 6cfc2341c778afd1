"""The desk's own site: its pages, and the guard before every route. It has none of the game's routes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from server.http.cors import Origins
from server.http.messages import malformed, refusal
from server.http.routes import Website

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Iterable, Mapping

    from websockets.http11 import Request

    from server.desk.guard import Guard
    from server.http.messages import HttpRequest, HttpResponse
    from server.http.routes import Route
    from server.http.static import StaticFile

API: Final = "/api/"
"""What every route begins with that shows or changes something; the pages hold nothing of anybody."""

_SECURITY_HEADERS: Final = (
    (
        "Content-Security-Policy",
        (
            "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
            "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
            "require-trusted-types-for 'script'; trusted-types 'none'"
        ),
    ),
    ("X-Content-Type-Options", "nosniff"),
    ("X-Frame-Options", "DENY"),
    ("Referrer-Policy", "no-referrer"),
    ("Cross-Origin-Opener-Policy", "same-origin"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
)


class DeskSite(Website):
    """Routes and files of the desk; `changing` are the paths that a read-only token may not ask."""

    def __init__(
        self,
        routes: Iterable[Route],
        files: Mapping[str, StaticFile],
        guard: Guard,
        changing: frozenset[str],
    ) -> None:
        super().__init__(routes, files, Origins(()))
        self._guard = guard
        self._changing = changing

    def finish(self, request: HttpRequest | None, response: HttpResponse) -> HttpResponse:  # noqa: ARG002
        """Add the headers that every answer carries; none lets a page of another origin read it."""
        return response.with_headers(_SECURITY_HEADERS)

    def refuse_origin(self, request: HttpRequest) -> HttpResponse | None:
        """Refuse another site's page, and who shows no good token, before a body is read."""
        refused = self._guard.refuse_site(request)
        if refused is None and request.path.startswith(API):
            refused = self._guard.refuse_operator(request)
            operator = self._guard.operator_of(request)
            if refused is None and operator is not None and operator.read_only:
                refused = self._refuse_change(request)
        return refused

    def may_upgrade(self, request: HttpRequest) -> HttpResponse:  # noqa: ARG002 - all get the same answer
        """Refuse every WebSocket."""
        return malformed(404, "not found")

    def _refuse_change(self, request: HttpRequest) -> HttpResponse | None:
        if request.path not in self._changing:
            return None
        return refusal(403, 1, "this token may only look")


class NoWebSockets:
    """Stands where the game's WebSockets do: the site lets none come so far."""

    def open(
        self,
        transport: asyncio.Transport,
        request: Request,  # noqa: ARG002 - the contract of WebSockets
        trailing: bytes,  # noqa: ARG002
        *,
        on_lost: Callable[[], None],
    ) -> None:
        """Cut the connection off."""
        transport.abort()
        on_lost()

    def turn_away(
        self, transport: asyncio.Transport, request: Request, trailing: bytes, *, on_lost: Callable[[], None]
    ) -> None:
        """Cut the connection off."""
        self.open(transport, request, trailing, on_lost=on_lost)
