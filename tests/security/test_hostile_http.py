"""HTTP that no decent client sends, against the server as a process: refused, in time, with hardly a word."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from typing import TYPE_CHECKING

import httpx
import orjson

from tests.support.limits import LIMIT_S
from tests.support.players import PASSWORD, register
from tests.support.raw_http import HANDSHAKE, answers_in, everything_after, quiet_log

if TYPE_CHECKING:
    from tests.support.game_server import GameServer

HOST = b"Host: h\r\n"
JSON = HOST + b"Content-Type: application/json\r\n"
REG = b"POST /reg HTTP/1.1\r\n" + JSON
SMUGGLED = b"GET /healthz HTTP/1.1\r\nHost: h\r\n\r\n"
TLS_HELLO = bytes.fromhex("16030100c8010000c40303") + bytes(range(200))
PART = b'--b\r\nContent-Disposition: form-data; name="email"' + b";" * 15_800 + b"\r\n\r\nx\r\n--b--\r\n"

REFUSED = {
    "two lengths": (
        400,
        REG + b"Content-Length: 2\r\nContent-Length: 40\r\n\r\n{}" + SMUGGLED,
    ),
    "the same length twice": (
        400,
        REG + b"Content-Length: 2\r\nContent-Length: 2\r\n\r\n{}",
    ),
    "a list of lengths": (
        400,
        REG + b"Content-Length: 2, 40\r\n\r\n{}" + SMUGGLED,
    ),
    "a length and chunks": (
        400,
        b"POST /reg HTTP/1.1\r\n"
        + JSON
        + b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
        + SMUGGLED,
    ),
    "chunks and a length": (
        400,
        b"POST /reg HTTP/1.1\r\n"
        + JSON
        + b"Transfer-Encoding: chunked\r\nContent-Length: 2\r\n\r\n0\r\n\r\n"
        + SMUGGLED,
    ),
    "another encoding": (
        501,
        REG + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n" + SMUGGLED,
    ),
    "two encodings": (
        501,
        b"POST /reg HTTP/1.1\r\n"
        + JSON
        + b"Transfer-Encoding: identity, chunked\r\n\r\n0\r\n\r\n"
        + SMUGGLED,
    ),
    "an encoding twice": (
        501,
        b"POST /reg HTTP/1.1\r\n"
        + JSON
        + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    ),
    "an encoding behind a tab": (
        400,
        REG + b"Transfer-Encoding\t: chunked\r\n\r\n0\r\n\r\n" + SMUGGLED,
    ),
    "chunks in HTTP/1.0": (
        400,
        b"POST /reg HTTP/1.0\r\n" + JSON + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + SMUGGLED,
    ),
    "a chunk without end": (
        400,
        REG + b"Transfer-Encoding: chunked\r\n\r\n" + b"F" * 30 + b"\r\n",
    ),
    "a negative chunk": (
        400,
        REG + b"Transfer-Encoding: chunked\r\n\r\n-1\r\n\r\n",
    ),
    "a chunk longer than it says": (
        400,
        REG + b"Transfer-Encoding: chunked\r\n\r\n1\r\n{}}}\r\n0\r\n\r\n",
    ),
    "a negative length": (400, REG + b"Content-Length: -5\r\n\r\n"),
    "a signed length": (400, REG + b"Content-Length: +5\r\n\r\nabcde"),
    "a length of forty digits": (
        413,
        REG + b"Content-Length: " + b"9" * 19 + b"\r\n\r\n",
    ),
    "a body too large": (413, REG + b"Content-Length: 16385\r\n\r\n"),
    "chunks too large": (
        413,
        b"POST /reg HTTP/1.1\r\n"
        + JSON
        + b"Transfer-Encoding: chunked\r\n\r\n"
        + (b"1000\r\n" + b"a" * 4096 + b"\r\n") * 5,
    ),
    "a header too large": (431, b"GET / HTTP/1.1\r\n" + HOST + b"X: " + b"a" * 17_000 + b"\r\n\r\n"),
    "a header without end": (431, b"GET / HTTP/1.1\r\n" + HOST + b"X: " + b"a" * 40_000),
    "a hundred and one headers": (431, b"GET / HTTP/1.1\r\n" + HOST + b"X: 1\r\n" * 100 + b"\r\n"),
    "a folded header": (400, b"GET / HTTP/1.1\r\n" + HOST + b"X: 1\r\n  2\r\n\r\n"),
    "two lengths in one line": (400, REG + b"Content-Length: 2, 2\r\n\r\n{}"),
    "a thousand chunks": (
        400,
        REG + b"Transfer-Encoding: chunked\r\n\r\n" + b"1\r\n \r\n" * 1000 + b"0\r\n\r\n",
    ),
    "a thousand trailers": (
        431,
        REG + b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n" + b"X: 1\r\n" * 1000 + b"\r\n",
    ),
    "thousands of options of a type": (
        415,
        b"POST /auth HTTP/1.1\r\n"
        + HOST
        + b"Connection: close\r\nContent-Type: a/b"
        + b";" * 15_800
        + b"\r\nContent-Length: 1\r\n\r\nx",
    ),
    "thousands of options of a part": (
        400,
        b"POST /auth HTTP/1.1\r\n"
        + HOST
        + b"Connection: close\r\nContent-Type: multipart/form-data; boundary=b\r\n"
        + b"Content-Length: %d\r\n\r\n" % len(PART)
        + PART,
    ),
    "a scheme without a host": (400, b"GET https:/metrics HTTP/1.1\r\nHost: https:\r\n\r\n"),
    "a scheme and a path": (400, b"GET http:///metrics HTTP/1.1\r\n" + HOST + b"\r\n"),
    "a scheme and a port": (400, b"GET http://:80/metrics HTTP/1.1\r\n" + HOST + b"\r\n"),
    "a scheme and a user": (400, b"GET http://h@/metrics HTTP/1.1\r\n" + HOST + b"\r\n"),
    "a target without a slash": (400, b"GET metrics HTTP/1.0\r\n\r\n"),
    "a target with a fragment": (400, b"GET /metrics# HTTP/1.1\r\n" + HOST + b"\r\n"),
    "a log-in from a foreign page": (
        403,
        b"POST /auth HTTP/1.1\r\n" + JSON + b"Origin: https://evil.example\r\nContent-Length: 2\r\n\r\n{}",
    ),
    "an account from a page of no origin": (
        403,
        REG + b"Origin: null\r\nContent-Length: 2\r\n\r\n{}",
    ),
    "a deletion from a foreign page": (
        403,
        b"DELETE /account HTTP/1.1\r\n" + JSON + b"Origin: http://h:81\r\n\r\n",
    ),
    "thousands of headers": (431, b"GET / HTTP/1.1\r\n" + HOST + b"X: 1\r\n" * 3_000 + b"\r\n"),
    "a target too long": (431, b"GET /" + b"a" * 17_000 + b" HTTP/1.1\r\n" + HOST + b"\r\n"),
    "a space before the colon": (400, b"GET / HTTP/1.1\r\nHost : h\r\n\r\n"),
    "NUL in a header": (400, b"GET / HTTP/1.1\r\n" + HOST + b"X: a\0b\r\n\r\n"),
    "a carriage return in a header": (400, b"GET / HTTP/1.1\r\n" + HOST + b"X: a\rb\r\n\r\n"),
    "a line without colon": (400, b"GET / HTTP/1.1\r\n" + HOST + b"nonsense\r\n\r\n"),
    "no host": (400, b"GET / HTTP/1.1\r\n\r\n"),
    "two hosts": (400, b"GET / HTTP/1.1\r\n" + HOST + HOST + b"\r\n"),
    "HTTP/9.9": (505, b"GET / HTTP/9.9\r\n" + HOST + b"\r\n"),
    "HTTP/2 without asking": (505, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
    "HTTP/0.9": (400, b"GET /\r\n\r\n"),
    "a request of one word": (400, b"nonsense\r\n\r\n"),
    "a greeting of TLS": (400, TLS_HELLO + b"\r\n\r\n"),
    "Redis": (400, b"*1\r\n$4\r\nPING\r\n\r\n"),
    "a WebSocket with a body": (
        400,
        HANDSHAKE[:-2] + b"Content-Length: 5\r\n\r\nabcde",
    ),
    "a WebSocket without key": (
        400,
        HANDSHAKE.replace(b"-Key", b"-Lock"),
    ),
    "a WebSocket of another age": (
        426,
        HANDSHAKE.replace(b"13", b"8"),
    ),
}


async def test_what_is_no_sound_request_gets_one_refusal_and_the_end(game: GameServer) -> None:
    """One JSON error, nothing of what was smuggled in behind it, then the end; no line is logged for it."""
    with quiet_log(game, lines=0):
        attacks = [attack for _, attack in REFUSED.values()]
        received = await asyncio.gather(*(everything_after(game, attack) for attack in attacks))
    assert {name: [status] for name, (status, _) in REFUSED.items()} == {
        name: answers_in(answer) for name, answer in zip(REFUSED, received, strict=True)
    }
    assert {orjson.loads(answer.partition(b"\r\n\r\n")[2])["status"] for answer in received} == {8}


DRIBBLED = {
    "nothing": b"",
    "half a greeting of TLS": TLS_HELLO,
    "half a head": b"GET / HTTP/1.1\r\nHos",
    "half a handshake": HANDSHAKE[:-2],
    "half a body": REG + b"Content-Length: 500\r\n\r\n{",
    "half a chunk": REG + b"Transfer-Encoding: chunked\r\n\r\n40\r\n{",
}


async def test_who_does_not_come_to_an_end_is_cut_off_after_ten_seconds(game: GameServer) -> None:
    """A byte every 400 ms prolongs nothing, 2 s to read why aside; meanwhile others are served."""

    async def dribble(start: bytes) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", game.port)
        writer.write(start)
        reading = asyncio.ensure_future(reader.read())
        async with asyncio.timeout(LIMIT_S):
            while not reading.done():
                await asyncio.wait({reading}, timeout=0.4)
                writer.write(b"a" if start else b"")
        with contextlib.suppress(ConnectionError):
            await reading
        writer.transport.abort()

    with quiet_log(game, lines=0):
        dribbling = asyncio.gather(*(dribble(start) for start in DRIBBLED.values()))
        async with httpx.AsyncClient(base_url=game.url, timeout=LIMIT_S) as client:
            assert (await client.get("/healthz")).status_code == 200
        await dribbling


METHODS = ("BREW", "TRACE", "CONNECT", "PROPFIND", "PUT", "PATCH", "get", "DELETE")
PATHS = ("/", "/reg", "/metrics", "/ws", "/index.html")


async def test_wrong_methods_are_refused_everywhere(game: GameServer) -> None:
    """Each is a 405 that lists what there is."""
    for path in PATHS:
        for method in METHODS:
            request = f"{method} {path} HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n".encode()
            received = await everything_after(game, request)
            assert answers_in(received) == [405], (method, path)
            assert b"OPTIONS" in received


TRAVERSALS = (
    "/../pyproject.toml",
    "/../../../../../../etc/passwd",
    "/%2e%2e/%2e%2e/%2e%2e/%2e%2e/etc/passwd",
    "/..%2f..%2f..%2fetc%2fpasswd",
    "/%252e%252e/etc/passwd",
    "/..%5c..%5cetc%5cpasswd",
    "/..%c0%af..%c0%afetc/passwd",
    "//etc/passwd",
    "/./app.py",
    "/index.html/../../app.py",
    "/index.html%00.png",
    "/.env",
    "/.git/config",
    "/__init__.py",
    "file:///etc/passwd",
)


async def test_no_path_leads_out_of_the_pages_folder(game: GameServer) -> None:
    """Whatever the spelling, only the page's own files are there; all else is a 404 without its path."""
    for path in TRAVERSALS:
        request = f"GET {path} HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n".encode()
        received = await everything_after(game, request)
        assert answers_in(received) in ([404], [400]), path
        assert orjson.loads(received.partition(b"\r\n\r\n")[2])["message"] in (
            "not found",
            "malformed request",
        )


