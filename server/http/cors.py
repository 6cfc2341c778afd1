"""Which pages may talk to this server, and the headers that tell their browsers so."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

    from server.http.messages import Headers

_REQUEST_HEADERS: Final = "Authorization, Content-Type, X-timestamp"
_EXPOSED_HEADERS: Final = "Retry-After"
_PREFLIGHT_MAX_AGE_S: Final = 600


class Origins:
    """The allowed origins: those of the settings, and the one that a page of this very server has."""

    def __init__(self, allowed: Iterable[str]) -> None:
        self._allowed = frozenset(origin.rstrip("/").lower() for origin in allowed)

    def allows(self, origin: str, host: str | None) -> bool:
        """Say whether a page of `origin` may use us. `host` is the request's own `Host`.

        Behind something that ends TLS the page is https while we speak http, so both count as our own.
        """
        origin = origin.lower()
        if origin in self._allowed:
            return True
        return bool(host) and origin in {f"http://{host}".lower(), f"https://{host}".lower()}

    def headers(self, origin: str | None, host: str | None) -> Headers:
        """Return what every answer carries; `Vary` also where no origin was sent, for caches in between."""
        vary = ("Vary", "Origin")
        if origin is None or not self.allows(origin, host):
            return (vary,)
        return (
            vary,
            ("Access-Control-Allow-Origin", origin),
            ("Access-Control-Allow-Credentials", "true"),
            ("Access-Control-Expose-Headers", _EXPOSED_HEADERS),
        )

    def preflight_headers(self, methods: Iterable[str], origin: str | None, host: str | None) -> Headers:
        """Return what the answer to a preflight carries besides; nothing for an origin not allowed."""
        if origin is None or not self.allows(origin, host):
            return ()
        return (
            ("Access-Control-Allow-Methods", ", ".join(methods)),
            ("Access-Control-Allow-Headers", _REQUEST_HEADERS),
            ("Access-Control-Max-Age", str(_PREFLIGHT_MAX_AGE_S)),
        )
