"""One pipelined Redis connection that everybody in this process shares.

Commands are written once per event-loop pass and answered in order. RESP3 brings publications on the same
connection, in the order in which Redis executed them among the replies. The lane knows nothing of this game.
"""

from __future__ import annotations

import asyncio
import random
from collections import deque
from functools import partial
from typing import TYPE_CHECKING, Final, Protocol, cast

import hiredis
import structlog
from redis.exceptions import RedisError

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
from persistence.live.redis_connection import take_over
from persistence.live.replica_barrier import ReplicaBarrier, hand
from persistence.live.subscription_confirmation import Confirmation
from runtime.stopping import is_cancelled

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from redis.asyncio.connection import AbstractConnection

_log = structlog.get_logger(__name__)

_NO_REPLY: Final = object()
_BUFFER_BYTES: Final = 64 * 1024
_ASKING: Final = pack("ASKING")
_STOPPED: Final = "stopped"
_REPLICA: Final = "it is a replica, not a master"


class Subscriber(Protocol):
    """Receives what a lane hears and lives through."""

    async def lane_opened(self, lane: Lane) -> None:
        """Prepare a fresh connection (scripts, subscriptions) before anybody else may send."""

    def lane_lost(self, lane: Lane) -> None:
        """Take note that the connection is gone and publications may be missed."""

    def published(self, lane: Lane, channel: bytes, payload: bytes) -> None:
        """Take a publication."""

    def subscribed(self, lane: Lane, channel: bytes) -> None:
        """Take note that the server confirmed a subscription: what is published from now on is heard."""

    def refused(self, lane: Lane, channel: bytes) -> None:
        """Take note that the server refused a subscription: nothing is heard of the channel."""

    def error_replied(self, lane: Lane, error: hiredis.ReplyError) -> None:
        """Take note that the server replied an error, before its caller does."""

    def unsubscribed(self, lane: Lane, channel: bytes) -> None:
        """Take note that the server ended a subscription that nobody asked to end (its slot moved)."""


