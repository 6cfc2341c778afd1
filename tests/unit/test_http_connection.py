"""The HTTP connection over a pair of connected sockets, with a site that answers what it was asked."""

from __future__ import annotations

import asyncio
import socket
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runtime.turns import Turns
from server.http.connection import HttpConnection, HttpLimits
from server.http.messages import HttpRequest, HttpResponse, json_response, malformed
from tests.support.limits import LIMIT_S

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from websockets.http11 import Request


@dataclass
class EchoSite:
    """Answers with the method, path and body; `/big` with more than a socket holds, `/held` when released."""

    seen: list[HttpRequest] = field(default_factory=list)
    begun: asyncio.Event = field(default_factory=asyncio.Event)
    hold: asyncio.Event = field(default_factory=asyncio.Event)
    refused_upgrade: HttpResponse | None = None

    async def respond(self, request: HttpRequest) -> HttpResponse:
        """Answer by the path."""
        self.seen.append(request)
        self.begun.set()
        if request.path == "/held":
            await self.hold.wait()
        if request.path == "/big":
            return HttpResponse(200, b"x" * 4_000_000)
        if request.path == "/bad":
            return HttpResponse(200, b"", (("Bad\n", "header"),))
        return HttpResponse(200, f"{request.method} {request.path} ".encode() + request.body)

    def finish(self, request: HttpRequest | None, response: HttpResponse) -> HttpResponse:
        """Add whether there was a request."""
        return response.with_headers((("X-Known", "yes" if request else "no"),))

    def refuse_origin(self, request: HttpRequest) -> HttpResponse | None:  # noqa: ARG002 - all may send
        """Let everybody send."""
        return None

    def may_upgrade(self, request: HttpRequest) -> HttpResponse | None:  # noqa: ARG002 - one answer for all
        """Refuse as told."""
        return self.refused_upgrade


@dataclass
class Owner:
    """Notes what the connection tells it."""

    upgraded: asyncio.Future[tuple[asyncio.Transport, Request, bytes]]
    closed: asyncio.Event = field(default_factory=asyncio.Event)

    def client_address(self, forwarded_for: Sequence[str]) -> str:
        """Show what was passed."""
        return f"client {','.join(forwarded_for)}".strip()

    def upgrade(
        self, _connection: HttpConnection, transport: asyncio.Transport, request: Request, trailing: bytes
    ) -> None:
        """Keep what is handed on."""
        self.upgraded.set_result((transport, request, trailing))

    def http_closed(self, _connection: HttpConnection) -> None:
        """Note the end."""
        self.closed.set()


