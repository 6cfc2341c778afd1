"""Where a connection's bytes come from: straight from its socket, or from its transport.

The transport keeps everything else: it writes, it closes, and it finds out how a connection ended.
"""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING, Final

from runtime.direct_loop import DirectLoop
from server.transports import socket_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from runtime.direct_loop import DirectSelector

RECEIVED: Final = bytearray(64 * 1024)
"""One buffer for all connections: it is filled and read in the same breath."""
_BUFFERS: Final = (RECEIVED,)


class ByteSource:
    """Calls `on_received` with the number of bytes that lie in `RECEIVED`, as often as some come.

    Straight from the socket where the running loop can watch it (`DirectLoop`) and nothing is encrypted. At
    the end, or an error, the transport gets its socket back and reads on: it meets the end. (The kernel names
    an error once, so a reset looks to the transport like an end.)
    """

    __slots__ = ("_direct", "_fd", "_on_received", "_transport", "_watches")

    def __init__(self, transport: asyncio.Transport, on_received: Callable[[int], None]) -> None:
        self._transport = transport
        self._on_received: Callable[[int], None] | None = on_received
        self._direct: DirectSelector | None = None
        self._fd = -1
        self._watches = False

    def begin(self) -> None:
        """Take the reading over from the transport, which has read until now and has the protocol."""
        loop = asyncio.get_running_loop()
        fd = socket_of(self._transport)
        if isinstance(loop, DirectLoop) and fd >= 0 and not self._transport.is_closing():
            self._transport.pause_reading()
            self._direct, self._fd = loop.direct, fd
            self.resume()

    def pause(self) -> None:
        """Read nothing more until `resume`; may be repeated."""
        if self._direct is None:
            self._transport.pause_reading()
        elif self._watches:
            self._watches = False
            self._direct.unwatch(self._fd)

    def resume(self) -> None:
        """Read again; may be repeated."""
        if self._direct is None:
            self._transport.resume_reading()
        elif not self._watches:
            self._direct.watch(self._fd, self._readable)
            self._watches = True

    def end(self) -> None:
        """Read nothing more, ever: the connection is lost, or cut off. May be repeated."""
        self._release()
        self._on_received = None

    def _release(self) -> None:
        """Leave the socket to the transport."""
        if self._watches and self._direct is not None:
            self._direct.unwatch(self._fd)
        self._watches = False
        self._direct = None

    def _readable(self) -> None:
        """Read what is there. Hot."""
        try:
            received = os.readv(self._fd, _BUFFERS)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            received = 0
        on_received = self._on_received
        if not received or on_received is None:
            self._release()
            self._transport.resume_reading()
            return
        try:
            on_received(received)
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException as fault:  # noqa: BLE001 - as asyncio's transport does: a cancellation too
            self._transport.abort()
            asyncio.get_running_loop().call_exception_handler(
                {
                    "message": "Fatal error: what a connection received could not be taken.",
                    "exception": fault,
                    "transport": self._transport,
                }
            )
