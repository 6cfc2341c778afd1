"""What is no sound request: refused with one answer and the end, and never an exception."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.http_peer import connected


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
