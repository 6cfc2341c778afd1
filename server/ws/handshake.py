"""The answer to a request that wants to become a WebSocket connection."""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING, Final

from websockets.server import ServerProtocol
from websockets.typing import Origin

if TYPE_CHECKING:
    from collections.abc import Sequence

    from websockets.http11 import Request

LOGGER: Final = logging.getLogger("server.ws.websockets")
"""The library's logger: it would log every handshake, where the end of a connection is our one line."""
LOGGER.setLevel(logging.ERROR)

_SWITCHING_PROTOCOLS: Final = 101
_MESSAGES: Final = {
    403: "origin not allowed",
    405: "method not allowed",
    426: "a WebSocket is needed here",
    505: "http version not supported",
}


def answer_upgrade(request: Request, origins: Sequence[str] | None) -> tuple[bytes, bool]:
    """Judge a request for an upgrade: the response to write, and whether it accepts.

    `origins` are the allowed values of `Origin`, the page's own among them, None where the origin has been
    judged already; a request without one is allowed.
    A refusal (403 for the origin, 400, 405, 426, 505) is JSON like every error; close after writing it.
    """
    allowed: list[Origin | None] | None = None
    if origins is not None:
        allowed = [*map(Origin, origins), None]
    response = ServerProtocol(origins=allowed, logger=LOGGER).accept(request)
    if response.status_code == _SWITCHING_PROTOCOLS:
        return response.serialize(), True
    # The library's own text quotes what the client sent.
    message = _MESSAGES.get(response.status_code, "malformed handshake")
    response.body = json.dumps({"status": 8, "message": message}).encode()
    for name, value in (("Content-Length", str(len(response.body))), ("Content-Type", "application/json")):
        del response.headers[name]
        response.headers[name] = value
    return response.serialize(), False
