"""The port: HTTP and WebSocket on one connection, limits, and the end."""

from __future__ import annotations

import asyncio
import gc
import ipaddress
import weakref
from typing import TYPE_CHECKING

import httpx
import orjson
import pytest
import websockets
from websockets.asyncio.client import connect

from server.http.connection import HttpConnection, HttpLimits
from server.http.messages import HttpRequest, HttpResponse, json_response
from server.http.routes import Route
from server.listener import Listener, PortLimits
from tests.support.http_world import listening
from tests.support.limits import LIMIT_S

if TYPE_CHECKING:
    from collections.abc import Callable

UPGRADE = (
    b"GET /ws HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)


async def until(condition: Callable[[], bool]) -> None:
    """Wait for a count of the listener's, which is not published."""
    async with asyncio.timeout(LIMIT_S):
        while not condition():  # noqa: ASYNC110 - nothing signals when the server has seen a socket close
            await asyncio.sleep(0.005)


def client(listener: Listener) -> httpx.AsyncClient:
    """An HTTP client of the listener."""
    return httpx.AsyncClient(base_url=f"http://127.0.0.1:{listener.port}", trust_env=False, timeout=LIMIT_S)


def address(listener: Listener) -> str:
    """Where its WebSockets are."""
    return f"ws://127.0.0.1:{listener.port}/ws"


def unstarted(listener: Listener) -> Listener:
    """Another listener that serves the same."""
    return Listener(listener._site, listener._websockets, turns=listener._turns)


async def test_http_then_websocket_on_one_connection() -> None:
    """A connection that served HTTP becomes a WebSocket, and the frame that came with it is not lost."""
    async with listening() as (listener, _):
        reader, writer = await asyncio.open_connection("127.0.0.1", listener.port)
        masked_hello = b"\x81\x85\x00\x00\x00\x00hello"
        writer.write(b"GET /healthz HTTP/1.1\r\nHost: h\r\n\r\n" * 2 + UPGRADE + masked_hello)
        async with asyncio.timeout(LIMIT_S):
            for _ in range(2):
                assert (await reader.readuntil(b'{"status":"ok"}')).startswith(b"HTTP/1.1 200 ")
            assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 101 ")
            assert await reader.readexactly(7) == b"\x81\x05hello"
        assert listener.counts.total == 1
        writer.close()
        await until(lambda: listener.counts.total == 0)
        assert listener.counts.by_address == {}


@pytest.mark.parametrize("request_head", [UPGRADE, b"GET /healthz HTTP/1.1\r\nHost: h\r\n\r\n", b"?"])
async def test_what_a_connection_leaves_is_freed_without_the_collector(
    request_head: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A WebSocket, HTTP, and what is refused: asyncio's transport goes with its connection."""
    transports: list[weakref.ref[asyncio.BaseTransport]] = []
    made = HttpConnection.connection_made

    def noting(connection: HttpConnection, transport: asyncio.Transport) -> None:
        transports.append(weakref.ref(transport))
        made(connection, transport)

    monkeypatch.setattr(HttpConnection, "connection_made", noting)
    async with listening() as (listener, _):
        gc.disable()
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", listener.port)
            writer.write(request_head)
            async with asyncio.timeout(LIMIT_S):
                assert (await reader.readline()).startswith(b"HTTP/1.1 ")
            writer.close()
            await until(lambda: listener.counts.total == 0)
            await until(lambda: [transport() for transport in transports] == [None])
        finally:
            gc.enable()


async def test_a_handshake_may_offer_any_subprotocols() -> None:
    """None is chosen and none is read, whatever stands there: a list of thousands would take its time."""
    for offered in (b"chat, superchat", b"@(,", b"a," * 7000):
        async with listening() as (listener, _):
            reader, writer = await asyncio.open_connection("127.0.0.1", listener.port)
            writer.write(UPGRADE[:-2] + b"Sec-WebSocket-Protocol: " + offered + b"\r\n\r\n")
            async with asyncio.timeout(LIMIT_S):
                head = await reader.readuntil(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 101 ")
            assert b"protocol:" not in head.lower()
            writer.close()


async def test_library_client() -> None:
    """A WebSocket client of the usual kind is served."""
    async with listening() as (listener, _), connect(address(listener), proxy=None) as socket:
        await socket.send("hello")
        assert await socket.recv() == "hello"
        assert listener.counts.by_address == {"127.0.0.1": 1}


@pytest.mark.parametrize(
    ("allowed", "origin"),
    [(True, None), (True, "own"), (True, "https://play.example"), (False, "https://evil.example")],
)
async def test_origins_of_websockets(allowed: bool, origin: str | None) -> None:
    """A page of a foreign origin is refused with 403 at the handshake."""
    async with listening(allowed_origins=("https://play.example",)) as (listener, _):
        if origin == "own":
            origin = f"http://127.0.0.1:{listener.port}"
        opening = connect(address(listener), origin=origin, proxy=None)  # type: ignore[arg-type]  # Origin is a NewType
        if allowed:
            async with opening as socket:
                await socket.ping()
        else:
            with pytest.raises(websockets.InvalidStatus) as refused:
                await opening
            assert refused.value.response.status_code == 403


async def test_bad_handshake_frees_its_place() -> None:
    """An upgrade that is no proper handshake is refused, and its place is free again."""
    async with listening() as (listener, _):
        reader, writer = await asyncio.open_connection("127.0.0.1", listener.port)
        writer.write(UPGRADE.replace(b"Version: 13", b"Version: 7"))
        async with asyncio.timeout(LIMIT_S):
            answer = await reader.read()
        assert answer.startswith(b"HTTP/1.1 426 ")
        writer.close()
        await until(lambda: listener.counts.total == 0)


MARK = b"q9Zz"
REFUSED_HANDSHAKES = {
    "version 8": (426, UPGRADE.replace(b"Version: 13", b"Version: 8")),
    "a version that is none": (426, UPGRADE.replace(b"Version: 13", b"Version: " + MARK)),
    "no version": (400, UPGRADE.replace(b"Sec-WebSocket-Version: 13\r\n", b"")),
    "a key that is no base64": (400, UPGRADE.replace(b"dGhl", b"*" + MARK)),
    "a key of 12 bytes": (400, UPGRADE.replace(b"dGhlIHNhbXBsZSBub25jZQ==", MARK * 4)),
    "no key": (400, UPGRADE.replace(b"Sec-WebSocket-Key", b"X-Key")),
    "two keys": (400, UPGRADE.replace(b"Sec-WebSocket-V", b"Sec-WebSocket-Key: q9Zz\r\nSec-WebSocket-V")),
    "no upgrade in Connection": (426, UPGRADE.replace(b"Connection: Upgrade", b"Connection: " + MARK)),
    "no token in Connection": (400, UPGRADE.replace(b"Connection: Upgrade", b'Connection: Upgrade, "q9Zz')),
    "two protocols": (426, UPGRADE.replace(b"Upgrade: websocket", b"Upgrade: websocket, " + MARK)),
    "a foreign origin": (403, UPGRADE.replace(b"Host: h", b"Host: h\r\nOrigin: https://" + MARK)),
    "HTTP/1.0": (505, UPGRADE.replace(b"HTTP/1.1", b"HTTP/1.0")),
    "no upgrade at all": (426, UPGRADE.replace(b"Upgrade: websocket", b"X: q9Zz")),
}


@pytest.mark.parametrize(("status", "request_"), REFUSED_HANDSHAKES.values(), ids=REFUSED_HANDSHAKES)
async def test_a_refused_handshake_is_answered_like_everything_else(status: int, request_: bytes) -> None:
    """It says which version is spoken, carries its route's headers, and repeats nothing of the client."""
    async with listening(allowed_origins=("https://play.example",)) as (listener, _):
        reader, writer = await asyncio.open_connection("127.0.0.1", listener.port)
        page = b"Host: h" if b"Origin:" in request_ else b"Host: h\r\nOrigin: https://play.example"
        writer.write(
            request_.replace(b"Host: h", page).replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")
        )
        async with asyncio.timeout(LIMIT_S):
            head, _, body = (await reader.read()).partition(b"\r\n\r\n")
        writer.close()
        assert head.startswith(b"HTTP/1.1 %d " % status)
        assert set(orjson.loads(body)) == {"status", "message"}
        assert MARK not in head + body
        headers = dict(line.split(b": ", 1) for line in head.split(b"\r\n")[1:])
        assert headers[b"X-Content-Type-Options"] == b"nosniff"
        assert headers[b"Vary"] == b"Origin"
        if status != 403:
            assert headers[b"Access-Control-Allow-Origin"] == b"https://play.example"
        if b"Version" in request_ and b"Version: 13" not in request_:
            assert headers[b"Sec-WebSocket-Version"] == b"13"


@pytest.mark.parametrize("limits", [PortLimits(max_connections=2), PortLimits(max_connections_per_ip=2)])
async def test_limits(limits: PortLimits) -> None:
    """Past a limit HTTP gets 503, a WebSocket 1013; when somebody leaves there is room again."""
    async with listening(limits=limits) as (listener, _):
        first = await connect(address(listener), proxy=None)
        second = await connect(address(listener), proxy=None)
        for _ in range(3):
            async with connect(address(listener), proxy=None) as third:
                with pytest.raises(websockets.ConnectionClosedError) as closed:
                    await third.recv()
                assert closed.value.rcvd is not None
                assert closed.value.rcvd.code == 1013
        async with client(listener) as http:
            response = await http.get("/healthz")
            assert (
                response.status_code,
                response.json(),
            ) == (503, {"status": 6, "message": "service unavailable"})
            assert int(response.headers["retry-after"]) > 0
        assert listener.counts.refused == 4
        await first.close()
        await until(lambda: listener.counts.total == 1)
        async with client(listener) as http:
            assert (await http.get("/healthz")).status_code == 200
        await second.close()
        await until(lambda: listener.counts.total + listener.counts.turning_away == 0)


async def test_refusing_has_a_limit_too() -> None:
    """Those who are being refused don't pile up: past their number sockets are just closed."""
    async with listening(limits=PortLimits(max_connections=1)) as (listener, _):
        held = [await asyncio.open_connection("127.0.0.1", listener.port) for _ in range(33)]
        await until(lambda: listener.counts.turning_away == 32)
        reader, writer = await asyncio.open_connection("127.0.0.1", listener.port)
        async with asyncio.timeout(LIMIT_S):
            (end,) = await asyncio.gather(reader.read(), return_exceptions=True)
        assert end == b"" or isinstance(end, ConnectionResetError)
        assert listener.counts.turning_away == 32
        for _, other in [*held, (reader, writer)]:
            other.close()
        await until(lambda: listener.counts.total + listener.counts.turning_away == 0)


async def test_limit_behind_a_proxy() -> None:
    """Behind a trusted proxy a limit for an address counts the players there, not the proxy."""
    limits = PortLimits(max_connections_per_ip=1, trusted_proxies=(ipaddress.ip_network("127.0.0.0/8"),))
    async with listening(limits=limits) as (listener, _):

        def from_(player: str) -> connect:
            return connect(address(listener), additional_headers={"X-Forwarded-For": player}, proxy=None)

        async with from_("192.0.2.1"), from_("192.0.2.2"):
            assert listener.counts.by_address == {"192.0.2.1": 1, "192.0.2.2": 1}
            async with from_("192.0.2.1") as third:
                with pytest.raises(websockets.ConnectionClosedError) as closed:
                    await third.recv()
                assert closed.value.rcvd is not None
                assert closed.value.rcvd.code == 1013
            async with client(listener) as http:
                assert (await http.get("/healthz")).status_code == 200
        await until(lambda: listener.counts.by_address == {})


async def test_draining() -> None:
    """While draining nobody new is let in, what is under way is answered, WebSockets go on."""
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def slow(_request: HttpRequest) -> HttpResponse:
        begun.set()
        await go_on.wait()
        return json_response(200, {"status": 0})

    async with listening(Route("GET", "/slow", slow)) as (listener, _):
        port = listener.port
        async with client(listener) as http, connect(address(listener), proxy=None) as socket:
            under_way = asyncio.create_task(http.get("/slow"))
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(b"GET /healthz HTTP/1.1\r\nHost: h\r\n\r\n")
            async with asyncio.timeout(LIMIT_S):
                await reader.readuntil(b'{"status":"ok"}')
                await begun.wait()
            listener.stop_accepting()
            with pytest.raises(ConnectionRefusedError):
                await asyncio.open_connection("127.0.0.1", port)
            writer.write(UPGRADE)
            async with asyncio.timeout(LIMIT_S):
                assert (await reader.read()).startswith(b"HTTP/1.1 503 ")
            writer.close()
            await socket.send("still here")
            assert await socket.recv() == "still here"
            closing = asyncio.create_task(listener.close(LIMIT_S))
            await asyncio.sleep(0)
            go_on.set()
            response = await under_way
            assert (response.status_code, response.headers["connection"]) == (200, "close")
            await closing


async def test_close_cuts_off_what_takes_too_long() -> None:
    """The end does not wait for a handler without end."""
    begun, never = asyncio.Event(), asyncio.Event()

    async def endless(_request: HttpRequest) -> HttpResponse:
        begun.set()
        await never.wait()
        return json_response(200, {})

    async with listening(Route("GET", "/endless", endless)) as (listener, _), client(listener) as http:
        under_way = asyncio.create_task(http.get("/endless"))
        await begun.wait()
        await listener.close(0.05)
        with pytest.raises(httpx.TransportError):
            await under_way
        never.set()


async def test_shared_port() -> None:
    """Two processes may listen on one port; one alone refuses to share."""
    async with listening() as (listener, _):
        with pytest.raises(OSError, match="in use"):
            await unstarted(listener).start("127.0.0.1", listener.port)
    first = unstarted(listener)
    second = unstarted(listener)
    await first.start("127.0.0.1", 0, shared=True)
    await second.start("127.0.0.1", first.port, shared=True)
    await first.close(1)
    await second.close(1)


async def test_dribblers_do_not_hold_others_up() -> None:
    """A hundred half-sent requests are cut off in time while others are served at once."""
    limits = HttpLimits(request_s=5, idle_s=1, linger_s=0.1)
    async with listening(http_limits=limits) as (listener, _), client(listener) as http:
        dribblers = []
        for _number in range(100):
            reader, writer = await asyncio.open_connection("127.0.0.1", listener.port)
            writer.write(b"POST /healthz HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nab")
            dribblers.append((reader, writer))
        held = dribblers[-1][0]
        assert (await http.get("/healthz")).status_code == 200
        assert not held.at_eof(), "the others were answered only when they had been cut off"
        async with asyncio.timeout(LIMIT_S):
            answers = await asyncio.gather(*(reader.read() for reader, _ in dribblers))
        assert all(answer.startswith(b"HTTP/1.1 408 ") for answer in answers)
        for _, writer in dribblers:
            writer.close()
        await until(lambda: listener.counts.total == 0)