class Lane(asyncio.BufferedProtocol):
    """A multiplexed, pipelined connection to one Redis master.

    `open_connection` makes a connected redis-py connection (address, TLS, AUTH, HELLO 3 are its business).
    Call `run` in a supervised task; it connects again, with jittered back-off, until it is cancelled.
    `up` has been as it is since `since_s`, a time of the loop.
    """

    __slots__ = (
        "_barrier",
        "_buffer",
        "_checking_role",
        "_flush_scheduled",
        "_heard",
        "_limits",
        "_loop",
        "_lost",
        "_max_pending",
        "_open_connection",
        "_opening",
        "_outgoing",
        "_pending",
        "_reader",
        "_sent_marks",
        "_subscriber",
        "_transport",
        "_writer",
        "name",
        "run_id",
        "since_s",
        "totals",
        "up",
    )

    def __init__(
        self,
        name: str,
        open_connection: Callable[[], Awaitable[AbstractConnection]],
        subscriber: Subscriber,
        limits: LaneLimits | None = None,
    ) -> None:
        self.name = name
        self.run_id = ""
        self.up = False
        self.totals = LaneTotals()
        self._open_connection = open_connection
        self._subscriber = subscriber
        self._limits = limits or LaneLimits()
        self._max_pending = self._limits.max_pending
        self._loop = asyncio.get_running_loop()
        self.since_s = self._loop.time()
        self._transport: asyncio.Transport | None = None
        self._writer: asyncio.StreamWriter | None = None
        self._reader = hiredis.Reader(notEnoughData=_NO_REPLY)
        # A plain protocol's transport allocates 256 KiB for each read: up to 17 µs in a fresh process.
        # A view, since asyncio's TLS fills slices of it: those of a bytearray would be copies.
        self._buffer = memoryview(bytearray(_BUFFER_BYTES))
        self._pending: deque[OnReply] = deque()
        self._outgoing: list[bytes] = []
        self._flush_scheduled = False
        self._opening = False
        self._checking_role = False
        self._lost = asyncio.Event()
        self._heard: set[bytes] = set()
        self._sent_marks: deque[tuple[float, int]] = deque()
        self._barrier = ReplicaBarrier(self._limits, self.totals) if self._limits.wait_replicas else None

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

    def send_asking(self, command: bytes, on_reply: OnReply) -> None:
        """Send a command for a slot that is on its way here, as `send` does; its old master said ASK."""
        self.send(_ASKING, _asked)
        self._push(command, on_reply)

    async def call(self, *words: bytes | str | float) -> object:
        """Send one command and wait for its reply.

        Raises LaneError as `send` does, or hiredis.ReplyError as Redis answered. Cancelling the wait leaves
        the
        command on its way: it may have happened, and its reply goes to nobody.
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

    def subscribe(self, channel: bytes) -> None:
        """Subscribe to a sharded channel before any command queued after this call."""
        self._subscription(b"ssubscribe", channel)

    def unsubscribe(self, channel: bytes) -> None:
        """End the subscription to a sharded channel."""
        self._subscription(b"sunsubscribe", channel)

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

    def _subscription(self, kind: bytes, channel: bytes) -> None:
        if self.up or self._opening:
            command = b"*2\r\n$%d\r\n%b\r\n$%d\r\n%b\r\n" % (len(kind), kind, len(channel), channel)
            # Bounded by the channels themselves: one that was left out would be missed for good.
            self._push(command, Confirmation(kind, channel, partial(self._subscriber.refused, self)))

    def check_role(self) -> None:
        """Ask whether this is a replica by now, and end the connection if it is.

        Behind one address the next connection leads to the new master.
        """
        if self.up and not self._checking_role:
            self._checking_role = True
            self._push(pack("INFO", "replication"), Regardless(self._take_role))

    def _take_role(self, reply: object) -> None:
        self._checking_role = False
        if _is_replica(reply):
            self._break(_REPLICA)

    def _full(self) -> LaneFull:
        self.totals.refused_full += 1
        return LaneFull(self.name)

    def _push(self, command: bytes, on_reply: OnReply) -> None:
        self._pending.append(on_reply)
        self._outgoing.append(command)
        if not self._flush_scheduled:
            self._flush_scheduled = True
            self._loop.call_soon(self._flush)

    def _flush(self) -> None:
        self._flush_scheduled = False
        if self._transport is None or not self._outgoing:
            return
        if self._barrier is not None and self.up:
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
            if reply is _NO_REPLY:
                break
            if reply.__class__ is hiredis.PushNotification:
                self._take_push(reply)
                continue
            if not pending:
                self._break("a reply that nobody waits for")
                return
            replies += 1
            on_reply = pending.popleft()
            if reply.__class__ is hiredis.ReplyError:
                self._subscriber.error_replied(self, reply)
            if self._barrier is not None and self.up and on_reply is not self._barrier:
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

    def _take_push(self, push: list[object]) -> None:
        kind = push[0]
        if kind == b"smessage":
            self.totals.publications += 1
            if self._barrier is not None and self.up:
                self._barrier.hold(self._published, push)
            else:
                hand(self._published, push)
            return
        if kind not in (b"ssubscribe", b"sunsubscribe"):
            return
        head = self._pending[0] if self._pending else None
        _, name, *_ = push
        channel = cast("bytes", name)
        if kind == b"ssubscribe":
            self._heard.add(channel)
        else:
            self._heard.discard(channel)
        if isinstance(head, Confirmation) and head.kind == kind and head.channel == channel:
            self._pending.popleft()
            self.totals.replies += 1
            if kind == b"ssubscribe":
                self._subscriber.subscribed(self, channel)
        elif kind == b"sunsubscribe":
            self._subscriber.unsubscribed(self, channel)

    def _published(self, push: object) -> None:
        _, channel, payload = cast("tuple[bytes, bytes, bytes]", push)
        self._subscriber.published(self, channel, payload)

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
        self.up = False
        self.totals.last_error = reason
        transport.abort()
        pending, self._pending = self._pending, deque()
        unsent = len(self._outgoing)
        self._outgoing.clear()
        self._sent_marks.clear()
        self._heard.clear()
        if reason == _STOPPED:
            _log.info("lane_closed", lane=self.name, waiting=len(pending))
        else:
            _log.warning("lane_lost", lane=self.name, reason=reason, waiting=len(pending))
        self._lost.set()
        sent = len(pending) - unsent
        if self._barrier is not None:
            # What was held came before whatever still waits.
            self._barrier(ReplyLost(self.name))
        for index, on_reply in enumerate(pending):
            lost: LaneError = ReplyLost(self.name) if index < sent else LaneDown(self.name)
            if index < sent:
                self.totals.lost += 1
            if on_reply is not self._barrier:
                hand(on_reply, lost)
        self._subscriber.lane_lost(self)

    async def run(self) -> None:
        """Keep the connection up until cancelled."""
        delay_s = self._limits.retry_first_s
        try:
            while not is_cancelled():
                try:
                    async with asyncio.timeout(self._limits.connect_timeout_s):
                        await self._connect()
                except (OSError, RedisError, hiredis.HiredisError, LaneError, TimeoutError) as error:
                    self._break(str(error) or type(error).__name__)
                    self._opening = False
                    self.totals.last_error = str(error) or type(error).__name__
                    await asyncio.sleep(delay_s * random.uniform(0.5, 1.0))  # noqa: S311 - jitter, not a secret
                    delay_s = min(delay_s * 2, self._limits.retry_most_s)
                    continue
                if is_cancelled():
                    return
                delay_s = self._limits.retry_first_s
                await self._watch()
        finally:
            self._break(_STOPPED)

    async def _connect(self) -> None:
        connection = await self._open_connection()
        # Kept: a StreamWriter that is collected closes its transport.
        self._writer = take_over(connection)
        transport = cast("asyncio.Transport", self._writer.transport)
        self._reader = hiredis.Reader(notEnoughData=_NO_REPLY)
        self._lost.clear()
        self._transport = transport
        transport.set_protocol(self)
        self._opening = True
        try:
            server, replication = await asyncio.gather(
                self.call("INFO", "server"), self.call("INFO", "replication")
            )
            self.run_id = _line(cast("bytes", server), b"run_id")
            if not self.run_id:
                raise LaneDown("INFO without run_id")
            if _is_replica(replication):
                raise LaneDown(_REPLICA)
            await self._subscriber.lane_opened(self)
        finally:
            self._opening = False
        self.totals.connects += 1
        self.up = True
        self.since_s = self._loop.time()
        _log.info("lane_opened", lane=self.name, run=self.run_id[:8], again=self.totals.connects > 1)

    async def _watch(self) -> None:
        """Return when the connection is lost; break it when a reply takes longer than the limit."""
        timeout_s = self._limits.reply_timeout_s
        marks = self._sent_marks
        while not self._lost.is_set():
            try:
                async with asyncio.timeout(timeout_s / 4):
                    await self._lost.wait()
            except TimeoutError:
                now = self._loop.time()
                marks.append((now, self.totals.replies + len(self._pending)))
                sent_s = now
                while marks:
                    sent_s, replies_by_then = marks[0]
                    if self.totals.replies < replies_by_then:
                        break
                    marks.popleft()
                if marks and now - sent_s >= timeout_s:
                    self._break(f"no reply within {timeout_s:g} s")


def _asked(_reply: object) -> None:
    """Take the reply to ASKING; the command behind it has its own."""


def _line(info: bytes, wanted: bytes) -> str:
    """Read one value out of the reply to INFO; "" where it is missing."""
    for line in info.split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name == wanted:
            return value.decode()
    return ""


def _is_replica(info: object) -> bool:
    """Tell whether the reply to INFO replication is a replica's; who names no role is none."""
    return isinstance(info, bytes) and _line(info, b"role") == "slave"
