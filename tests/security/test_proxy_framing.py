"""Requests hidden in others: the shipped HAProxy and the server agree where each one ends."""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING, Final

import pytest

from tests.support.game_server import GameServer, running_game
from tests.support.haproxy import answered, shipped_proxy
from tests.support.players import EXTERNAL
from tests.support.raw_http import HANDSHAKE

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

RATE: Final = 3
HIDDEN: Final = b"GET /metrics HTTP/1.1\r\nHost: h\r\n\r\n"
LAST: Final = b"GET /healthz HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"
CODINGS: Final = (
    b"Transfer-Encoding: chunked",
    b"Transfer-Encoding : chunked",
    b"Transfer-Encoding:\tchunked",
    b"Transfer-Encoding: \x0bchunked",
    b"Transfer-Encoding: xchunked",
    b"Transfer-Encoding: chunked, identity",
    b"Transfer-Encoding: identity, chunked",
    b"transfer-encoding: CHUNKED",
    b"Transfer-Encoding: chunked\r\nTransfer-Encoding: x",
    b"Transfer-Encoding: x\r\nTransfer-Encoding: chunked",
    b"X: y\r\n Transfer-Encoding: chunked",
    b"Transfer_Encoding: chunked",
    b"Transfer-Encoding: ,chunked",
    b"Transfer-Encoding\x00: chunked",
    b"X: y\nTransfer-Encoding: chunked",
    b"X: y\rTransfer-Encoding: chunked",
)
LENGTHS: Final = (
    b"Content-Length: 0",
    b"Content-Length: +5",
    b"Content-Length: 05",
    b"Content-Length: 0x5",
    b"Content-Length: 5, 5",
    b"Content-Length: 5\r\nContent-Length: 0",
    b"Content-Length : 5",
    b"Content-Length:\x0c5",
    b"Content_Length: 5",
    b"Content-Length: 5\r\n\tX",
)
CHUNKS: Final = (
    b"5;a=b\r\n12345\r\n0\r\n\r\n",
    b"5\n12345\n0\n\n",
    b"-5\r\n",
    b"0x5\r\n12345\r\n0\r\n\r\n",
    b"100000000000000005\r\n12345\r\n0\r\n\r\n",
    b"5\r\n12345XX0\r\n\r\n",
    b"0\r\nContent-Length: 40\r\n\r\n",
    b"5;a\nb\r\n12345\r\n0\r\n\r\n",
)


def post(headers: bytes, body: bytes) -> bytes:
    """A request with a body whose framing is in `headers`."""
    return b"POST /reg HTTP/1.1\r\nHost: h\r\n" + headers + b"\r\n\r\n" + body


ATTACKS: Final = (
    *(post(coding, b"0\r\n\r\n" + HIDDEN) for coding in CODINGS),
    *(post(b"Content-Length: %d\r\n%b" % (5 + len(HIDDEN), one), b"0\r\n\r\n" + HIDDEN) for one in CODINGS),
    *(
        post(one + b"\r\nContent-Length: 4", b"%x\r\n%b\r\n0\r\n\r\n" % (len(HIDDEN), HIDDEN))
        for one in CODINGS
    ),
    *(post(length, b"12345" + HIDDEN) for length in LENGTHS),
    *(post(b"Transfer-Encoding: chunked", chunks + HIDDEN) for chunks in CHUNKS),
    b"GET /healthz HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n%b" % (len(HIDDEN), HIDDEN),
    b"HEAD /healthz HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n%b" % (len(HIDDEN), HIDDEN),
    HANDSHAKE[:-2] + b"Content-Length: %d\r\n\r\n%b" % (len(HIDDEN), HIDDEN),
    HANDSHAKE.replace(b"13", b"8") + HIDDEN,
    HANDSHAKE.replace(b"websocket", b"h2c") + HIDDEN,
    b"CONNECT h:1 HTTP/1.1\r\nHost: h\r\n\r\n" + HIDDEN,
    post(b"Expect: 100-continue\r\nContent-Length: 2", b"{}" + HIDDEN),
    b"GET /healthz HTTP/1.0\r\nConnection: keep-alive\r\n\r\n" + HIDDEN,
    b"GET /metrics HTTP/1.1\nHost: h\n\n",
    b"GET\t/metrics HTTP/1.1\r\nHost: h\r\n\r\n",
    b"GET  /metrics HTTP/1.1\r\nHost: h\r\n\r\n",
    b"\r\n\r\n" + HIDDEN,
)


@pytest.fixture(scope="module")
def guarded(module_databases: dict[str, str]) -> Iterator[GameServer]:
    """A server with a throttle, behind a proxy on loopback."""
    settings = {"AUTH_RATE": str(RATE), "TRUSTED_PROXIES": "127.0.0.1"}
    with running_game({**EXTERNAL, **module_databases, **settings}) as server:
        yield server


async def test_no_request_hides_in_another(guarded: GameServer, tmp_path: Path) -> None:
    """Whatever the framing, figures never come out, and the proxy's next client gets its own answer."""
    with shipped_proxy(guarded, tmp_path) as port:
        assert b'{"status":"ok"}' in await answered(port, LAST)
        for received in await asyncio.gather(*(answered(port, attack + LAST) for attack in ATTACKS)):
            assert b"cook_" not in received
        for _ in range(3):
            assert re.match(rb"HTTP/1\.1 200 .*\{\"status\":\"ok\"\}$", await answered(port, LAST), re.DOTALL)


async def test_no_client_names_its_own_address(guarded: GameServer, tmp_path: Path) -> None:
    """A made-up address does not count, also where `Connection` asks for the true one to be left out."""
    body = b'{"email":"nobody@example.com","password":"a wrong one"}'
    statuses = []
    with shipped_proxy(guarded, tmp_path) as port:
        for number in range(RATE + 2):
            headers = (
                b"Content-Type: application/json\r\nConnection: close, X-Forwarded-For\r\n"
                b"X-Forwarded-For: 203.0.113.%d\r\nContent-Length: %d" % (number, len(body))
            )
            request = post(headers, body).replace(b"/reg", b"/auth")
            statuses.append((await answered(port, request))[:12])
    assert statuses == [b"HTTP/1.1 401"] * RATE + [b"HTTP/1.1 429"] * 2
