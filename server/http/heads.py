"""What the head of a request says: where it goes, whether it is sound, whether it is a WebSocket's. Pure."""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import urlsplit

from server.http.messages import HttpRequest, HttpResponse, malformed

WEBSOCKET_PATH: Final = "/ws"

_END_OF_HEAD: Final = re.compile(rb"\r?\n\r?\n")
_LENGTHS: Final = re.compile(rb"(?im)^content-length[ \t]*:")


def path_of(target: str) -> str:
    """Return the path of a request's target; RFC 9112 has servers accept whole addresses too."""
    if not target.startswith("/"):
        try:
            parts = urlsplit(target)
        except ValueError:
            return target
        return parts.path or "/" if parts.scheme in {"http", "https"} else target
    return target.partition("?")[0].partition("#")[0]


def has_several_lengths(received: bytes) -> bool:
    """Say whether the head at the start of `received`, complete or not, has more than one Content-Length.

    h11 folds equal ones into one, but something between the client and us may choose otherwise.
    """
    return len(_LENGTHS.findall(_END_OF_HEAD.split(received, maxsplit=1)[0])) > 1


def refuse_head(
    request: HttpRequest, version: bytes, max_header_bytes: int, max_body_bytes: int
) -> HttpResponse | None:
    """Refuse a request for what its head says, before its body is read; None for a sound one.

    Two ways to tell the body's length are refused (RFC 9112, 6.1): that is how requests are smuggled.
    """
    # All of it may have come in one piece, past h11's limit for what is incomplete.
    header_bytes = len(request.path) + sum(len(name) + len(value) + 4 for name, value in request.headers)
    if header_bytes > max_header_bytes:
        return malformed(431, "header too large")
    if version not in {b"1.0", b"1.1"}:
        return malformed(505, "http version not supported")
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
    protocols = (request.header("upgrade") or "").lower()
    return (
        request.method == "GET"
        and request.path == WEBSOCKET_PATH
        and "websocket" in {protocol.strip() for protocol in protocols.split(",")}
    )


def refuse_syntax(status_hint: int) -> HttpResponse:
    """Say in our words what h11 found; its own text may quote a header."""
    messages = {431: "header too large", 501: "transfer encoding not supported"}
    if status_hint not in messages:
        return malformed(400, "malformed request")
    return malformed(status_hint, messages[status_hint])
