"""The other end of a connection in tests: a real socket, frames built and read byte by byte."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from websockets.datastructures import Headers
from websockets.frames import Close, Frame, Opcode
from websockets.http11 import Request
from websockets.speedups import apply_mask

from runtime.turns import Turns
from server.ws.connection import Connection
from server.ws.limits import ConnectionLimits
from server.ws.sweeper import Sweeper
from tests.support.limits import LIMIT_S

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence


MASK = b"\x37\xfa\x21\x3d"

HEADERS = {
    "Host": "localhost",
    "Upgrade": "websocket",
    "Connection": "Upgrade",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
    "Sec-WebSocket-Version": "13",
}


def upgrade_request(**more: str) -> Request:
    """Build the request of a handshake, with `more` headers (`_` for `-`)."""
    return Request(
        "/ws", Headers({**HEADERS, **{name.replace("_", "-"): value for name, value in more.items()}})
    )


def masked(opcode: int, payload: bytes, *, fin: bool = True) -> bytes:
    """Frame a payload as a client does, with the same mask each time, so that a failure can be repeated."""
    head = bytes((opcode | (0x80 if fin else 0),))
    if len(payload) < 126:
        head += bytes((0x80 | len(payload),))
    elif len(payload) < 65_536:
        head += b"\xfe" + len(payload).to_bytes(2, "big")
    else:
        head += b"\xff" + len(payload).to_bytes(8, "big")
    return head + MASK + apply_mask(payload, MASK)


def text(payload: bytes, *, fin: bool = True) -> bytes:
    """Frame a text as a client does."""
    return masked(Opcode.TEXT, payload, fin=fin)


def more(payload: bytes, *, fin: bool = False) -> bytes:
    """Frame a continuation as a client does."""
    return masked(Opcode.CONT, payload, fin=fin)


def close_frame(code: int, reason: str = "") -> bytes:
    """Frame a close as a client does."""
    return masked(Opcode.CLOSE, Close(code, reason).serialize())


def raw_frame(first: int, payload: bytes = b"", *, masked: bool = True) -> bytes:
    """Frame a payload below 126 bytes behind any first byte, with a mask of zeros or none."""
    return bytes((first, len(payload) | (0x80 if masked else 0))) + (bytes(4) if masked else b"") + payload


@dataclass
class Recorder:
    """A receiver that keeps what it is given, and may do something with each message."""

    received: list[bytes] = field(default_factory=list)
    closed: list[Connection] = field(default_factory=list)
    gone: asyncio.Event = field(default_factory=asyncio.Event)
    on_message: Callable[[Connection, bytes], None] | None = None

    def message_received(self, connection: Connection, payload: bytes) -> None:
        """Keep the message."""
        self.received.append(payload)
        if self.on_message is not None:
            self.on_message(connection, payload)

    def connection_closed(self, connection: Connection) -> None:
        """Keep the connection that was closed."""
        self.closed.append(connection)
        self.gone.set()


@dataclass
class Peer:
    """A client's end of the socket, past the handshake, beside the server's end of it."""

    connection: Connection
    recorder: Recorder
    sweeper: Sweeper
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    def write(self, *pieces: bytes) -> None:
        """Send bytes in one piece."""
        self.writer.write(b"".join(pieces))

    async def frame(self) -> Frame:
        """Read the next frame."""
        async with asyncio.timeout(LIMIT_S):
            first, length = await self.reader.readexactly(2)
            if length == 126:
                length = int.from_bytes(await self.reader.readexactly(2), "big")
            elif length == 127:
                length = int.from_bytes(await self.reader.readexactly(8), "big")
            return Frame(Opcode(first & 0x0F), await self.reader.readexactly(length), bool(first & 0x80))

    async def texts(self, count: int) -> list[bytes]:
        """Read so many text messages."""
        frames = [await self.frame() for _ in range(count)]
        assert {frame.opcode for frame in frames} <= {Opcode.TEXT}
        return [bytes(frame.data) for frame in frames]

    async def close_code(self) -> int:
        """Read a close frame, which must be next; its code."""
        frame = await self.frame()
        assert frame.opcode is Opcode.CLOSE, frame
        return int(Close.parse(frame.data).code)

    async def ended(self) -> bytes:
        """Read whatever comes until the server's end is closed, and wait until the receiver knows."""
        async with asyncio.timeout(LIMIT_S):
            try:
                rest = await self.reader.read()
            except ConnectionError:
                rest = b""
            self.writer.close()
            await self.recorder.gone.wait()
        return rest

    async def settled(self) -> None:
        """Wait until the server has read everything sent so far: a ping is answered behind it."""
        self.write(raw_frame(0x89, b"settled"))
        while (frame := await self.frame()) != Frame(Opcode.PONG, b"settled"):
            assert frame.opcode in (Opcode.PONG, Opcode.TEXT), frame

    def advance(self, ticks: int) -> None:
        """Let the shared clock make so many ticks."""
        for _ in range(ticks):
            self.sweeper.advance()


@contextlib.asynccontextmanager
async def connected(
    limits: ConnectionLimits | None = None,
    on_message: Callable[[Connection, bytes], None] | None = None,
    *,
    trailing: bytes = b"",
    origins: Sequence[str] = (),
) -> AsyncIterator[Peer]:
    """Open a connection over a pair of sockets; its clock stands still until it is advanced."""
    loop = asyncio.get_running_loop()
    ours, theirs = socket.socketpair()
    # Small, so that a reader that does not read is noticed after kilobytes.
    ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 8192)
    transport, _ = await loop.connect_accepted_socket(asyncio.Protocol, ours)
    reader, writer = await asyncio.open_connection(sock=theirs, limit=2**24)
    sweeper = Sweeper()
    recorder = Recorder(on_message=on_message)
    connection = Connection.accept(
        transport,
        upgrade_request(),
        trailing,
        origins=origins,
        receiver=recorder,
        limits=limits or ConnectionLimits(),
        sweeper=sweeper,
        turns=Turns(loop),
    )
    assert connection is not None
    head = await reader.readuntil(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 101 "), head
    peer = Peer(connection, recorder, sweeper, reader, writer)
    try:
        yield peer
    finally:
        writer.close()
        connection.abort()
        async with asyncio.timeout(LIMIT_S):
            await recorder.gone.wait()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()
        assert recorder.closed == [connection], "told exactly once"
        recorder.closed.clear()
