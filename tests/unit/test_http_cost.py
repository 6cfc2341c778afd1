"""What a request costs the event loop grows with its bytes, and no faster, whatever the bytes are."""

from __future__ import annotations

import contextlib
import ipaddress
import time
from typing import TYPE_CHECKING, Final

import h11
import pytest

from server.auth.acceptable import is_acceptable_email, normal_form
from server.auth.errors import NotAcceptable
from server.auth.tokens import TokenInvalid, TokenSigner
from server.http.addresses import client_address
from server.http.cors import Origins
from server.http.error_answers import BodyRefused, NotEnoughData
from server.http.forms import read_fields
from server.http.heads import asks_for_websocket, handshake_of, path_of, refuse_handshake
from server.http.messages import HttpRequest, HttpResponse
from server.http.reader import RequestReader, RequestRefused
from server.http.routes import Website
from server.http.static import StaticFile
from server.ws.handshake import answer_upgrade

if TYPE_CHECKING:
    from collections.abc import Callable

    from server.http.messages import Headers

    Work = Callable[[], object]
    Costly = Callable[[int], Work]

HEAD_BYTES: Final = 16_000
LARGEST_MS: Final = 1.0
MOST_TIMES: Final = 6.0
"""Four times the bytes take four times as long; the rest is the clock's."""
MOST_ROUNDS: Final = 50
LEAST_MEASURED_MS: Final = 0.1
"""Below it a ratio says nothing."""
REFUSED: Final = (
    BodyRefused,
    NotAcceptable,
    NotEnoughData,
    RequestRefused,
    TokenInvalid,
    h11.RemoteProtocolError,
)
SITE: Final = Website((), {}, Origins(["https://a.example"]))
SIGNER: Final = TokenSigner(["a" * 32], ["r" * 32])
PROXIES: Final = (ipaddress.ip_network("10.0.0.0/8"),)
EMPTY: Final = HttpResponse(200)
FORM, MULTIPART = "application/x-www-form-urlencoded", "multipart/form-data; boundary=b"
HEAD: Final = b"POST / HTTP/1.1\r\nHost: h\r\n"
CHUNKED: Final = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"


def header(name: str, value: str) -> HttpRequest:
    """A request with one header."""
    return HttpRequest("GET", "/ws", ((name, value),))


