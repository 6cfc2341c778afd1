"""The handshake: who may open a connection, and what the others receive."""

from __future__ import annotations

import asyncio
import json
import socket
from typing import TYPE_CHECKING

import pytest
from websockets.datastructures import Headers
from websockets.http11 import Request

from runtime.turns import Turns
from server.ws.connection import Connection
from server.ws.limits import ConnectionLimits
from server.ws.sweeper import Sweeper
from tests.support.limits import LIMIT_S
from tests.support.ws_peer import HEADERS, Recorder, connected, upgrade_request

if TYPE_CHECKING:
    from collections.abc import Sequence

PAGE = "https://play.example"


def without(name: str) -> Request:
    """Build the request of a handshake that lacks a header."""
    return Request("/ws", Headers({key: value for key, value in HEADERS.items() if key != name}))


async def answer_to(request: Request, origins: Sequence[str] | None = (PAGE,)) -> tuple[bytes, bytes, bool]:
    """Let a request be judged: the head and the body of the answer, and whether there is a connection."""
    ours, theirs = socket.socketpair()
    transport, _ = await asyncio.get_running_loop().connect_accepted_socket(asyncio.Protocol, ours)
    reader, writer = await asyncio.open_connection(sock=theirs)
    connection = Connection.accept(
        transport,
        request,
        b"",
        origins=origins,
        receiver=Recorder(),
        limits=ConnectionLimits(),
        sweeper=Sweeper(),
        turns=Turns(asyncio.get_running_loop()),
    )
    async with asyncio.timeout(LIMIT_S):
        head = await reader.readuntil(b"\r\n\r\n")
        if connection is not None:
            connection.abort()
        body = await reader.read()
        writer.close()
        await writer.wait_closed()
    return head, body, connection is not None


@pytest.mark.parametrize("request_", [upgrade_request(), upgrade_request(Origin=PAGE)])
async def test_an_allowed_origin_and_none_at_all_are_accepted(request_: Request) -> None:
    """A page of ours and a native client get their connection, without extensions."""
    head, body, accepted = await answer_to(request_)
    assert head.startswith(b"HTTP/1.1 101 ")
    assert b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" in head
    assert b"Extensions" not in head
    assert (body, accepted) == (b"", True)


async def test_an_origin_that_was_judged_already_is_not_judged_again() -> None:
    """Where HTTP has checked the origin, any is accepted."""
    head, _, accepted = await answer_to(upgrade_request(Origin="https://judged.example"), origins=None)
    assert (head[:13], accepted) == (b"HTTP/1.1 101 ", True)


async def test_compression_is_not_negotiated() -> None:
    """An offer of compression is passed over."""
    head, _, accepted = await answer_to(upgrade_request(Sec_WebSocket_Extensions="permessage-deflate"))
    assert (b"permessage-deflate" in head, accepted) == (False, True)


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (upgrade_request(Origin="https://evil.example"), 403),
        (upgrade_request(Origin="null"), 403),
        (upgrade_request(Origin=PAGE + ".evil.example"), 403),
        (without("Sec-WebSocket-Key"), 400),
        (without("Sec-WebSocket-Version"), 400),
        (without("Upgrade"), 426),
        (Request("/ws", Headers(HEADERS), method="POST"), 405),
        (Request("/ws", Headers(HEADERS), protocol="HTTP/1.0"), 505),
    ],
)
async def test_others_are_refused_with_an_error_like_every_error(request_: Request, status: int) -> None:
    """A refusal is JSON with a status and a message, of the length it says, and ends the stream."""
    head, body, accepted = await answer_to(request_)
    assert head.startswith(b"HTTP/1.1 %d " % status)
    assert b"Content-Length: %d\r\n" % len(body) in head
    assert b"Content-Type: application/json\r\n" in head
    answer = json.loads(body)
    assert (set(answer), answer["status"]) == ({"status", "message"}, 8)
    assert not accepted


async def test_an_open_connection_is_one_bucket_entry_and_no_timer() -> None:
    """Time-outs cost an open connection no timer of its own."""
    async with connected() as peer:
        assert [len(bucket) for bucket in peer.sweeper._buckets.values()] == [1]
        peer.advance(1)
        assert [len(bucket) for bucket in peer.sweeper._buckets.values()] == [1]
