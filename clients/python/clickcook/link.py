"""One WebSocket to the server: opened, read and written in order until it ends."""

from __future__ import annotations

import asyncio
import json
from collections import deque
from typing import TYPE_CHECKING, Any, Final

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidURI

from .closing import BROKEN

if TYPE_CHECKING:
    from collections.abc import Callable

_MOST_BYTES: Final = 2**24
_CLOSE_WITHIN_S: Final = 1.0
_written: Final = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode
"""Made once: `json.dumps` makes an encoder for each text that it writes in this way."""


class Link:
    """A connection to `url`. It calls `on_opened` and `on_message`; `run` returns the close code."""

    def __init__(
        self, url: str, *, on_opened: Callable[[], None], on_message: Callable[[dict[str, Any]], None]
    ) -> None:
        self._url = url
        self._on_opened = on_opened
        self._on_message = on_message
        self._socket: ClientConnection | None = None
        self._outgoing: deque[dict[str, Any]] = deque()
        self._wake = asyncio.Event()
        self._closing = False

    def send(self, message: dict[str, Any]) -> None:
        """Have a message written after those that wait."""
        self._outgoing.append(message)
        self._wake.set()

    def close(self) -> None:
        """Have it closed with 1000, after what waits to be written."""
        self._closing = True
        self._wake.set()

    def abort(self) -> None:
        """Break it off without a word."""
        if self._socket is not None:
            self._socket.transport.abort()

    async def run(self) -> int:
        """Live through the connection; return its close code, 1006 where there was no close frame."""
        opening = connect(
            self._url,
            compression=None,
            max_size=_MOST_BYTES,
            close_timeout=_CLOSE_WITHIN_S,
            open_timeout=None,  # the core's own limit
            ping_interval=None,  # as above: it asks where it is quiet
        )
        try:
            async with opening as socket:
                self._socket = socket
                writing = asyncio.create_task(self._write(socket), name=f"writer to {self._url}")
                try:
                    self._on_opened()
                    await self._read(socket)
                finally:
                    writing.cancel()
                    await asyncio.wait([writing])
                if not writing.cancelled():
                    writing.result()
        except (OSError, EOFError, InvalidHandshake, InvalidURI, ConnectionClosed):
            return BROKEN
        return socket.close_code or BROKEN

    async def _read(self, socket: ClientConnection) -> None:
        try:
            while True:
                message = json.loads(await socket.recv())
                if isinstance(message, dict):
                    self._on_message(message)
        except ConnectionClosed:
            return
        except ValueError:
            socket.transport.abort()  # not JSON: whatever speaks there, it is no server of ours

    async def _write(self, socket: ClientConnection) -> None:
        try:
            while True:
                while self._outgoing:
                    await socket.send(_written(self._outgoing.popleft()))
                if self._closing:
                    await socket.close()
                    return
                self._wake.clear()
                await self._wake.wait()
        except ConnectionClosed:
            return
