"""One WebSocket connection: bytes in, whole text messages out, and back.

An unfragmented text frame, which is what every client sends, is read and written by hand; whatever else
arrives is judged by `websockets`, whose protocol object lives only as long as it is needed.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from typing import TYPE_CHECKING, Protocol

from websockets.frames import Opcode
from websockets.speedups import apply_mask

from server.protocol.close_codes import CloseCode
from server.transports import release
from server.ws.byte_source import RECEIVED, ByteSource
from server.ws.frames import PING, PONG_FINAL, TEXT_FINAL, frame_span, is_utf8
from server.ws.handshake import answer_upgrade
from server.ws.library_protocol import LibraryProtocol
from server.ws.outgoing import Outgoing

if TYPE_CHECKING:
    from collections.abc import Sequence

    from websockets.http11 import Request

    from runtime.turns import Turns
    from server.ws.limits import ConnectionLimits
    from server.ws.sweeper import Sweeper

# Two hundred connections that send all they can at one moment must not fill a pass.
_TAKEN_AT_ONCE = 4
_TAKEN_IN_A_TURN = 16
_JUDGED_IN_A_TURN = 8
_PASSED_OVER_IN_A_TURN = 256


class Receiver(Protocol):
    """Takes what a connection receives."""

    def message_received(self, connection: Connection, payload: bytes) -> None:
        """Take one complete message; text is valid UTF-8. Called within the read callback: don't block."""

    def connection_closed(self, connection: Connection) -> None:
        """Learn that the connection is gone. Called exactly once; nothing is received after it."""