@dataclass
class Peer:
    """The other end of a connection under test."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    site: EchoSite
    owner: Owner
    connection: HttpConnection

    async def ask(self, data: bytes) -> bytes:
        """Send bytes and return the next whole answer, head and body."""
        self.writer.write(data)
        return await self.answer()

    async def answer(self) -> bytes:
        """Return the next whole answer."""
        async with asyncio.timeout(LIMIT_S):
            head = await self.reader.readuntil(b"\r\n\r\n")
            length = 0
            for line in head.lower().split(b"\r\n"):
                if line.startswith(b"content-length:"):
                    length = int(line.split(b":")[1])
            return head + await self.reader.readexactly(length)

    async def rest(self) -> bytes:
        """Return everything until the end of the connection."""
        async with asyncio.timeout(LIMIT_S):
            return await self.reader.read()


@asynccontextmanager
async def connected(**limits: float) -> AsyncIterator[Peer]:
    """Connect a peer to a new HttpConnection; both ends are gone after the block."""
    loop = asyncio.get_running_loop()
    near, far = socket.socketpair()
    site, owner = EchoSite(), Owner(loop.create_future())
    connection = HttpConnection(site, owner, HttpLimits(**limits), Turns(loop))  # type: ignore[arg-type]  # times and sizes mixed
    transport, _ = await loop.connect_accepted_socket(lambda: connection, near)
    reader, writer = await asyncio.open_connection(sock=far)
    try:
        yield Peer(reader, writer, site, owner, connection)
    finally:
        writer.close()
        transport.abort()
        if owner.upgraded.done():
            owner.upgraded.result()[0].abort()
        else:
            async with asyncio.timeout(LIMIT_S):
                await owner.closed.wait()


async def test_keep_alive() -> None:
    """One connection serves one request after another."""
    async with connected() as peer:
        first = await peer.ask(b"GET /a?x=1 HTTP/1.1\r\nHost: h\r\n\r\n")
        second = await peer.ask(b"POST /b HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc")
        assert first.endswith(b"GET /a ")
        assert second.endswith(b"POST /b abc")
        assert b"connection: close" not in (first + second).lower()
        assert b"\r\nDate: " in first


async def test_pipelining() -> None:
    """Requests sent in one piece are answered one by one, in their order."""
    async with connected() as peer:
        peer.writer.write(b"".join(b"GET /%d HTTP/1.1\r\nHost: h\r\n\r\n" % number for number in range(200)))
        answers = [await peer.answer() for _ in range(200)]
        assert [b"GET /%d " % number for number in range(200)] == [
            answer.rsplit(b"\r\n", 1)[1] for answer in answers
        ]


async def test_byte_by_byte() -> None:
    """A request that arrives in single bytes is one request, chunked bodies included."""
    async with connected() as peer:
        request = (
            b"POST /c HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n1\r\nc\r\n0\r\n\r\n"
        )
        for byte in request:
            peer.writer.write(bytes([byte]))
            await asyncio.sleep(0)
        assert (await peer.answer()).endswith(b"POST /c abc")


async def test_head_has_no_body() -> None:
    """HEAD is answered with the length of what GET would have brought, and nothing else."""
    async with connected() as peer:
        peer.writer.write(b"HEAD /a HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
        answer = await peer.rest()
        assert b"Content-Length: 8\r\n" in answer
        assert answer.endswith(b"\r\n\r\n")


async def test_expect_continue() -> None:
    """A client that waits for a 100 before it sends its body gets one."""
    async with connected() as peer:
        head = b"POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n"
        assert (await peer.ask(head)).startswith(b"HTTP/1.1 100 ")
        assert (await peer.ask(b"ok")).endswith(b"POST /a ok")


async def test_half_closed_peer_is_answered() -> None:
    """A peer that stops sending after its request still gets its answer."""
    async with connected() as peer:
        peer.writer.write(b"GET /held HTTP/1.1\r\nHost: h\r\n\r\n")
        peer.writer.write_eof()
        await peer.site.begun.wait()
        peer.site.hold.set()
        assert (await peer.rest()).endswith(b"GET /held ")


async def test_old_version_closes() -> None:
    """HTTP/1.0 is served and closed."""
    async with connected() as peer:
        peer.writer.write(b"GET /a HTTP/1.0\r\n\r\n")
        assert (await peer.rest()).endswith(b"GET /a ")


@pytest.mark.parametrize(
    ("status", "request_bytes"),
    [
        pytest.param(400, b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", id="TLS"),
        pytest.param(400, b"GET /\r\n\r\n", id="no version"),
        pytest.param(400, b"GET / HTTP/1.1\r\n\r\n", id="no host"),
        pytest.param(400, b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", id="two hosts"),
        pytest.param(505, b"GET / HTTP/9.9\r\nHost: h\r\n\r\n", id="nonsense version"),
        pytest.param(505, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", id="HTTP/2"),
        pytest.param(400, b"GET / HTTP/1.1\r\nHost: h\r\nA : b\r\n\r\n", id="space before the colon"),
        pytest.param(400, b"GET / HTTP/1.1\r\nHost: h\r\nA: \x00\r\n\r\n", id="NUL in a header"),
        pytest.param(431, b"GET / HTTP/1.1\r\nHost: h\r\nA: " + b"a" * 20_000, id="endless header"),
        pytest.param(
            431, b"GET / HTTP/1.1\r\nHost: h\r\nA: " + b"a" * 20_000 + b"\r\n\r\n", id="header too long"
        ),
        pytest.param(431, b"GET /?" + b"a" * 20_000 + b" HTTP/1.1\r\nHost: h\r\n\r\n", id="target too long"),
        pytest.param(
            413, b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 16385\r\n\r\n", id="length too long"
        ),
        pytest.param(
            413,
            b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n4001\r\n" + b"a" * 0x4001,
            id="chunks too long",
        ),
        pytest.param(
            400,
            b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd",
            id="two lengths",
        ),
        pytest.param(
            400,
            b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\ncontent-length: 3\r\n\r\nabc",
            id="one length twice",
        ),
        pytest.param(
            400, b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 3, 4\r\n\r\nabcd", id="a list of lengths"
        ),
        pytest.param(400, b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: -1\r\n\r\n", id="negative length"),
        pytest.param(400, b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: +3\r\n\r\nabc", id="signed length"),
        pytest.param(
            400,
            b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            id="length and chunks",
        ),
        pytest.param(
            400,
            b"POST / HTTP/1.0\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            id="chunks in HTTP/1.0",
        ),
        pytest.param(
            501,
            b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
            id="another coding",
        ),
        pytest.param(
            400,
            b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
            id="nonsense chunk",
        ),
        pytest.param(
            400,
            b"GET /ws HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nContent-Length: 1\r\n\r\nx",
            id="upgrade with a body",
        ),
    ],
)
async def test_refused(status: int, request_bytes: bytes) -> None:
    """What is no sound request is refused with JSON and the connection ends; no site ever sees it."""
    async with connected() as peer:
        peer.writer.write(request_bytes)
        answer = await peer.rest()
        assert answer.startswith(b"HTTP/1.1 %d " % status)
        assert b'{"status":8,"message":"' in answer
        assert b"Connection: close\r\n" in answer
        assert peer.site.seen == []


async def test_refusal_is_readable_while_sending() -> None:
    """A body far over the limit is refused and the refusal arrives although its sender goes on sending."""
    async with connected() as peer:
        peer.writer.write(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 900000\r\n\r\n" + b"a" * 900_000)
        assert (await peer.answer()).startswith(b"HTTP/1.1 413 ")
        assert await peer.rest() == b""


async def test_request_behind_a_refusal_is_not_served() -> None:
    """What follows a refused request on its connection is discarded: it may have been smuggled."""
    async with connected() as peer:
        peer.writer.write(
            b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n"
            b"0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: h\r\n\r\n"
        )
        assert (await peer.rest()).count(b"HTTP/1.1") == 1
        assert peer.site.seen == []


@pytest.mark.parametrize(
    "start", [b"GET / HTT", b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 99\r\n\r\nab"]
)
async def test_dribblers_are_cut_off(start: bytes) -> None:
    """Header and body share one limit of time, however often a byte comes."""
    begun_s = asyncio.get_running_loop().time()
    async with connected(request_s=0.2, linger_s=0.1) as peer:
        peer.writer.write(start)
        reading = asyncio.ensure_future(peer.rest())
        while not reading.done():
            peer.writer.write(b"a")
            await asyncio.wait({reading}, timeout=0.02)
        assert reading.result().startswith(b"HTTP/1.1 408 ")
        assert asyncio.get_running_loop().time() - begun_s >= 0.2
        async with asyncio.timeout(LIMIT_S):
            await peer.owner.closed.wait()


async def test_silent_connections_are_closed() -> None:
    """A connection on which nothing was asked, or nothing more, is closed without a word."""
    async with connected(request_s=0.05) as peer:
        assert await peer.rest() == b""
    async with connected(idle_s=0.05) as peer:
        await peer.ask(b"GET /a HTTP/1.1\r\nHost: h\r\n\r\n")
        assert await peer.rest() == b""


async def test_slow_reader_is_cut_off() -> None:
    """A peer that does not read its answer occupies us for a limited time."""
    async with connected(write_s=0.1) as peer:
        peer.writer.write(b"GET /big HTTP/1.1\r\nHost: h\r\n\r\n" * 2)
        async with asyncio.timeout(LIMIT_S):
            await peer.owner.closed.wait()
        assert len(peer.site.seen) == 1


async def test_big_answer_arrives_whole() -> None:
    """An answer bigger than every buffer arrives whole, also when the connection ends with it."""
    async with connected() as peer:
        peer.writer.write(b"GET /big HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
        assert (await peer.rest()).endswith(b"x" * 4_000_000)


async def test_drain_ends_the_connection_with_the_answer() -> None:
    """While draining, the request under way is answered and the connection ends."""
    async with connected() as peer:
        peer.writer.write(b"GET /held HTTP/1.1\r\nHost: h\r\n\r\nGET /never HTTP/1.1\r\nHost: h\r\n\r\n")
        await peer.site.begun.wait()
        assert peer.connection.busy
        peer.connection.drain()
        peer.connection.close_idle()
        peer.site.hold.set()
        answer = await peer.rest()
        assert b"Connection: close\r\n" in answer
        assert answer.endswith(b"GET /held ")


async def test_close_idle() -> None:
    """An idle connection is closed when asked to."""
    async with connected() as peer:
        await peer.ask(b"GET /a HTTP/1.1\r\nHost: h\r\n\r\n")
        peer.connection.close_idle()
        assert await peer.rest() == b""


async def test_fault_in_an_answer_ends_the_connection() -> None:
    """An answer that cannot be written ends its connection, nothing else."""
    async with connected() as peer:
        peer.writer.write(b"GET /bad HTTP/1.1\r\nHost: h\r\n\r\n")
        assert await peer.rest() == b""


UPGRADE = (
    b"GET /ws?v=1 HTTP/1.1\r\nHost: h\r\nUpgrade: WebSocket\r\nConnection: keep-alive, Upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)


async def test_upgrade_after_requests() -> None:
    """A connection that served HTTP is handed on for a WebSocket, with what came behind the request."""
    async with connected() as peer:
        await peer.ask(b"POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\n\r\nx")
        peer.writer.write(UPGRADE + b"\x81\x80abcd")
        async with asyncio.timeout(LIMIT_S):
            transport, request, trailing = await peer.owner.upgraded
        assert trailing == b"\x81\x80abcd"
        assert (request.method, request.path, request.protocol) == ("GET", "/ws", "HTTP/1.1")
        assert request.headers["sec-websocket-key"] == "dGhlIHNhbXBsZSBub25jZQ=="
        assert not peer.owner.closed.is_set()
        assert transport.is_reading()


async def test_refused_upgrade() -> None:
    """An upgrade that the site refuses is answered as HTTP."""
    async with connected() as peer:
        peer.site.refused_upgrade = malformed(403, "origin not allowed")
        peer.writer.write(UPGRADE)
        assert (await peer.rest()).startswith(b"HTTP/1.1 403 ")
        assert not peer.owner.upgraded.done()


async def test_other_upgrades_are_plain_requests() -> None:
    """A request that would like another protocol, or a WebSocket elsewhere, is answered as HTTP."""
    async with connected() as peer:
        answer = await peer.ask(b"GET /ws HTTP/1.1\r\nHost: h\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n\r\n")
        assert answer.endswith(b"GET /ws ")
        answer = await peer.ask(UPGRADE.replace(b"/ws?v=1", b"/elsewhere"))
        assert answer.endswith(b"GET /elsewhere ")


async def test_client_and_absolute_target() -> None:
    """The owner names the client; a target may be a whole address."""
    async with connected() as peer:
        await peer.ask(
            b"GET http://h/a HTTP/1.1\r\nHost: h\r\nX-Forwarded-For: 1\r\nX-forwarded-for: 2\r\n\r\n"
        )
        assert peer.site.seen[0].client == "client 1,2"
        assert peer.site.seen[0].path == "/a"


@given(data=st.binary(max_size=400), split=st.integers(0, 400))
@settings(max_examples=150, deadline=None)
async def test_any_bytes(data: bytes, split: int) -> None:
    """Whatever arrives, in whatever pieces: an HTTP answer or none, and never an exception."""
    async with connected(linger_s=0.05) as peer:
        peer.writer.write(data[:split])
        await asyncio.sleep(0)
        peer.writer.write(data[split:])
        peer.writer.write_eof()
        answer = await peer.rest()
        assert answer == b"" or answer.startswith(b"HTTP/1.1 ")


METHODS = st.sampled_from([b"GET", b"POST", b"HEAD", b"OPTIONS", b"CONNECT", b"get", b"G\x00T"])
TARGETS = st.sampled_from([b"/", b"/ws", b"*", b"//", b"http://[::1", b"/%00", b"/%ff", b"h:1", b"/a b"])
HEADERS = st.sampled_from(
    [
        b"Host: h",
        b"Content-Length: 2",
        b"Content-Length: 99999999999999999999999",
        b"Transfer-Encoding: chunked",
        b"Transfer-Encoding: Chunked",
        b"Connection: close",
        b"Connection: Upgrade",
        b"Upgrade: websocket",
        b"Expect: 100-continue",
        b"X: \xff\xfe",
        b" folded",
    ]
)


@given(
    parts=st.lists(
        st.tuples(METHODS, TARGETS, st.lists(HEADERS, max_size=5), st.binary(max_size=8)), max_size=3
    )
)
@settings(max_examples=150, deadline=None)
async def test_nearly_http(parts: list[tuple[bytes, bytes, list[bytes], bytes]]) -> None:
    """Requests that are nearly right are answered or refused, and never raise."""
    async with connected(linger_s=0.05) as peer:
        for method, target, headers, body in parts:
            lines = [method + b" " + target + b" HTTP/1.1", *headers]
            peer.writer.write(b"\r\n".join(lines) + b"\r\n\r\n" + body)
        peer.writer.write_eof()
        upgraded = asyncio.ensure_future(asyncio.shield(peer.owner.upgraded))
        reading = asyncio.ensure_future(peer.rest())
        both: set[asyncio.Future[Any]] = {reading, upgraded}
        await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
        for future in both:
            future.cancel()
        await asyncio.wait(both)
        answer = b"" if reading.cancelled() else reading.result()
        assert answer == b"" or answer.startswith(b"HTTP/1.1 ")


def test_json_response() -> None:
    """JSON is never kept by anybody in between."""
    response = json_response(200, {"status": 0})
    assert response.body == b'{"status":0}'
    assert ("Cache-Control", "no-store") in response.headers
