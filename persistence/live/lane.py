"""The Redis connection that everybody in this process shares: a pipeline that is kept connected.

The lane knows nothing of this game.
"""

from __future__ import annotations

import asyncio
import random
from collections import deque
from typing import TYPE_CHECKING, Final, Protocol, cast

import hiredis
import structlog
from redis.exceptions import RedisError

from persistence.live.lane_contract import LaneDown, LaneError, LaneLimits, Regardless, pack
from persistence.live.pipeline import NO_REPLY, STOPPED, Pipeline
from persistence.live.redis_connection import take_over
from runtime.stopping import is_cancelled

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from redis.asyncio.connection import AbstractConnection

_log = structlog.get_logger(__name__)

_REPLICA: Final = "it is a replica, not a master"
_LOOKS: Final = 4
"""So many looks at what waits are taken within the limit of a reply."""


class Subscriber(Protocol):
    """Receives what a lane hears and lives through.

    A channel that `hears` denies from now on, unless this process ended the subscription, is passed on at
    once: by `refused`, `unsubscribed` or `lane_lost`. What is computed without asking again rests on that.
    """

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


class Lane(Pipeline):
    """A multiplexed, pipelined connection to one Redis master.

    `open_connection` makes a connected redis-py connection (address, TLS, AUTH, HELLO 3 are its business).
    Call `run` in a supervised task; it connects again, with jittered back-off, until it is cancelled.
    """

    __slots__ = ("_checking_role", "_open_connection", "_subscriber", "_writer", "branch", "run_id")

    def __init__(
        self,
        name: str,
        open_connection: Callable[[], Awaitable[AbstractConnection]],
        subscriber: Subscriber,
        limits: LaneLimits | None = None,
    ) -> None:
        super().__init__(name, limits)
        self.run_id = ""
        self.branch = ""
        """Names what the connection's Redis executed one after the other: of one branch nothing was lost.

        A restart begins another one, and a replica does that becomes the master, though its run goes on.
        """
        self._open_connection = open_connection
        self._subscriber = subscriber
        self._writer: asyncio.StreamWriter | None = None
        self._checking_role = False

    def published(self, channel: bytes, payload: bytes) -> None:
        """Pass on a publication."""
        self._subscriber.published(self, channel, payload)

    def subscribed(self, channel: bytes) -> None:
        """Pass on that a channel is heard from now on."""
        self._subscriber.subscribed(self, channel)

    def unsubscribed(self, channel: bytes) -> None:
        """Pass on that a subscription ended."""
        self._subscriber.unsubscribed(self, channel)

    def refused(self, channel: bytes) -> None:
        """Pass on that a subscription was refused."""
        self._subscriber.refused(self, channel)

    def error_replied(self, error: hiredis.ReplyError) -> None:
        """Pass on an error."""
        self._subscriber.error_replied(self, error)

    def broken(self) -> None:
        """Pass on that the connection is gone."""
        self._subscriber.lane_lost(self)

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
            # What was sent meanwhile is refused, and may be sent again: it is not lost.
            self.since_s = self._loop.time()
            self.retire(self._leave_replica)

    def _leave_replica(self, _executed: bool) -> None:
        self._break(_REPLICA)

    def retire(self, on_drained: Callable[[bool], None]) -> None:
        """Take no more commands. Calls back once all that were sent are answered, or lost."""
        self.behind(on_drained)
        self.up = False

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
            self._break(STOPPED)

    async def _connect(self) -> None:
        connection = await self._open_connection()
        # Kept: a StreamWriter that is collected closes its transport.
        self._writer = take_over(connection)
        transport = cast("asyncio.Transport", self._writer.transport)
        self._reader = hiredis.Reader(notEnoughData=NO_REPLY)
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
            self.branch = f"{self.run_id} {_line(cast('bytes', replication), b'master_replid')}"
            await self._subscriber.lane_opened(self)
        finally:
            self._opening = False
        self.totals.connects += 1
        self.up = True
        self._holding = self._barrier is not None
        self.since_s = self._loop.time()
        _log.info("lane_opened", lane=self.name, run=self.run_id[:8], again=self.totals.connects > 1)

    async def _watch(self) -> None:
        """Return when the connection is lost; break it when a reply takes longer than the limit.

        Time is counted in looks that were really taken: replies that came while this process stood still are
        read in the passes after it.
        """
        timeout_s = self._limits.reply_timeout_s
        unanswered: deque[int] = deque()
        """How many replies there will be once all is answered that waited at a look; oldest look first."""
        while not self._lost.is_set():
            try:
                async with asyncio.timeout(timeout_s / _LOOKS):
                    await self._lost.wait()
            except TimeoutError:
                unanswered.append(self.totals.replies + self.depth)
                while unanswered and self.totals.replies >= min(unanswered):
                    unanswered.popleft()
                if len(unanswered) > _LOOKS:
                    self._break(f"no reply within {timeout_s:g} s")


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