class Connection(Outgoing, asyncio.BufferedProtocol):
    """A WebSocket connection after its handshake, as the protocol of its asyncio transport.

    `state` is the receiver's own. The totals count complete messages and their payload bytes. `close_code`
    is 0 while the connection is open, then the code sent, else the one received, else 1006. `closing` stays
    true once either side began to close. `binary` is the kind of the message being received.
    """

    __slots__ = (
        "_awaits_turn",
        "_controls",
        "_controls_tick",
        "_judgeable",
        "_kept",
        "_library",
        "_next_ping_tick",
        "_paused",
        "_receiver",
        "_source",
        "_sweeper",
        "_turns",
        "binary",
        "bytes_in",
        "close_code",
        "due_tick",
        "heard_tick",
        "messages_in",
        "state",
    )

    def __init__(
        self,
        transport: asyncio.Transport,
        receiver: Receiver,
        limits: ConnectionLimits,
        sweeper: Sweeper,
        turns: Turns,
    ) -> None:
        super().__init__(transport, limits)
        self._receiver = receiver
        self._source = ByteSource(transport, self.buffer_updated)
        self._sweeper = sweeper
        self._turns = turns
        self._library: LibraryProtocol | None = None
        self._kept: bytearray | None = None
        self._paused = self._awaits_turn = False
        self._judgeable = 0
        self._controls = self._controls_tick = 0
        self.state: object = None
        self.binary = False
        self.close_code = 0
        self.messages_in = self.bytes_in = 0
        self.due_tick = 0
        self.heard_tick = sweeper.tick
        # Uneven, so that players who reconnected together are not pinged together.
        first_ping_s = limits.ping_interval_s * random.uniform(0.5, 1)  # noqa: S311 - spreads load, no secret
        self._next_ping_tick = sweeper.tick + sweeper.ticks(first_ping_s)

    @classmethod
    def accept(
        cls,
        transport: asyncio.Transport,
        request: Request,
        trailing: bytes,
        *,
        origins: Sequence[str] | None,
        receiver: Receiver,
        limits: ConnectionLimits,
        sweeper: Sweeper,
        turns: Turns,
    ) -> Connection | None:
        """Answer the request of an upgrade and take the transport over.

        `origins` as in `answer_upgrade`. `trailing` is what came behind the request: it is received in a
        later callback. None means that the upgrade was refused: the answer is written, the transport closing.
        """
        response, accepted = answer_upgrade(request, origins)
        transport.write(response)
        if not accepted:
            transport.close()
            return None
        connection = cls(transport, receiver, limits, sweeper, turns)
        transport.set_write_buffer_limits(high=limits.high_water_bytes)
        transport.set_protocol(connection)
        connection._source.begin()
        sweeper.schedule(connection, 1)
        if trailing:
            connection._kept = bytearray(trailing)
            asyncio.get_running_loop().call_soon(connection._receive_kept)
        return connection

    @property
    def open(self) -> bool:
        """Whether messages can be sent and received."""
        return not self.closing

    def close(self, code: int, reason: str = "") -> None:
        """Say goodbye with `code`; the socket is closed when the peer has answered, or at the time-out.

        A reason is cut at 123 bytes. Does nothing when the connection is already closing.
        """
        if not self.closing:
            judge = self._library or LibraryProtocol(self._limits)
            judge.close(code, reason)
            self._settle(judge)

    def abort(self) -> None:
        """Cut the connection off: nothing more is received, unsent bytes are dropped."""
        self._begin_closing()
        self._source.end()
        self._transport.abort()

    def pause_reading(self) -> None:
        """Receive nothing more until `resume_reading`, not even messages that have already arrived."""
        if not self._paused and not self.closing:
            self._paused = True
            self._source.pause()

    def resume_reading(self) -> None:
        """Receive again, in a later callback than this one."""
        if self._paused:
            self._paused = False
            self.heard_tick = self._sweeper.tick
            asyncio.get_running_loop().call_soon(self._receive_kept)

    # What the transport and the sweeper call.

    def get_buffer(self, sizehint: int) -> bytearray:  # noqa: ARG002 - the transport's signature
        """Say where what arrives by the transport is to be put."""
        return RECEIVED

    def buffer_updated(self, nbytes: int) -> None:
        """Read what arrived: one whole text frame, as nearly always, or anything else."""
        self.heard_tick = self._sweeper.tick
        data = RECEIVED
        kind = data[0]
        if kind == TEXT_FINAL and nbytes > 5 and self._kept is None and self._library is None:  # noqa: PLR2004
            length, body = data[1] - 0x80, 6
            if length == 126:  # noqa: PLR2004 - RFC 6455, 5.2
                length, body = data[2] << 8 | data[3], 8
            elif length == 127:  # noqa: PLR2004 - RFC 6455, 5.2
                length = nbytes
            if body + length == nbytes and length <= self._limits.max_message_bytes:
                payload = apply_mask(data[body:nbytes], data[body - 4 : body])
                if payload.isascii() or is_utf8(payload):
                    self.messages_in += 1
                    self.bytes_in += length
                    self._receiver.message_received(self, payload)
                    return
        elif kind == PONG_FINAL and self._is_first_pong(data, nbytes):
            return
        self._receive(data, nbytes)

    def eof_received(self) -> None:
        """Let the transport close: no message can come any more, and nobody waits for answers."""
        self._begin_closing()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - any reason is the same to us
        """Tell the receiver and let go of everything."""
        self._begin_closing()
        self._source.end()
        self._sweeper.cancel(self)
        self._library = None
        self._kept = None
        self._receiver.connection_closed(self)
        release(self._transport)

    def swept(self) -> None:
        """Do the work that is due: cut off a close that takes too long or a silent peer, or send a ping."""
        sweeper, tick = self._sweeper, self._sweeper.tick
        if self._paused:
            self.heard_tick = tick
        silence_tick = self.heard_tick + sweeper.ticks(self._limits.silence_s)
        if self.closing or tick >= silence_tick:
            self.abort()
            return
        if tick >= self._next_ping_tick:
            self._next_ping_tick = tick + sweeper.ticks(self._limits.ping_interval_s)
            self.send_control(PING)
        if not self.closing:
            sweeper.schedule(self, min(self._next_ping_tick, silence_tick) - tick)

    # Receiving what is not one whole text frame.

    def _is_first_pong(self, data: bytearray, stop: int) -> bool:
        """Take one whole pong, the first control frame of its tick: the answer to a ping."""
        is_whole = stop == data[1] - 0x80 + 6 and stop < 6 + 126
        if not is_whole or self._kept is not None or self._library is not None:
            return False
        if self._controls_tick == self._sweeper.tick:
            return False
        self._controls_tick = self._sweeper.tick
        self._controls = 1
        return True

    def _receive_kept(self) -> None:
        """Read bytes left by a pause, or that came behind the request of the upgrade; then what comes."""
        if self._kept is not None and not self._paused and not self._awaits_turn:
            kept, self._kept = self._kept, None
            self._receive(kept, len(kept))
        if not self._paused and not self._awaits_turn:
            self._source.resume()

    def _wait_for_turn(self) -> None:
        """Read on in a turn: what comes in a crowd, or is judged by the library at a multiple of the cost."""
        if not self._awaits_turn:
            self._awaits_turn = True
            self._source.pause()
            self._turns.add(self._take_turn)

    def _take_turn(self) -> None:
        self._awaits_turn = False
        self._judgeable = _JUDGED_IN_A_TURN
        self._receive_kept()
        self._judgeable = 0

    def _receive(self, data: bytearray, stop: int) -> None:
        """Read frame by frame what follows `_kept`, and write the answers at once."""
        if self._kept is not None:
            kept, self._kept = self._kept, None
            kept += data[:stop]
            data, stop = kept, len(kept)
        self._begin_reading()
        try:
            start = self._receive_frames(data, stop)
            self._flush()
        finally:
            self._end_reading()
        if start < stop:
            self._kept = data if start == 0 and data is not RECEIVED else data[start:stop]

    def _receive_frames(self, data: bytearray, stop: int) -> int:
        """Take every whole frame until reading pauses or must wait for a turn; say where it stopped."""
        start = 0
        takeable = _TAKEN_IN_A_TURN if self._judgeable else _TAKEN_AT_ONCE
        while start < stop and not self._paused:
            if self.closing:
                return self._receive_closing(data, start, stop)
            body, end = frame_span(data, start, stop)
            if not body:
                break
            is_hopeless = self._is_hopeless(data, start, end - body)
            if end > stop and not is_hopeless:
                break
            if data[start] == TEXT_FINAL and self._library is None and not is_hopeless:
                if not takeable:
                    self._wait_for_turn()
                    break
                payload = apply_mask(data[body:end], data[body - 4 : body])
                if is_utf8(payload):
                    takeable -= 1
                    start = end
                    self._take(payload)
                    continue
            if not self._judgeable:
                self._wait_for_turn()
                break
            self._judgeable -= 1
            end = min(end, stop)
            self._consult(data[start:end])
            start = end
        return start

    def _receive_closing(self, data: bytearray, start: int, stop: int) -> int:
        """Pass over frames until the peer's close, some in a turn; say where to go on."""
        if self._library is None or self._library.ended:
            return stop
        if not self._judgeable:
            self._wait_for_turn()
            return start
        self._judgeable = 0
        for _ in range(_PASSED_OVER_IN_A_TURN):
            body, end = frame_span(data, start, stop)
            if not body:
                return start
            is_hopeless = self._is_hopeless(data, start, end - body)
            if end > stop and not is_hopeless:
                return start
            if is_hopeless or data[start] & 0x0F == Opcode.CLOSE:
                self._consult(data[start : min(end, stop)])
                return stop
            start = end
        if start < stop:
            self._wait_for_turn()
        return start

    def _is_hopeless(self, data: bytearray, start: int, length: int) -> bool:
        """Whether a frame is too long, not masked or of no kind: what follows its header is dropped."""
        return length > self._limits.max_message_bytes or data[start + 1] < 0x80 or data[start] & 7 > 2  # noqa: PLR2004

    def _take(self, payload: bytes) -> None:
        self.messages_in += 1
        self.bytes_in += len(payload)
        self._receiver.message_received(self, payload)

    def _consult(self, data: bytearray) -> None:
        """Let the judge take one whole frame, or anything while closing, and act on it."""
        judge = self._library or LibraryProtocol(self._limits)
        judge.receive(data)
        if judge.controls and not self.closing:
            self._count_controls(judge)
        self._settle(judge)
        for payload, binary in judge.messages:
            if not self.closing:
                self.binary = binary
                self._take(payload)
                self.binary = False

    def _count_controls(self, judge: LibraryProtocol) -> None:
        tick = self._sweeper.tick
        if tick != self._controls_tick:
            self._controls_tick = tick
            self._controls = 0
        self._controls += judge.controls
        if self._controls > self._limits.max_controls_per_s * self._sweeper.tick_s:
            judge.fail(CloseCode.POLICY, "too many pings")

    # Closing.

    def _settle(self, judge: LibraryProtocol) -> None:
        """Write what the judge wants to say, forget it when it is idle, close when it has closed."""
        self._use_transport()
        self._flush()
        for data in judge.output():
            if not data:
                with contextlib.suppress(OSError):  # the peer may have reset the connection already
                    self._transport.write_eof()
            elif not self.closing:  # else the pongs for a peer that does not read would pile up
                self._transport.write(data)
        self._library = None if judge.idle else judge
        if not self.closing and not judge.close_code:
            self._check_unsent()
        elif not self.closing:
            self.close_code = judge.close_code
            self._begin_closing()
            if self._kept is not None:
                self._wait_for_turn()

    def _begin_closing(self) -> None:
        """Stop receiving messages and give the peer its time to answer."""
        if self.closing:
            return
        self.closing = True
        self._drop_unsent()
        self.close_code = self.close_code or CloseCode.ABNORMAL
        self._sweeper.schedule(self, self._sweeper.ticks(self._limits.close_timeout_s))
        if self._paused:
            self._paused = False
            self._source.resume()
