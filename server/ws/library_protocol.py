"""Everything but plain text frames: fragments, pings, closes, and frames against RFC 6455.

The judgement is `websockets`' own; what its asyncio API adds to it (text is UTF-8, messages have a bounded
number of fragments) is added here. Pure: bytes go in, messages and bytes come out.

The one place that uses names which `websockets` does not document: `current_size` (None unless a fragmented
message has begun), `close_sent` and `close_rcvd`. Its public `close_code` is the peer's alone, and there is
no public word for a message that has begun. `tests/unit/test_library_protocol.py` fails when a new version
changes them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from websockets.frames import Frame, Opcode
from websockets.protocol import State
from websockets.server import ServerProtocol

from server.protocol.close_codes import CloseCode
from server.ws.frames import MAX_REASON_BYTES, is_utf8
from server.ws.handshake import LOGGER

if TYPE_CHECKING:
    from server.ws.limits import ConnectionLimits


class LibraryProtocol:
    """A connection after its handshake, from the first frame that is not plain until it is `idle` again.

    `messages` are the complete messages of the last `receive`, each with whether it is binary; `controls`
    counts its pings and pongs. Pings are answered, also within a fragmented message. `ended`: the end of the
    stream was said; nothing that the peer sends matters any more.
    """

    __slots__ = ("_fragments", "_limits", "_protocol", "binary", "controls", "ended", "messages")

    def __init__(self, limits: ConnectionLimits) -> None:
        self._limits = limits
        max_bytes = limits.max_message_bytes
        self._protocol = ServerProtocol(state=State.OPEN, max_size=max_bytes, logger=LOGGER)
        self._fragments: list[bytes] = []
        self.binary = False
        self.controls = 0
        self.ended = False
        self.messages: list[tuple[bytes, bool]] = []

    @property
    def idle(self) -> bool:
        """Whether nothing is pending, so that this object can be forgotten; asked between whole frames."""
        return self._protocol.current_size is None and self._protocol.state is State.OPEN

    @property
    def close_code(self) -> int:
        """The code that ended the connection, ours if we closed it; 0 while it is open."""
        if self._protocol.state is State.OPEN:
            return 0
        close = self._protocol.close_sent or self._protocol.close_rcvd
        return close.code if close is not None else CloseCode.ABNORMAL

    def receive(self, data: bytearray) -> None:
        """Judge whole frames; anything is taken, and all but a close is ignored, once `close_code` is set."""
        self.messages = []
        self.controls = 0
        protocol = self._protocol
        if data[0] & 0x0F == Opcode.CLOSE:
            # A close may come within a fragmented message (RFC 6455, 5.4), which the library refuses.
            protocol.current_size = None
        protocol.receive_data(data)
        for frame in protocol.events_received():
            if not isinstance(frame, Frame):
                continue
            if frame.opcode in (Opcode.PING, Opcode.PONG):
                self.controls += 1
            elif frame.opcode is not Opcode.CLOSE and not self.close_code:
                self._collect(frame)

    def close(self, code: int, reason: str) -> None:
        """Begin the closing handshake; a reason is cut at 123 bytes."""
        self._protocol.send_close(code, reason.encode()[:MAX_REASON_BYTES].decode(errors="ignore"))

    def fail(self, code: int, reason: str) -> None:
        """End the connection without waiting for the peer's close; what arrives from now on is discarded."""
        self._protocol.fail(code, reason)

    def output(self) -> list[bytes]:
        """Take the bytes to write; an empty piece stands for the end of the stream."""
        pieces = self._protocol.data_to_send()
        self.ended = self.ended or b"" in pieces
        return pieces

    def _collect(self, frame: Frame) -> None:
        fragments = self._fragments
        if not fragments:
            self.binary = frame.opcode is Opcode.BINARY
        fragments.append(bytes(frame.data))
        if self.binary and not self._limits.allow_binary:
            self.fail(CloseCode.BINARY, "text messages only")
        elif len(fragments) > self._limits.max_fragments:
            self.fail(CloseCode.POLICY, "too many fragments")
        elif frame.fin:
            self._fragments = []
            payload = b"".join(fragments)
            if self.binary or is_utf8(payload):
                self.messages.append((payload, self.binary))
            else:
                self.fail(CloseCode.NOT_UTF8, "text is not UTF-8")
