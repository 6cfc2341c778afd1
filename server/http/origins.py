"""Origins and hosts in one spelling, so that two of them can be compared. Pure."""

from __future__ import annotations

import ipaddress
import re
from typing import Final

import idna

_MAX_CHARACTERS: Final = 300
"""A host has at most 253. Bounded before anything is parsed: IDNA takes its time over long texts."""

_ORIGIN: Final = re.compile(
    r"([a-z][a-z0-9+.-]*)://(\[[0-9a-f:.]+\]|[^\s/?#@:\\\[\]]+)(?::([0-9]{0,5}))?", re.IGNORECASE
)
_HOST: Final = re.compile(r"[a-z0-9._~-]+")
_DEFAULT_PORTS: Final = {"http": 80, "https": 443, "ws": 80, "wss": 443}
_MAX_PORT: Final = 65_535


def canonical_origin(text: str) -> str | None:
    """Write an origin as browsers do: lower case, IDNA, without the scheme's default port.

    None for what is no `scheme://host` or `scheme://host:port`.
    """
    if len(text) > _MAX_CHARACTERS:
        return None
    match = _ORIGIN.fullmatch(text)
    if match is None:
        return None
    scheme, name, digits = match.groups()
    scheme, host = scheme.lower(), _canonical_host(name)
    if host is None:
        return None
    port = int(digits) if digits else _DEFAULT_PORTS.get(scheme)
    if port is None or port == _DEFAULT_PORTS.get(scheme):
        return f"{scheme}://{host}"
    return f"{scheme}://{host}:{port}" if port <= _MAX_PORT else None


def origins_of_host(host: str) -> frozenset[str]:
    """Return the origins that a page of this `Host` may have.

    Behind a proxy that ends TLS the page is https while we speak http, so both count.
    """
    found = (canonical_origin(f"{scheme}://{host}") for scheme in ("http", "https"))
    return frozenset(origin for origin in found if origin is not None)


def from_header(value: str) -> str:
    """Read a header's bytes, which arrive as Latin-1, as the UTF-8 that they mostly are."""
    try:
        return value.encode("latin-1").decode()
    except UnicodeError:
        return value


def _canonical_host(host: str) -> str | None:
    if host.startswith("["):
        try:
            return f"[{ipaddress.IPv6Address(host[1:-1]).compressed}]"
        except ValueError:
            return None
    if not host.isascii():
        try:
            host = idna.encode(host, uts46=True).decode()
        except idna.IDNAError:
            return None
    host = host.lower()
    return host if _HOST.fullmatch(host) else None
