"""Which pages may talk to this server, and the headers that tell their browsers so."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from server.http.origins import canonical_origin, from_header, origins_of_host

if TYPE_CHECKING:
    from collections.abc import Iterable

    from server.http.messages import Headers

_REQUEST_HEADERS: Final = "Authorization, Content-Type, X-timestamp"
_EXPOSED_HEADERS: Final = "Retry-After"
_PREFLIGHT_MAX_AGE_S: Final = 600


class Origins:
    """The allowed origins: those of the settings, and the one that a page of this very server has."""

    def __init__(self, allowed: Iterable[str]) -> None:
        canonical = (canonical_origin(origin.rstrip("/")) for origin in allowed)
        self._allowed = frozenset(origin for origin in canonical if origin is not None)

    def allows(self, origin: str, host: str | None) -> bool:
        """Say whether a page of `origin` may use us. `host` is the request's own `Host`."""
        return self._allowed_form(origin, host) is not None

    def headers(self, origin: str | None, host: str | None) -> Headers:
        """Return what every answer carries; `Vary` also where no origin was sent, for caches in between."""
        vary = ("Vary", "Origin")
        allowed = None if origin is None else self._allowed_form(origin, host)
        if allowed is None:
            return (vary,)
        return (
            vary,
            ("Access-Control-Allow-Origin", allowed),
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

    def _allowed_form(self, origin: str, host: str | None) -> str | None:
        """Return an allowed origin in its canonical form, which is how browsers send it, else None."""
        canonical = canonical_origin(from_header(origin))
        if canonical is None:
            return None
        own = host is not None and canonical in origins_of_host(from_header(host))
        return canonical if own or canonical in self._allowed else None
