"""A connection's sending half over a pair of sockets, and what its peer got."""

from __future__ import annotations

import contextlib
import socket
import weakref
from typing import TYPE_CHECKING, Any, cast

import orjson

from server.ws.frames import PING, frame_span
from server.ws.limits import ConnectionLimits
from server.ws.outgoing import Outgoing

if TYPE_CHECKING:
    import asyncio


class _Transport:
    """Writes at once what the peer has room for, and keeps the rest."""

    def __init__(self, own: socket.socket) -> None:
        self.own = own
        self._kept = b""

    def write(self, data: bytes) -> None:
        """Write behind what is kept."""
        self._kept += data
        self.go_on()

    def go_on(self) -> None:
        """Write what is kept, as far as there is room."""
        with contextlib.suppress(BlockingIOError):
            while self._kept:
                self._kept = self._kept[self.own.send(self._kept) :]

    def get_write_buffer_size(self) -> int:
        """How much is kept."""
        return len(self._kept)

    def is_closing(self) -> bool:
        """Never."""
        return False

    def get_extra_info(self, name: str) -> object:
        """Name the socket."""
        return self.own if name == "socket" else None


class Tab(Outgoing):
    """What a player's connection sends, and the peer at the other end."""

    def __init__(self) -> None:
        own, peer = socket.socketpair()
        own.setblocking(False)
        peer.setblocking(False)
        self._own_transport = _Transport(own)
        super().__init__(cast("asyncio.Transport", self._own_transport), ConnectionLimits())
        self._peer = peer
        self._arrived = bytearray()
        self.closing = False
        for each in (own, peer):
            weakref.finalize(self, each.close)

    def read(self) -> list[dict[str, Any]]:
        """Return the messages that came since the last time."""
        messages = []
        self._arrived += self.raw()
        start = 0
        while start < len(self._arrived):
            body, end = frame_span(self._arrived, start, len(self._arrived))
            if not body or end > len(self._arrived):
                break
            if end > body:
                messages.append(orjson.loads(self._arrived[body:end]))
            start = end
        del self._arrived[:start]
        return messages

    def ping(self) -> None:
        """Send a ping, as the sweeper has it."""
        self.send_control(PING)

    def drop(self) -> None:
        """Forget what waits, as where the connection begins to close."""
        self.closing = True
        self._drop_unsent()

    def fill(self) -> None:
        """Leave no room in the socket."""
        with contextlib.suppress(BlockingIOError):
            while True:
                self._own_transport.own.send(b"-" * 1000)

    @property
    def waiting_bytes(self) -> int:
        """How much waits to be read by the peer."""
        with contextlib.suppress(BlockingIOError):
            return len(self._peer.recv(1 << 20, socket.MSG_PEEK))
        return 0

    def raw(self) -> bytes:
        """Return the bytes that came, and those that can come now."""
        came = b""
        while True:
            self._own_transport.go_on()
            try:
                came += self._peer.recv(1 << 16)
            except BlockingIOError:
                return came

    def disturb(self) -> None:
        """Write by the transport next, as behind anything that does not go straight to the socket."""
        self._use_transport()

    @property
    def lent(self) -> bool:
        """Whether somebody else writes to the socket now."""
        return self._on_return is not None
