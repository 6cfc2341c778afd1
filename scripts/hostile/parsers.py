"""The parsers that anybody's bytes reach, each as a function of those bytes, with sound inputs."""

from __future__ import annotations

import contextlib
import ipaddress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import h11

from persistence.durable.names import acceptable, skeletons
from server.auth.acceptable import is_acceptable_email, normal_form
from server.auth.errors import NotAcceptable
from server.auth.throttle import address_group
from server.auth.tokens import TokenInvalid, TokenSigner
from server.http.account_routes import bearer_token
from server.http.addresses import client_address
from server.http.cors import Origins
from server.http.error_answers import BearerRefused, BodyRefused, NotEnoughData
from server.http.forms import read_fields
from server.http.heads import asks_for_websocket, handshake_of, path_of, refuse_handshake, refuse_head
from server.http.messages import HttpRequest, HttpResponse
from server.http.reader import RequestReader, RequestRefused
from server.http.routes import Website
from server.http.static import StaticFile, file_for
from server.protocol.messages import Refused, parse
from server.ws.frames import frame_span
from server.ws.handshake import answer_upgrade
from server.ws.library_protocol import LibraryProtocol
from server.ws.limits import ConnectionLimits

if TYPE_CHECKING:
    from collections.abc import Callable

HEAD_BYTES: Final = 16 * 1024
_MESSAGE_BYTES: Final = 10_000
_TURN_FRAMES: Final = 8
_MAX_PATH: Final = 512
_REFUSED: Final = (
    BearerRefused,
    BodyRefused,
    NotAcceptable,
    NotEnoughData,
    Refused,
    RequestRefused,
    TokenInvalid,
    h11.RemoteProtocolError,
)
_SITE: Final = Website((), {}, Origins(["https://a.example"]))
_SIGNER: Final = TokenSigner(["a" * 32], ["r" * 32])
_PROXIES: Final = (ipaddress.ip_network("10.0.0.0/8"), ipaddress.ip_network("fd00::/8"))
_FILE: Final = StaticFile(b"", "text/plain", '"e"', b"")
_LIMITS: Final = ConnectionLimits()


@dataclass(frozen=True, slots=True)
class Parser:
    """Parses up to `most_bytes`; `seeds` are inputs that it understands, `words` what matters to it."""

    run: Callable[[bytes], object]
    seeds: tuple[bytes, ...]
    words: tuple[bytes, ...]
    most_bytes: int = HEAD_BYTES

    def parse(self, data: bytes) -> None:
        """Parse; what it refuses is an answer like any other."""
        with contextlib.suppress(*_REFUSED):
            self.run(data)


def _request(data: bytes) -> None:
    """Read requests as a connection does, and judge each head."""
    reader = RequestReader(h11.Connection(h11.SERVER, HEAD_BYTES), HEAD_BYTES)
    reader.receive(data)
    while (event := reader.next_event()) is not h11.NEED_DATA and event is not h11.PAUSED:
        if not isinstance(event, h11.Request):
            continue
        headers = tuple((name.decode(), value.decode("latin-1")) for name, value in event.headers)
        request = HttpRequest(event.method.decode(), path_of(event.target.decode()), headers)
        forwarded = [value for name, value in headers if name == "x-forwarded-for"]
        client_address("10.0.0.1", forwarded, _PROXIES)
        refused = refuse_head(request, event.target, event.http_version, HEAD_BYTES)
        refused = refused or _SITE.refuse_origin(request)
        if refused is None and asks_for_websocket(request):
            refused = refuse_handshake(request, event.http_version)
            if refused is None:
                answer_upgrade(handshake_of(request), None)
        file_for({}, request.path[:_MAX_PATH])
        _SITE.finish(request, refused or HttpResponse(200))


def _fields(kind: bytes, body: bytes) -> None:
    headers = (("content-type", kind.decode("latin-1")),)
    read_fields(HttpRequest("POST", "/auth", headers, body), "email", "password")


def _header(name: str) -> Callable[[bytes], object]:
    return lambda data: _FILE.answer(HttpRequest("GET", "/", ((name, data.decode("latin-1")),)))


def _addresses(data: bytes) -> None:
    address_group(client_address("10.0.0.1", [data.decode("latin-1")], _PROXIES))


def _origins(data: bytes) -> None:
    origin, _, host = data.decode("latin-1").partition("\n")
    _SITE.finish(HttpRequest("GET", "/", (("origin", origin), ("host", host))), HttpResponse(200))


def _name(data: bytes) -> None:
    chosen = acceptable(data.decode(errors="replace")[:64])
    if chosen is not None:
        skeletons(chosen)


def _frames(data: bytes) -> None:
    """Judge as many frames as one turn does."""
    judge, start, raw = LibraryProtocol(_LIMITS), 0, bytearray(data)
    for _ in range(_TURN_FRAMES):
        body, end = frame_span(raw, start, len(raw))
        if not body or judge.close_code:
            break
        judge.receive(raw[start:end])
        judge.output()
        start = end


_HANDSHAKE: Final = (
    b"GET /ws?a=%20 HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
    b"Sec-WebSocket-Protocol: a, b\r\n\r\n"
)
_HEAD: Final = b"POST /auth HTTP/1.1\r\nHost: h\r\n"
_JSON_REQUEST: Final = (
    b'{"message_type":"request","request_id":"1","request_type":"cook","data":{"token":"a.b.c","count":1}}'
)
_PART: Final = b'--b\r\nContent-Disposition: form-data; name="email"\r\n\r\na@b.co\r\n'

