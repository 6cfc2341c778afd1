"""What one WebSocket connection sends: frames straight to its socket, or behind what waits before them.

A slow peer's frames wait in its transport, up to a limit. Frames that may wait a little for each other are
held and written as one. While a connection is quiet, its socket is lent to those who write to many.
"""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING, Final, TypeAlias

from server.protocol.close_codes import CloseCode
from server.transports import socket_of
from server.ws.frames import text_frame

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Iterable

    from server.ws.limits import ConnectionLimits

_MOST_HELD = 64
"""Messages that may wait for the next one: some 10 KB."""

ONE_MESSAGE: Final = 1 << 48
"""A message in the count of what was sent. The bytes below it end at 281 TB."""

Message: TypeAlias = "tuple[Outgoing, bytes, bytes]"
"""A connection, and what it is to be sent: the payload, and its frame."""

# What the connection that is being read has to say: written at once when its bytes are used up.
_OUTBOX: list[bytes] = []


def send_latest_to_each(messages: Iterable[Message]) -> None:
    """Send each of some connections its message, as `send_latest` does.

    The writes follow each other with nothing in between: what the kernel does for one is still at hand in the
    processor for the next. Hot, so written out.
    """
    write = os.write
    for connection, payload, frame in messages:
        direct_fd = connection.direct_fd
        if direct_fd < 0:
            connection.send_latest(payload, frame)
            continue
        connection.counted_out += ONE_MESSAGE + len(payload)
        try:
            written = write(direct_fd, frame)
        except OSError:
            written = 0
        if written < len(frame):
            connection.send_by_transport(frame[written:])


class _Written:
    """What a push looks at of a connection: in front of all else, in one piece of memory."""

    __slots__ = ("counted_out", "direct_fd")


