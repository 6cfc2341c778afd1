"""What the head of a request says: where it goes, whether it is sound, whether it is a WebSocket's. Pure."""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import urlsplit

from websockets.datastructures import Headers
from websockets.http11 import Request as WebSocketRequest

from server.http.messages import HttpRequest, HttpResponse, malformed

WEBSOCKET_PATH: Final = "/ws"

_MAX_HANDSHAKE_HEADER: Final = 256
_TOKEN: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_WEBSOCKET_KEY: Final = re.compile(r"[A-Za-z0-9+/]{21}[AQgw]==")
_WEBSOCKET_VERSION: Final = "13"
_HANDSHAKE_HEADERS: Final = frozenset(
    {"connection", "upgrade", "sec-websocket-key", "sec-websocket-version", "origin", "x-forwarded-for"}
)
_UPGRADE_HEADERS: Final = (("Upgrade", "websocket"), ("Connection", "Upgrade"))
_TARGET: Final = re.compile(
    rb"(?i:https?://(?:\[[0-9a-f:.]+\]|[a-z0-9._~-]+)(?::[0-9]{0,5})?)?(?:[/?][^#]*)?"
)
_MAX_HEADERS: Final = 100
_MAX_LIST_BYTES: Final = 256
_LISTS: Final = frozenset({b"connection", b"expect", b"transfer-encoding"})
"""Headers that h11 takes apart at their commas."""


def path_of(target: str) -> str:
    """Return the path of a request's target; RFC 9112 has servers accept whole addresses too."""
    if not target.startswith("/"):
        try:
            parts = urlsplit(target)
        except ValueError:
            return target
        return parts.path or "/" if parts.scheme in {"http", "https"} else target
    return target.partition("?")[0].partition("#")[0]


def refuse_raw_head(head: bytes) -> HttpResponse | None:
    """Refuse a complete head for what would take long to parse, or would be read in two ways; else None.

    h11 folds equal lengths into one, and folded lines into one: something between the client and us may
    choose otherwise.
    """
    if head.count(b"\n") > _MAX_HEADERS + 2:  # the request's own line and the blank one
        return malformed(431, "too many headers")
    lengths = 0
    _request_line, *lines = head.split(b"\n")
    for line in lines:
        if line.startswith((b" ", b"\t")):
            return malformed(400, "malformed request")
        name, _, value = line.partition(b":")
        name = name.strip().lower()
        if name == b"content-length":
            lengths += 1 + value.count(b",")
        elif name in _LISTS and len(value) > _MAX_LIST_BYTES:
            return malformed(431, "header too large")
    return malformed(400, "malformed request") if lengths > 1 else None


def refuse_head(
    request: HttpRequest, target: bytes, version: bytes, max_body_bytes: int
) -> HttpResponse | None:
    """Refuse a request for what its head says, before its body is read; None for a sound one.

    Two ways to tell the body's length are refused (RFC 9112, 6.1): that is how requests are smuggled. So is
    a target without a host where a scheme is: a proxy may read another path in it than we do.
    """
    if version not in {b"1.0", b"1.1"}:
        return malformed(505, "http version not supported")
    if not target or _TARGET.fullmatch(target) is None or target.startswith(b"?"):
        return malformed(400, "malformed request")
    length = request.header("content-length")
    chunked = request.header("transfer-encoding") is not None
    if chunked and (length is not None or version == b"1.0"):
        return malformed(400, "malformed request")
    if length is not None and int(length) > max_body_bytes:
        return malformed(413, "body too large")
    if asks_for_websocket(request) and (chunked or (length is not None and int(length) > 0)):
        return malformed(400, "an upgrade has no body")
    return None


def asks_for_websocket(request: HttpRequest) -> bool:
    """Say whether a request belongs to the other protocol; what else is wrong with it is judged there."""
    if request.method != "GET" or request.path != WEBSOCKET_PATH:
        return False
    protocols = (request.header("upgrade") or "")[:_MAX_HANDSHAKE_HEADER].lower()
    return "websocket" in {protocol.strip() for protocol in protocols.split(",")}


def refuse_handshake(request: HttpRequest, version: bytes) -> HttpResponse | None:
    """Refuse a request for a WebSocket that is no handshake of RFC 6455, 4.2.1; None for a good one.

    What passes here, `websockets` accepts; its own refusals would quote the client and lack our headers.
    """
    if version != b"1.1":
        return malformed(505, "http version not supported")
    connection, upgrade = (_tokens(request.header(name)) for name in ("connection", "upgrade"))
    if connection is None or upgrade is None:
        return malformed(400, "malformed handshake")
    if "upgrade" not in connection or upgrade != ["websocket"]:
        return upgrade_required()
    asked = request.header("sec-websocket-version")
    if asked != _WEBSOCKET_VERSION:
        status, message = (
            (400, "no WebSocket version") if asked is None else (426, "WebSocket version not supported")
        )
        answered = (*_UPGRADE_HEADERS, ("Sec-WebSocket-Version", _WEBSOCKET_VERSION))
        return malformed(status, message, answered)
    if _WEBSOCKET_KEY.fullmatch(request.header("sec-websocket-key") or "") is None:
        return malformed(400, "Sec-WebSocket-Key is not 16 bytes in base64")
    return None


def handshake_of(request: HttpRequest) -> WebSocketRequest:
    """Return a good handshake as `websockets` takes it, with the headers that it needs and no other.

    It parses whatever list of subprotocols it finds, 9 ms for one that fills a head; we have none to choose.
    """
    headers = Headers((name, value) for name, value in request.headers if name in _HANDSHAKE_HEADERS)
    return WebSocketRequest(request.path, headers, request.method, "HTTP/1.1")


def upgrade_required() -> HttpResponse:
    """Refuse plain HTTP where only a WebSocket is served."""
    return malformed(426, "a WebSocket is needed here", _UPGRADE_HEADERS)


def _tokens(value: str | None) -> list[str] | None:
    """Read a list of tokens in lower case; None when it is too long or holds something else."""
    if value is not None and len(value) > _MAX_HANDSHAKE_HEADER:
        return None
    tokens = [token.strip(" \t") for token in (value or "").split(",")]
    tokens = [token.lower() for token in tokens if token]
    return tokens if all(_TOKEN.fullmatch(token) for token in tokens) else None


def refuse_syntax(status_hint: int) -> HttpResponse:
    """Say in our words what h11 found; its own text may quote a header."""
    messages = {431: "header too large", 501: "transfer encoding not supported"}
    if status_hint not in messages:
        return malformed(400, "malformed request")
    return malformed(status_hint, messages[status_hint])