PARSERS: Final[dict[str, Parser]] = {
    "request": Parser(
        _request,
        (
            _HEAD + b"Content-Length: 2\r\n\r\n{}",
            _HANDSHAKE,
            b"GET http://h/a HTTP/1.1\r\nHost: h\r\nOrigin: https://h\r\nX-Forwarded-For: 10.0.0.1\r\n\r\n",
        ),
        (b"\r\n", b"a: b\r\n", b", ", b";", b":", b" ", b"\t", b"%", b"Expect: ", b"Connection: ", b"::1,"),
    ),
    "chunks": Parser(
        lambda data: _request(_HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + data),
        (b"2\r\n{}\r\n0\r\n\r\n", b"1;a=b\r\n{\r\n1\r\n}\r\n0\r\nX: y\r\n\r\n"),
        (b"1\r\na\r\n", b"0\r\n", b";", b"a: b\r\n", b"\r\n", b"f"),
    ),
    "options of a type": Parser(
        lambda data: _fields(data, b"x"),
        (b'multipart/form-data; boundary="b"', b"application/json; charset=utf-8; a*=utf-8''b"),
        (b";", b"=", b'"', b"\\", b"'", b"*0*=", b"; a=b"),
    ),
    "multipart": Parser(
        lambda data: _fields(b"multipart/form-data; boundary=b", data),
        (_PART + b"--b--\r\n", _PART * 2 + b"--b--\r\n"),
        (b"--b", b"\r\n", b"\r\n--", b";", b"a: b\r\n", b"--b--", _PART),
    ),
    "form": Parser(
        lambda data: _fields(b"application/x-www-form-urlencoded", data),
        (b"email=a%40b.co&password=x+y",),
        (b"&", b"=", b"%", b"%41", b"+", b"&a=b"),
    ),
    "body as JSON": Parser(
        lambda data: _fields(b"application/json", data),
        (b'{"email":"a@b.co","password":"correct"}', b'{"a":[1e9,-0,{"b":null}]}'),
        (b"[", b"{", b'"a":', b",", b"\\u0041", b"1e308", b"0."),
    ),
    "message": Parser(
        parse,
        (_JSON_REQUEST, b'{"data":{"token":"","id":-0}}'),
        (b"[", b"{", b'"a":1,', b",", b"\\u0000", b"9" * 20, b"1e999", b'"token":""'),
        _MESSAGE_BYTES,
    ),
    "frames": Parser(
        _frames,
        (b"\x01\x81\0\0\0\0a" + b"\x80\x81\0\0\0\0b", b"\x89\x80\0\0\0\0", b"\x88\x82\0\0\0\0\x03\xe8"),
        (b"\x00\x80\0\0\0\0", b"\x89\x80\0\0\0\0", b"\x81\xfe\x20\x00\0\0\0\0", b"\xc1\x80\0\0\0\0"),
        _MESSAGE_BYTES,
    ),
    "encodings": Parser(
        _header("accept-encoding"), (b"gzip;q=0.5, br",), (b",", b"gzip", b";q=0", b" ", b"0")
    ),
    "tags": Parser(_header("if-none-match"), (b'W/"a", "e"',), (b",", b"W/", b'"', b" ", b"*")),
    "forwarded": Parser(
        _addresses,
        (b"1.2.3.4, 10.0.0.1", b'"[fd00::1]:80", 64:ff9b::1.2.3.4'),
        (b",", b"10.0.0.1,", b"fd00::1,", b":", b"[", b"%", b" "),
    ),
    "origin and host": Parser(
        _origins,
        (b"https://a.example:443\nh:1", b"http://[::1]\n[::1]", b"https://b\xc3\xbccher.example\nh"),
        (b"\xc3\xa0", b"xn--", b".", b":", b"[", b"\n", b"\xef\xbc\x8e"),
    ),
    "token": Parser(
        lambda data: _SIGNER.verify_access(data.decode("latin-1"), 1.0),
        (
            _SIGNER.issue_pair(1, "f", "j", 1).access_token.encode(),  # type: ignore[arg-type]  # any number
            b"W1tbW1tb.e30.AAAA",
        ),
        (b".", b"W1tb", b"eyJ", b"MTEx", b"A", b"_-"),
    ),
    "bearer": Parser(
        lambda data: bearer_token(HttpRequest("GET", "/", (("authorization", data.decode("latin-1")),))),
        (b"Bearer a.b.c", b"bearer  a"),
        (b" ", b"bearer ", b",", b"\xa0", b"a"),
    ),
    "path": Parser(
        lambda data: file_for({}, path_of(data.decode("latin-1"))[:_MAX_PATH]),
        (b"/a%20b", b"http://h/a"),
        (b"%41", b"%", b"/", b"?", b"#"),
    ),
    "e-mail": Parser(
        lambda data: is_acceptable_email(data.decode("latin-1")),
        (b"a@b.co", b"a.b@c-d.example"),
        (b"@", b".", b"-", b"a-", b"a."),
    ),
    "password": Parser(
        lambda data: normal_form(data.decode(errors="replace")),
        ("corre\u0301ct".encode(), b"horse"),
        ("\u0301".encode(), "\u0323".encode(), "\ud55c".encode(), "a\u0344".encode()),
    ),
    "name": Parser(
        _name,
        ("A\u00eene".encode(), "adm\u0456n".encode()),
        ("\u0301".encode(), "\ufdfa".encode(), "\u0390".encode(), "\uff21".encode(), b" "),
        256,
    ),
}
"""Every parser by its name."""
