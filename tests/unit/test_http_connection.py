"""The HTTP connection: requests one after another, answers in order, limits of time, and the end."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

import pytest

from runtime.turns import Turns
from server.http.messages import json_response, malformed
from tests.support.http_peer import connected
from tests.support.limits import LIMIT_S

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


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


async def test_a_peer_that_pipelines_has_little_in_memory() -> None:
    """While a request is answered, 32 KiB of what came behind it are read at most, and none is lost."""
    pipelined = b"GET /next HTTP/1.1\r\nHost: h\r\n\r\n"
    async with connected() as peer:
        peer.writer.write(b"GET /held HTTP/1.1\r\nHost: h\r\n\r\n" + pipelined * 1_500)
        async with asyncio.timeout(LIMIT_S):
            await peer.site.begun.wait()
        assert len(peer.connection._reader._raw) <= 32 * 1024
        peer.site.hold.set()
        for _ in range(1_501):
            await peer.answer()
        assert len(peer.site.seen) == 1_501


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


@pytest.mark.parametrize(
    ("sent", "answer"),
    [(b"GET /a HTTP/1.1\r\nHost: h\r\n\r\n", b"HTTP/1.1 200 "), (b"GET /a HTTP/1.1\r\n", b"HTTP/1.1 408 ")],
)
async def test_a_request_that_waits_for_its_turn_is_in_time(sent: bytes, answer: bytes) -> None:
    """What came is read before a peer is cut off, however far behind the process is: no client asks twice."""
    async with connected() as peer:
        held: list[Callable[[], None]] = []
        peer.connection._turns = cast("Turns", SimpleNamespace(add=held.append))
        peer.writer.write(sent)
        async with asyncio.timeout(LIMIT_S):
            await _until_held(held, 1)  # for reading
            peer.connection._start_timer(0)
            await _until_held(held, 2)  # for what the end of the time brings
        peer.connection._turns = Turns(asyncio.get_running_loop())
        for work in held:
            work()
        assert (await peer.answer()).startswith(answer)


async def _until_held(held: Sequence[object], count: int) -> None:
    while len(held) < count:  # noqa: ASYNC110 - nobody says so
        await asyncio.sleep(0.01)


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


def test_json_response() -> None:
    """JSON is never kept by anybody in between."""
    response = json_response(200, {"status": 0})
    assert response.body == b'{"status":0}'
    assert ("Cache-Control", "no-store") in response.headers
