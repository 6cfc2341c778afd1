"""What clients who know the code send: each attack is the bytes of one visit, over HTTP or a WebSocket."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_HOST: Final = b"Host: hostile\r\n"
_JSON: Final = _HOST + b"Content-Type: application/json\r\n"
_LONG: Final = 15_000
"""Just below the bound of a head or a body."""
_PIPELINED: Final = 20
_MASK: Final = bytes(4)
_TEXT, _FRAGMENT, _MORE, _PING, _CLOSE = 0x81, 0x01, 0x00, 0x89, 0x88


@dataclass(frozen=True, slots=True)
class Attack:
    """One kind of visit. `deaf` ones read nothing of what is answered."""

    name: str
    data: bytes
    deaf: bool = False


def attacks(tokens: Sequence[str], refresh_tokens: Sequence[str]) -> list[Attack]:
    """Return every kind, in the name of players whose tokens these are: two of each of their log-ins.

    A refresh token was used before, or is used by each visit: the second visit may end its family.
    """
    return [*_over_http(refresh_tokens), *_over_websocket(tokens)]


def _over_http(refresh_tokens: Sequence[str]) -> list[Attack]:
    wrong = json.dumps({"email": "nobody@example.com", "password": "a wrong one"}).encode()
    part = b'--b\r\nContent-Disposition: form-data; name="email"'
    requests: Mapping[str, bytes] = {
        "options of a type": _post(b"/auth", b"x", b"Content-Type: a/b" + b";" * _LONG + b"\r\n" + _HOST),
        "options of a part": _post(
            b"/auth", part + b";" * _LONG + b"\r\n\r\nx\r\n--b--\r\n", _multipart(b"b")
        ),
        "hundreds of parts": _post(b"/reg", (part + b"\r\n\r\nx\r\n") * 200 + b"--b--\r\n", _multipart(b"b")),
        "thousands of headers": b"GET / HTTP/1.1\r\n" + _HOST + b"X: 1\r\n" * 2_400 + b"\r\n",
        "a hundred headers": b"GET /nowhere HTTP/1.1\r\n" + _HOST + b"X: 1\r\n" * 98 + b"\r\n",
        "two lengths in a line": b"POST /reg HTTP/1.1\r\n" + _JSON + b"Content-Length: 2, 2\r\n\r\n{}",
        "a target without a host": b"GET https:/metrics HTTP/1.1\r\nHost: https:\r\n\r\n",
        "a foreign page": _post(b"/auth", wrong, _JSON + b"Origin: https://evil.example\r\n"),
        "guesses": _post(b"/auth", wrong, _JSON) * _PIPELINED,
        "half of an account": _post(b"/reg", b'{"email":"half"}', _JSON) * _PIPELINED,
        "nested lists": _post(b"/reg", b"[" * _LONG, _JSON),
        "escapes in a form": _post(b"/auth", b"email=" + b"%41" * 5_000, _form()),
        "the page": b"GET / HTTP/1.1\r\n" + _HOST + b"\r\n",
        "figures": b"GET /metrics HTTP/1.1\r\n" + _HOST + b"\r\n",
        "lists of encodings": b"GET / HTTP/1.1\r\n"
        + _HOST
        + b"Accept-Encoding: "
        + b"a," * 7_000
        + b"\r\n\r\n",
        "pipelined": b"GET /healthz HTTP/1.1\r\n" + _HOST + b"\r\n" * 2 * 1,
        "chunks": b"POST /reg HTTP/1.1\r\n"
        + _JSON
        + b"Transfer-Encoding: chunked\r\n\r\n"
        + b"1\r\n \r\n" * 1_000,
        "a used refresh token": b"".join(
            _post(b"/refresh", b"{}", _JSON + b"Authorization: Bearer " + token.encode() + b"\r\n")
            for token in refresh_tokens
        ),
    }
    requests = {**requests, "pipelined": (b"GET /healthz HTTP/1.1\r\n" + _HOST + b"\r\n") * 400}
    return [Attack(name, data) for name, data in requests.items()]


def _over_websocket(tokens: Sequence[str]) -> list[Attack]:
    first, second, other = tokens[0], tokens[1], tokens[2]
    fragmented = _frame(_FRAGMENT, b"") + _frame(_MORE, b"") * 62 + _frame(0x80, _request("x", first))
    messages: Mapping[str, bytes] = {
        "nonsense": _text(b"[" * 1_000) * 30,
        "unknown requests": _text(_request("x", first)) * 400,
        "no token": _text(_request("cook", "")) * 400,
        "tokens of nobody": _text(_request("cook", "a.b.c")) * 400,
        "long tokens": _text(_request("cook", "a" * 4_000 + ".b.c")) * 12,
        "two tokens in turns": (_text(_request("cook", first)) + _text(_request("cook", second))) * 60,
        "a token of another": _text(_request("session", first)) + _text(_request("cook", other)) * 60,
        "fragments": fragmented * 100,
        "pings": _frame(_PING, b"x" * 125) * 400,
        "twenty pings": _frame(_PING, b"") * 20,
        "frames behind a close": _frame(_CLOSE, b"\x03\xe8") + _text(b"") * 8_000,
        "frames behind a refusal": _text(b"") * 9_000,
        "cooking without a dish": _text(_request("cook", first)) * 100,
        "reading": (_text(_request("session", first)) + _text(_request("upgrade_list", first))) * 40,
        "the board": _text(_request("leaderboard", first)) * 60,
        "names": b"".join(
            _text(_request("name_set", first, name=name))
            for name in ("a" + "\u0301" * 63, "\ufdfa" * 64, "\u3164" * 3, "adm\u0456n", "\uff21dmin")
        )
        * 10,
        "far numbers": _text(_request("upgrade_buy", first, id=10**18)) * 100,
        "clicks": _text(_request("cook", first, client="hostile", seq=1)) * 100,
    }
    found = [Attack(name, handshake() + data) for name, data in messages.items()]
    protocols = b"Sec-WebSocket-Protocol: " + b"a," * 7_000 + b"a\r\n"
    found.append(Attack("a list of subprotocols", handshake(protocols)))
    found.append(
        Attack(
            "asking and not reading", handshake() + _text(_request("upgrade_list", first)) * 300, deaf=True
        )
    )
    return found


def handshake(more: bytes = b"") -> bytes:
    """Build the request of a WebSocket, with more header lines."""
    return (
        b"GET /ws HTTP/1.1\r\n" + _HOST + b"Upgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n" + more + b"\r\n"
    )


def _post(path: bytes, body: bytes, headers: bytes) -> bytes:
    return b"POST %b HTTP/1.1\r\n%bContent-Length: %d\r\n\r\n%b" % (path, headers, len(body), body)


def _multipart(boundary: bytes) -> bytes:
    return _HOST + b"Content-Type: multipart/form-data; boundary=" + boundary + b"\r\n"


def _form() -> bytes:
    return _HOST + b"Content-Type: application/x-www-form-urlencoded\r\n"


def _request(request_type: str, token: str, **data: object) -> bytes:
    message = {"message_type": "request", "request_id": "1", "request_type": request_type}
    return json.dumps({**message, "data": {"token": token, **data}}).encode()


def _text(payload: bytes) -> bytes:
    return _frame(_TEXT, payload)


def _frame(first: int, payload: bytes) -> bytes:
    """Frame a payload as clients do, masked with zeros."""
    length = len(payload)
    if length < 126:  # noqa: PLR2004 - RFC 6455, 5.2
        return bytes((first, 0x80 | length)) + _MASK + payload
    return bytes((first, 0xFE)) + length.to_bytes(2, "big") + _MASK + payload