async def test_every_answer_tells_browsers_to_trust_nothing(game: GameServer) -> None:
    """Page, files, errors and the API carry the same headers; scripts and styles come from files alone."""
    async with httpx.AsyncClient(base_url=game.url, timeout=LIMIT_S) as client:
        page = await client.get("/")
        for answer in (
            page,
            await client.get("/nowhere"),
            await client.post("/auth"),
            await client.get("/healthz"),
        ):
            policy = answer.headers["content-security-policy"]
            assert "default-src 'self'" in policy
            assert "unsafe" not in policy
            assert "frame-ancestors 'none'" in policy
            assert answer.headers["x-content-type-options"] == "nosniff"
            assert answer.headers["x-frame-options"] == "DENY"
            assert answer.headers["referrer-policy"] == "no-referrer"
            assert "server" not in answer.headers
    assert "<style" not in page.text
    assert " style=" not in page.text
    assert " onclick=" not in page.text


async def test_a_faulty_request_leaves_the_next_one_whole(game: GameServer) -> None:
    """Requests pipelined behind a refused one are never carried out: no account is made."""
    body = orjson.dumps({"email": "smuggled@example.com", "password": PASSWORD})
    inner = REG + b"Content-Length: %d\r\n\r\n" % len(body) + body
    head = b"POST /auth HTTP/1.1\r\n" + JSON + b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n"
    assert answers_in(await everything_after(game, head, b"0\r\n\r\n", inner)) == [400]
    register(game, "smuggled@example.com")


async def test_who_is_gone_before_its_answer_leaves_no_trace(game: GameServer) -> None:
    """A peer that asks and closes at once, with and without a reset, is no fault of ours and logs nothing."""
    requests = [
        f"{method} {path} HTTP/1.1\r\n{more}Host: h\r\n\r\n".encode()
        for method, path in (
            ("OPTIONS", "/reg"),
            ("HEAD", "/"),
            ("GET", "/"),
            ("POST", "/auth"),
            ("GET", "/nowhere"),
        )
        for more in ("Connection: close\r\n", "")
    ]
    with quiet_log(game, lines=0):
        for _ in range(10):
            for request in requests:
                for resets in (True, False):
                    ask_and_leave(game, request, resets=resets)
        assert answers_in(await everything_after(game, requests[0])) == [204]


def ask_and_leave(server: GameServer, request: bytes, *, resets: bool) -> None:
    """Send a request and close the socket without reading."""
    with socket.create_connection(("127.0.0.1", server.port)) as leaving:
        if resets:
            leaving.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        leaving.sendall(request)