def handshake(size: int) -> Headers:
    """The headers of a WebSocket's handshake with a long list of subprotocols."""
    return (
        ("connection", "upgrade"),
        ("upgrade", "websocket"),
        ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
        ("sec-websocket-version", "13"),
        ("sec-websocket-protocol", "a," * (size // 2)),
    )


def fields(kind: str, body: bytes) -> Work:
    """Read the fields of a body."""
    request = HttpRequest("POST", "/auth", (("content-type", kind),), body)
    return lambda: read_fields(request, "email", "password")


def read(raw: bytes) -> Work:
    """Read a request as it comes from a socket."""

    def work() -> None:
        reader = RequestReader(h11.Connection(h11.SERVER, 16 * 1024), 16 * 1024)
        reader.receive(raw)
        while reader.next_event() is not h11.NEED_DATA:
            pass

    return work


def part(headers: bytes, body: bytes = b"") -> bytes:
    """A part of a multipart body."""
    return b"--b\r\n" + headers + b"\r\n\r\n" + body + b"\r\n"


COSTLY: Final[dict[str, Costly]] = {
    "options of a type": lambda size: fields("a/b" + ";" * size, b"x"),
    "parameters of a type": lambda size: fields("a/b" + ";a=b" * (size // 4), b"x"),
    "per cent in a form": lambda size: fields(FORM, b"email=" + b"%41" * (size // 3)),
    "fields of a form": lambda size: fields(FORM, b"a=1&" * (size // 4)),
    "empty fields of a form": lambda size: fields(FORM, b"&" * size),
    "parts": lambda size: fields(
        MULTIPART, part(b'Content-Disposition: form-data; name="a"') * (size // 54) + b"--b--\r\n"
    ),
    "options of a part": lambda size: fields(
        MULTIPART, part(b"Content-Disposition: form-data" + b";" * size) + b"--b--\r\n"
    ),
    "headers of a part": lambda size: fields(
        MULTIPART, part(b"\r\n".join([b"a: b"] * (size // 6))) + b"--b--\r\n"
    ),
    "dashes in a part": lambda size: fields(
        MULTIPART, part(b'Content-Disposition: form-data; name="a"', b"\r\n--" * (size // 4)) + b"--b--"
    ),
    "keys of an object": lambda size: fields(
        "application/json", b"{" + b",".join(b'"%d":1' % key for key in range(size // 8)) + b"}"
    ),
    "nested lists": lambda size: fields("application/json", b"[" * size),
    "header lines": lambda size: read(HEAD + b"X: 1\r\n" * (size // 6) + b"\r\n"),
    "folded lines": lambda size: read(HEAD + b"X: 1\r\n" + b" a\r\n" * (size // 4) + b"\r\n"),
    "commas in Connection": lambda size: read(HEAD + b"Connection: " + b"a," * (size // 2) + b"\r\n\r\n"),
    "commas in Expect": lambda size: read(HEAD + b"Expect: " + b"," * size + b"\r\n\r\n"),
    "commas in Content-Length": lambda size: read(HEAD + b"Content-Length: 1" + b",1" * size + b"\r\n\r\n"),
    "blank lines": lambda size: read(b"\r\n" * size),
    "half a head": lambda size: read(HEAD + b"a: b\r\n" * (size // 6)),
    "spaces in a header": lambda size: read(HEAD + b"X: 1" + b" " * size + b"1\r\n\r\n"),
    "chunks": lambda size: read(CHUNKED + b"1\r\na\r\n" * (4 * size // 6)),
    "an extension of a chunk": lambda size: read(CHUNKED + b"1;" + b"a" * size + b"\r\na\r\n"),
    "trailers": lambda size: read(CHUNKED + b"0\r\n" + b"a:\r\n" * (size // 4) + b"\r\n"),
    "a target": lambda size: lambda: path_of("http://" + "a" * size),
    "per cent in a path": lambda size: lambda: SITE._methods("/" + "%41" * (size // 3)),
    "a list of encodings": lambda size: (
        lambda: StaticFile(b"", "", '"e"', b"").answer(header("accept-encoding", "a," * (size // 2)))
    ),
    "a list of tags": lambda size: (
        lambda: StaticFile(b"", "", '"e"').answer(header("if-none-match", "a," * (size // 2)))
    ),
    "a list of protocols": lambda size: lambda: asks_for_websocket(header("upgrade", "a," * (size // 2))),
    "a list of connections": lambda size: (
        lambda: refuse_handshake(header("connection", "a," * (size // 2)), b"1.1")
    ),
    "a list of subprotocols": lambda size: (
        lambda: answer_upgrade(handshake_of(HttpRequest("GET", "/ws", handshake(size))), None)
    ),
    "forwarded addresses": lambda size: (
        lambda: client_address("10.0.0.1", ["10.0.0.1" + ",10.0.0.1" * (size // 9)], PROXIES)
    ),
    "a forwarded address": lambda size: lambda: client_address("10.0.0.1", ["1:" * (size // 2)], PROXIES),
    "an origin": lambda size: lambda: SITE.finish(header("origin", "https://" + "\xe0" * size), EMPTY),
    "a host": lambda size: (
        lambda: SITE.finish(
            HttpRequest("GET", "/", (("origin", "https://b"), ("host", "\xe0" * size))), EMPTY
        )
    ),
    "marks in a password": lambda size: lambda: normal_form("a" + "\u0301\u0323" * (size // 4)),
    "an e-mail": lambda size: lambda: is_acceptable_email("a@" + "a-" * (size // 2)),
    "dots of a token": lambda size: lambda: SIGNER.verify_access("." * size, 1.0),
    "an e-mail at its bound": lambda size: lambda: is_acceptable_email("a@" + "a-" * min(size, 126)),
}


def took_ms(work: Work) -> float:
    """Measure the CPU that a piece of work takes once."""
    began_s = time.thread_time()
    with contextlib.suppress(*REFUSED):
        work()
    return (time.thread_time() - began_s) * 1000


def yardstick() -> int:
    """Work for a millisecond, on a machine of two cores at its usual pace."""
    return sum(number * number for number in range(16_000))


@pytest.mark.parametrize("costly", COSTLY.values(), ids=COSTLY)
def test_cost_grows_no_faster_than_the_bytes(costly: Costly) -> None:
    """At its bound each takes under a millisecond, and at most six times what a quarter of it takes.

    A machine in a slow minute is given what a loop of a millisecond takes it. Of several rounds the least of
    each counts: what other programs add is never less than nothing.
    """
    works = costly(HEAD_BYTES), costly(HEAD_BYTES // 4), yardstick
    whole_ms, quarter_ms, yardstick_ms = map(took_ms, works)
    for _ in range(MOST_ROUNDS):
        if whole_ms < max(LARGEST_MS, yardstick_ms) and (
            whole_ms < LEAST_MEASURED_MS or whole_ms < MOST_TIMES * quarter_ms
        ):
            return
        again = map(took_ms, works)
        whole_ms, quarter_ms, yardstick_ms = map(min, (whole_ms, quarter_ms, yardstick_ms), again)
    pytest.fail(f"{whole_ms:.3f} ms; a quarter {quarter_ms:.3f} ms, the yardstick {yardstick_ms:.3f} ms")