class Outgoing(_Written):
    """The sending half of a connection. `closing` is true once nothing more is to be sent.

    `direct_fd` is the socket while nothing waits before it and the peer keeps up, so that a frame may be
    written straight to it; else -1, also while the socket is lent. `counted_out` has the messages and the
    bytes of their payloads in one number: that is one object in memory and not two. What was written while
    the socket is lent is in it once it is taken back.
    """

    __slots__ = (
        "_congested",
        "_held",
        "_held_fd",
        "_latest",
        "_lent_fd",
        "_limits",
        "_on_return",
        "_reading",
        "_transport",
        "closing",
    )

    def __init__(self, transport: asyncio.Transport, limits: ConnectionLimits) -> None:
        self._transport = transport
        self._limits = limits
        self._latest: bytes | None = None
        self._congested = self._reading = False
        self.direct_fd = -1
        # Frames that wait to be written as one, while the peer keeps up; every write goes behind them.
        self._held: list[bytes] | None = None
        self._held_fd = -1
        self._lent_fd = -1
        self._on_return: Callable[[], None] | None = None
        self.closing = False
        self.counted_out = 0

    @property
    def messages_out(self) -> int:
        """How many messages were sent."""
        return self.counted_out // ONE_MESSAGE

    @property
    def bytes_out(self) -> int:
        """How many bytes of payload."""
        return self.counted_out % ONE_MESSAGE

    @property
    def unsent_bytes(self) -> int:
        """How much was said that the peer's side has not taken yet."""
        return self._transport.get_write_buffer_size()

    def send(self, payload: bytes, frame: bytes = b"") -> None:
        """Send one text message, in its `frame` where that was made. Dropped when the connection is closing.

        What the peer does not read is kept up to the limit; past it the connection is closed with 4000.
        """
        if self.closing:
            return
        self.counted_out += ONE_MESSAGE + len(payload)
        frame = frame or text_frame(payload)
        if self.direct_fd < 0:
            self.send_by_transport(frame)
            return
        try:
            written = os.write(self.direct_fd, frame)
        except OSError:
            # Full or lost: the transport finds that too, and does what is to be done.
            written = 0
        if written < len(frame):
            self.send_by_transport(frame[written:])

    def hold(self, payload: bytes, frame: bytes) -> None:
        """Send a message together with the next that is sent, or at `send_held`: in order, as one write."""
        if self._congested or self._reading:
            self.send(payload, frame)
            return
        if self.closing:
            return
        self.counted_out += ONE_MESSAGE + len(payload)
        held = self._held
        if held is None:
            self._take_back()
            self._held = [frame]
            self._held_fd = self.direct_fd
            self.direct_fd = -1
        else:
            held.append(frame)
            if len(held) >= _MOST_HELD:
                self.send_held()

    def send_held(self) -> None:
        """Send what is held."""
        if self._held is not None:
            # Nothing was written since: what the transport held then, it may hold still, and no more.
            self.direct_fd = self._held_fd
            # They were counted when they came, and `send` counts one.
            self.counted_out -= ONE_MESSAGE
            self.send(b"", self._take_held())

    def send_latest(self, payload: bytes, frame: bytes = b"") -> None:
        """Send a message as `send` does; a newer one may replace it as long as the peer is slow to read."""
        if not self._congested:
            self.send(payload, frame)
        elif not self.closing:
            self._latest = payload

    # Lending the socket.

    def lend(self, on_return: Callable[[], None]) -> int:
        """Let somebody else write whole frames to the socket, and return it; -1 where frames would wait.

        `on_return` is called before anything else is written, or the connection closes: behind that the
        socket must not be written to. `counted_out` has to have what was sent by then.
        """
        fd = self.direct_fd
        if fd >= 0:
            self.direct_fd, self._lent_fd, self._on_return = -1, fd, on_return
        return fd

    def get_back(self) -> None:
        """Take the socket from somebody who needs it no more; `on_return` is not called."""
        fd, self._lent_fd, self._on_return = self._lent_fd, -1, None
        if not self._reading:
            self.direct_fd = fd

    def _take_back(self) -> None:
        on_return, self._lent_fd, self._on_return = self._on_return, -1, None
        if on_return is not None:
            on_return()

    def send_control(self, frame: bytes) -> None:
        """Send a frame that is no message: straight to the socket, lent or not, where nothing waits."""
        written = 0
        fd = max(self.direct_fd, self._lent_fd)
        if fd >= 0:
            with contextlib.suppress(OSError):
                written = os.write(fd, frame)
        if written < len(frame):
            self._write(frame[written:])

    def close(self, code: int, reason: str = "") -> None:
        """Begin to close; what was held leaves before that.

        The receiving half does it, which knows how a WebSocket ends: `server/ws/connection.py`.
        """
        raise NotImplementedError

    # What the transport calls.

    def pause_writing(self) -> None:
        """Note that the peer does not keep up."""
        self._congested = True

    def resume_writing(self) -> None:
        """Send the newest message that was held back."""
        self._congested = False
        if self._latest is not None:
            latest, self._latest = self._latest, None
            self.send(latest)

    # What the receiving half calls.

    def _begin_reading(self) -> None:
        """Collect what is said from now on, for one write."""
        self._reading = True
        self.direct_fd = -1

    def _end_reading(self) -> None:
        self._reading = False
        _OUTBOX.clear()

    def _drop_unsent(self) -> None:
        """Forget what was held back: the connection is closing, or gone."""
        self._use_transport()
        self._latest = self._held = None

    # Sending to a peer that does not keep up, and out of turn.

    def send_by_transport(self, frame: bytes) -> None:
        """Send a frame behind what waits; once nothing does, the next may go straight to the socket."""
        self._use_transport()
        if self._held is not None:
            frame = self._take_held() + frame
        if self._congested:
            self._send_congested(frame)
        elif self._reading:
            _OUTBOX.append(frame)
        else:
            transport = self._transport
            transport.write(frame)
            if not transport.is_closing() and not transport.get_write_buffer_size():
                self.direct_fd = socket_of(transport)

    def _send_congested(self, frame: bytes) -> None:
        """Queue a frame behind messages that were held back, which are older."""
        if self._latest is not None:
            latest, self._latest = self._latest, None
            self.counted_out += ONE_MESSAGE + len(latest)
            frame = text_frame(latest) + frame
        self._write(frame)

    def _write(self, data: bytes) -> None:
        """Write behind everything said before; close with 4000 when the peer leaves too much unread."""
        self._use_transport()
        self._flush()
        self._transport.write(data)
        self._check_unsent()

    def _use_transport(self) -> None:
        """Write nothing straight to the socket from now on."""
        self._take_back()
        self.direct_fd = -1

    def _take_held(self) -> bytes:
        held, self._held = self._held or (), None
        return b"".join(held)

    def _flush(self) -> None:
        """Write what is held, then what this connection said while it was being read."""
        if self._held is not None:
            self._transport.write(self._take_held())
        if self._reading and _OUTBOX:
            data = b"".join(_OUTBOX)
            _OUTBOX.clear()
            self._transport.write(data)

    def _check_unsent(self) -> None:
        if self._congested and self.unsent_bytes > self._limits.max_unsent_bytes:
            self.close(CloseCode.SLOW_READER, "reads too slowly")
