"""A player on a blocking socket, who decides when it reads and sends whole bursts at once."""

from __future__ import annotations

import contextlib
import json
import socket
from typing import TYPE_CHECKING, Any

from tests.support.limits import LIMIT_S
from tests.support.ws_peer import text, upgrade_request

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.game_server import GameServer

TEXT, CLOSE = 0x81, 0x88


class RawPlayer:
    """One WebSocket. `receive_buffer_bytes` bounds what the kernel takes for a player who does not read."""

    def __init__(self, server: GameServer, token: str, receive_buffer_bytes: int | None = None) -> None:
        self.token = token
        self._socket = socket.socket()
        if receive_buffer_bytes is not None:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer_bytes)
        self._socket.settimeout(LIMIT_S)
        self._socket.connect(("127.0.0.1", server.port))
        self._socket.sendall(upgrade_request().serialize())
        self._received = b""
        while b"\r\n\r\n" not in self._received:
            self._receive()
        self._received = self._received.partition(b"\r\n\r\n")[2]

    def close(self) -> None:
        """Leave without a word; another thread that waits for the socket is woken."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()

    def request(self, request_id: int, request_type: str, **data: object) -> bytes:
        """Frame a request."""
        message = {
            "message_type": "request",
            "request_id": str(request_id),
            "request_type": request_type,
            "data": {"token": self.token, **data},
        }
        return text(json.dumps(message).encode())

    def send(self, *frames: bytes) -> None:
        """Send frames at once; blocks while the server does not read."""
        self._socket.sendall(b"".join(frames))

    def send_what_fits(self, frames: bytes) -> None:
        """Send until the server has read nothing for a while."""
        self._socket.settimeout(1.0)
        with contextlib.suppress(TimeoutError, ConnectionError):
            self._socket.sendall(frames)
        self._socket.settimeout(LIMIT_S)

    def messages(self) -> Iterator[dict[str, Any]]:
        """Yield what arrives, for ever; raises ConnectionError at the end of the connection."""
        for first, payload in self._frames():
            if first == TEXT:
                yield json.loads(payload)

    def close_code(self) -> int:
        """Read to the close frame and return its code."""
        for first, payload in self._frames():
            if first == CLOSE:
                return int.from_bytes(payload[:2], "big")
        raise AssertionError("frames end only with an error")

    def _frames(self) -> Iterator[tuple[int, bytes]]:
        while True:
            head = self._take(2)
            length = head[1]
            if length == 126:
                length = int.from_bytes(self._take(2), "big")
            elif length == 127:
                length = int.from_bytes(self._take(8), "big")
            yield head[0], self._take(length)

    def _take(self, length: int) -> bytes:
        while len(self._received) < length:
            self._receive()
        taken, self._received = self._received[:length], self._received[length:]
        return taken

    def _receive(self) -> None:
        received = self._socket.recv(1 << 18)
        if not received:
            raise ConnectionError("the server closed the connection")
        self._received += received


@contextlib.contextmanager
def raw_player(
    server: GameServer, token: str, receive_buffer_bytes: int | None = None
) -> Iterator[RawPlayer]:
    """Connect until the block ends."""
    player = RawPlayer(server, token, receive_buffer_bytes)
    try:
        yield player
    finally:
        player.close()
