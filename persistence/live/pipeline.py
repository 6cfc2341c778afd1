"""One pipelined Redis connection: commands are written once per event-loop pass and answered in order.

RESP3 brings publications on the same connection, in the order in which Redis executed them among the replies.
Who opens the connection, and what is done with what it hears, `persistence.live.lane` says.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections import deque
from functools import partial
from itertools import repeat
from typing import TYPE_CHECKING, Final, cast

import hiredis
import structlog

from persistence.live.lane_contract import (
    LaneDown,
    LaneError,
    LaneFull,
    LaneLimits,
    LaneTotals,
    OnReply,
    Regardless,
    ReplyLost,
    pack,
)
from persistence.live.replica_barrier import ReplicaBarrier, hand
from persistence.live.subscription_confirmation import Confirmation, Unsubscription

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_log = structlog.get_logger(__name__)

NO_REPLY: Final = object()
STOPPED: Final = "stopped"
_BUFFER_BYTES: Final = 64 * 1024
_ASKING: Final = pack("ASKING")


class Pipeline(asyncio.BufferedProtocol, ABC):
    """Multiplexes the commands of everybody on one connection; a subclass connects and reads the news.

    `up`: everybody may send. `up` has been as it is since `since_s`, a time of the loop.
    """

    __slots__ = (
        "_barrier",
        "_before_writing",
        "_buffer",
        "_flush_scheduled",
        "_heard",
        "_holding",
        "_limits",
        "_loop",
        "_lost",
        "_max_pending",
        "_opening",
        "_outgoing",
        "_pending",
        "_reader",
        "_transport",
        "name",
        "since_s",
        "totals",
        "up",
    )

    def __init__(self, name: str, limits: LaneLimits | None = None) -> None:
        self.name = name
        self.up = False
        self.totals = LaneTotals()
        self._limits = limits or LaneLimits()
        self._max_pending = self._limits.max_pending
        self._loop = asyncio.get_running_loop()
        self.since_s = self._loop.time()
        self._transport: asyncio.Transport | None = None
        self._reader = hiredis.Reader(notEnoughData=NO_REPLY)
        # A plain protocol's transport allocates 256 KiB for each read: up to 17 µs in a fresh process.
        # A view, since asyncio's TLS fills slices of it: those of a bytearray would be copies.
        self._buffer = memoryview(bytearray(_BUFFER_BYTES))
        self._pending: deque[OnReply] = deque()
        self._outgoing: list[bytes] = []
        self._before_writing: list[Callable[[], None]] = []
        self._flush_scheduled = False
        self._opening = False
        self._lost = asyncio.Event()
        self._heard: set[bytes] = set()
        self._barrier = ReplicaBarrier(self._limits, self.totals) if self._limits.wait_replicas else None
        self._holding = False
        """Whether what comes is held until the barrier is passed: not while the connection opens."""

    # What the connection tells.

    @abstractmethod
    def published(self, channel: bytes, payload: bytes) -> None:
        """Take a publication."""

    @abstractmethod
    def subscribed(self, channel: bytes) -> None:
        """Take note that the server confirmed a subscription: what is published from now on is heard."""

    @abstractmethod
    def unsubscribed(self, channel: bytes) -> None:
        """Take note that the server ended a subscription that nobody asked to end (its slot moved)."""

    @abstractmethod
    def refused(self, channel: bytes) -> None:
        """Take note that the server refused a subscription: nothing is heard of the channel."""

    @abstractmethod
    def error_replied(self, error: hiredis.ReplyError) -> None:
        """Take note that the server replied an error, before its caller does."""

    @abstractmethod
    def broken(self) -> None:
        """Take note that the connection is gone and publications may be missed."""

    # What everybody sends.

    @property
    def depth(self) -> int:
        """How many commands wait for their replies."""
        return len(self._pending)

    def send(self, command: bytes, on_reply: OnReply) -> None:
        """Queue one packed command; `on_reply` is called exactly once, from the event loop.

        Raises LaneDown or LaneFull, and then `on_reply` is never called: nothing was sent.
        """
        if not self.up:
            raise LaneDown(self.name)
        if len(self._pending) >= self._max_pending:
            raise self._full()
        self._push(command, on_reply)

    def send_all(self, commands: Sequence[bytes], on_reply: OnReply, on_last: OnReply) -> None:
        """Queue packed commands, at least one, all or none.

        `on_reply` is called once for each, in their order, and `on_last` for the last. Raises LaneDown or
        LaneFull as `send` does.
        """
        if not self.up:
            raise LaneDown(self.name)
        if len(self._pending) + len(commands) > self._max_pending:
            raise self._full()
        self._pending.extend(repeat(on_reply, len(commands) - 1))
        self._pending.append(on_last)
        self._outgoing += commands
        if not self._flush_scheduled:
            self._schedule_flush()

    def before_writing(self, send: Callable[[], None]) -> None:
        """Call `send` once, before the commands of this pass are written: it sends the last of them.

        Raises LaneDown or LaneFull as `send` does, and then it is never called. It is called also where the
        connection is lost by then.
        """
        if not self.up:
            raise LaneDown(self.name)
        if len(self._pending) >= self._max_pending:
            raise self._full()
        self._before_writing.append(send)
        if not self._flush_scheduled:
            self._schedule_flush()

    def send_asking(self, command: bytes, on_reply: OnReply) -> None:
        """Send a command for a slot that is on its way here, as `send` does; its old master said ASK."""
        self.send(_ASKING, _asked)
        self._push(command, on_reply)

    async def call(self, *words: bytes | str | float) -> object:
        """Send one command and wait for its reply.

        Raises LaneError as `send` does, or hiredis.ReplyError as Redis answered. Cancelling the wait leaves
        the command on its way: it may have happened, and its reply goes to nobody.
        """
        future: asyncio.Future[object] = self._loop.create_future()

        def settle(reply: object) -> None:
            if future.done():
                return
            if isinstance(reply, Exception):
                future.set_exception(reply)
            else:
                future.set_result(reply)

        if not (self.up or self._opening):
            raise LaneDown(self.name)
        if len(self._pending) >= self._max_pending:
            raise self._full()
        self._push(pack(*words), settle)
        return await future

    def send_first(self, command: bytes, on_reply: OnReply) -> None:
        """Send a command whatever waits, and also before everybody may send; replicas are not waited for.

        Without a connection nothing is sent, and `on_reply` never called.
        """
        if self.up or self._opening:
            self._push(command, Regardless(on_reply))

    def subscribe(self, channel: bytes) -> None:
        """Subscribe to a sharded channel before any command queued after this call."""
        if self.up or self._opening:
            # Bounded by the channels themselves: one that was left out would be missed for good.
            self._push(pack("SSUBSCRIBE", channel), Confirmation(channel, self.refused))

    def unsubscribe(self, channel: bytes) -> None:
        """End the subscription to a sharded channel."""
        if self.up or self._opening:
            self._push(Unsubscription.command(channel), Unsubscription(channel))

    def hears(self, channel: bytes) -> bool:
        """Say whether Redis has confirmed the subscription to a channel and not ended it since.

        Ask behind a reply to a command that was queued after `subscribe`: Redis has answered both by then.
        """
        return channel in self._heard

    def behind(self, on_executed: Callable[[bool], None]) -> None:
        """Call back once: True when Redis has executed everything queued so far, False where nobody can say.

        Like subscriptions it has a place whatever waits.
        """
        transport = self._transport

        def take(_reply: object) -> None:
            # An error, and too few replicas, are replies as well: it was executed in its turn.
            on_executed(self._transport is transport)

        if self.up or self._opening:
            self._push(pack("PING"), take)
        else:
            on_executed(False)

    def _full(self) -> LaneFull:
        self.totals.refused_full += 1
        return LaneFull(self.name)

    def _push(self, command: bytes, on_reply: OnReply) -> None:
        self._pending.append(on_reply)
        self._outgoing.append(command)
        if not self._flush_scheduled:
            self._schedule_flush()

    def _schedule_flush(self) -> None:
        self._flush_scheduled = True
        self._loop.call_soon(self._flush)

    def _flush(self) -> None:
        if self._before_writing:
            before, self._before_writing = self._before_writing, []
            for send in before:
                try:
                    send()
                except Exception:  # noqa: BLE001 - the others' commands are written all the same
                    _log.exception("lane_hook_failed", lane=self.name)
        self._flush_scheduled = False
        if self._transport is None or not self._outgoing:
            return
        if self._barrier is not None and self._holding:
            self._pending.append(self._barrier)
            self._outgoing.append(self._barrier.command)
        self.totals.sent += len(self._outgoing)
        self.totals.batches += 1
        data = b"".join(self._outgoing)
        self._outgoing.clear()
        self._transport.write(data)

    def get_buffer(self, sizehint: int) -> memoryview:  # noqa: ARG002 - the transport's signature
        """Say where what arrives is to be put."""
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        """Hand each parsed reply to the command that waits longest, each push to the subscriber."""
        reader = self._reader
        pending = self._pending
        # hiredis takes any buffer; its stub knows bytes alone.
        reader.feed(self._buffer, 0, nbytes)  # type: ignore[arg-type]
        gets = reader.gets
        replies = 0
        while True:
            try:
                reply = gets()
            except hiredis.ProtocolError as error:
                self._break(f"protocol error: {error}")
                return
            if reply is NO_REPLY:
                break
            if reply.__class__ is hiredis.PushNotification:
                self._take_push(reply)
                continue
            if not pending:
                self._break("a reply that nobody waits for")
                return
            replies += 1
            on_reply = pending.popleft()
            if reply.__class__ is hiredis.ReplyError and self._expects_more(on_reply, reply):
                continue
            if self._barrier is not None and self._holding and on_reply is not self._barrier:
                self._barrier.hold(on_reply, reply)
                continue
            try:
                on_reply(reply)
            except Exception:  # noqa: BLE001 - one caller's fault is not the others'
                _log.exception("reply_handler_failed", lane=self.name)
            if pending is not self._pending:
                # A handler ended the connection: every waiting handler has been called.
                return
        self.totals.replies += replies

    def _expects_more(self, on_reply: OnReply, error: hiredis.ReplyError) -> bool:
        """Pass on an error; say whether what waited for it waits on, for the reply to its second command."""
        self.error_replied(error)
        if on_reply.__class__ is not Unsubscription:
            return False
        self._pending.appendleft(on_reply)
        return True

    def _take_push(self, push: list[object]) -> None:
        kind = push[0]
        if kind == b"smessage":
            self.totals.publications += 1
            self._hand_in_turn(self._published, push)
            return
        if kind not in (b"ssubscribe", b"sunsubscribe"):
            return
        head = self._pending[0] if self._pending else None
        _, name, *_ = push
        channel = cast("bytes", name)
        awaited = Confirmation if kind == b"ssubscribe" else Unsubscription
        asked = isinstance(head, awaited) and head.channel == channel
        if asked and awaited is Confirmation:
            self._pending.popleft()
            self.totals.replies += 1
        # In its turn: replies from before it are handled before it, also where they are held.
        self._hand_in_turn(partial(self._subscription, kind, channel, asked), push)

    def _hand_in_turn(self, take: OnReply, push: list[object]) -> None:
        """Hand over a push behind the replies that came before it; at once where none is held."""
        if self._barrier is not None and self._holding and self._pending:
            self._barrier.hold(take, push)
        else:
            hand(take, push)

    def _subscription(self, kind: bytes, channel: bytes, asked: bool, _push: object) -> None:
        if kind == b"ssubscribe":
            self._heard.add(channel)
            self.subscribed(channel)
        else:
            self._heard.discard(channel)
            if not asked:
                self.unsubscribed(channel)

    def _published(self, push: object) -> None:
        _, channel, payload = cast("tuple[bytes, bytes, bytes]", push)
        self.published(channel, payload)

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell everybody who waits that the reply is lost, or that the command was never sent."""
        self._break(str(exc) if exc else "closed by Redis")

    def _break(self, reason: str) -> None:
        """End the connection; idempotent."""
        transport, self._transport = self._transport, None
        if transport is None:
            return
        if self.up:
            self.since_s = self._loop.time()
        self.up = self._holding = False
        self.totals.last_error = reason
        transport.abort()
        pending, self._pending = self._pending, deque()
        unsent = len(self._outgoing)
        self._outgoing.clear()
        if reason == STOPPED:
            _log.info("lane_closed", lane=self.name, waiting=len(pending))
        else:
            _log.warning("lane_lost", lane=self.name, reason=reason, waiting=len(pending))
        self._lost.set()
        sent = len(pending) - unsent
        if self._barrier is not None:
            # What was held came before whatever still waits.
            self._barrier(ReplyLost(self.name))
        self._heard.clear()
        for index, on_reply in enumerate(pending):
            lost: LaneError = ReplyLost(self.name) if index < sent else LaneDown(self.name)
            if index < sent:
                self.totals.lost += 1
            if on_reply is not self._barrier:
                hand(on_reply, lost)
        self.broken()


def _asked(_reply: object) -> None:
    """Take the reply to ASKING; the command behind it has its own."""
