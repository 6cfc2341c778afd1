"""Which lane serves which bucket: one lane for one Redis, one for each master of a cluster."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Final, Protocol

import structlog
from redis.exceptions import RedisError

from persistence.live.addresses import is_cluster, opener, replaces_masters
from persistence.live.bucket_lanes import BucketLanes
from persistence.live.cluster_map import ask_slots, cluster_map
from persistence.live.decisions import REDIS_WORDS, REPLICA_WORDS, Step, error_word, is_failure
from persistence.live.durability import ask_durability
from persistence.live.keys import BUCKETS, SLOT_OF_BUCKET, Bucket, Keys, bucket_of, bucket_of_channel
from persistence.live.lane import Lane
from persistence.live.lane_contract import LaneDown, LaneError, LaneLimits
from runtime.connection_urls import parse_redis_url
from runtime.stopping import end_tasks, is_cancelled

if TYPE_CHECKING:
    from collections.abc import Container, Mapping

    import hiredis

    from game.session import UserId
    from persistence.live.addresses import Open
    from persistence.live.durability import Durability
    from persistence.live.scripts import Script
    from runtime.url_parts import Node

_log = structlog.get_logger(__name__)

REFRESH_AT_MOST_EVERY_S: Final = 0.1
_EXPECTED_FOR_S: Final = 60.0
_SUBSCRIBE_AGAIN_FIRST_S: Final = 0.05
_SUBSCRIBE_AGAIN_MOST_S: Final = 1.0
_BEGIN_AGAIN_S: Final = 0.05

FirstCommand = tuple[bytes, Callable[[], None]]
"""A packed command that is safe to repeat, and what is called once it was executed."""


class Hearer(Protocol):
    """What the lanes tell their owner."""

    def channels_of(self, lane: Lane) -> list[bytes]:
        """Name the channels that this process needs on a lane."""

    def first_commands(self, lane: Lane) -> list[FirstCommand]:
        """Pack what a lane executes before whatever else this process sends on it, if it was not yet."""

    def lane_ready(self, lane: Lane) -> None:
        """Take note that Redis has confirmed a lane's subscriptions (again).

        Whatever was published before may have been missed, what is published from now on is heard.
        """

    def subscribed(self, lane: Lane, channel: bytes) -> None:
        """Take note that a channel is heard on a lane from now on; publications may have been missed."""

    def unheard(self, lane: Lane, channel: bytes) -> None:
        """Take note that a channel is not heard where its commands go, until `subscribed` says so.

        Commands go on: `lane` has those on their way.
        """

    def published(self, channel: bytes, words: list[bytes]) -> None:
        """Take a publication of another process, split into its words after the origin."""


class Lanes:
    """All lanes of this process. Call `start`, then `lane_for`; `stop` ends them.

    `keys` are the names of the game that they serve, which begin with `prefix`.
    """

    def __init__(
        self,
        url: str,
        origin: str,
        scripts: Mapping[str, Script],
        limits: LaneLimits | None = None,
        prefix: str = "",
    ) -> None:
        self.origin = origin.encode()
        self.scripts = scripts
        self.keys = Keys(prefix, parse_redis_url(url).database)
        self.durability: dict[str, Durability] = {}
        self._url = url
        self._hearer: Hearer | None = None
        self._limits = limits or LaneLimits()
        self._lanes: dict[str, Lane] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._buckets = BucketLanes(self, self._arrived)
        self._stopping: list[asyncio.Task[None]] = []
        self._refreshing: asyncio.Task[None] | None = None
        self._expected_s: dict[str, float] = {}
        """Until when the lanes to nodes that a slot is on its way to are kept (loop time)."""
        self._unheard: set[bytes] = set()
        self.lapses = 0
        """How often a player's channel may have ceased to be heard where the player's commands go, or a
        bucket has taken another lane. While it stays the same, who was heard is heard."""
        self._beginning_again: set[Lane] = set()
        self._subscribing_again: asyncio.TimerHandle | None = None
        self._subscribe_again_s = _SUBSCRIBE_AGAIN_FIRST_S
        self._read_again = asyncio.Event()
        self._reading_ended = asyncio.Event()
        self._stopped = False
        self.refused_s: dict[str, float] = {}
        """When a Redis last replied with each word of an error (loop time)."""
        self.cluster = is_cluster(url)
        self.replaces_masters = replaces_masters(url)

    @property
    def all(self) -> list[Lane]:
        """Every lane, up or not."""
        return list(self._lanes.values())

    def lane_for(self, bucket: Bucket) -> Lane:
        """Return the lane to the master that holds a bucket, as far as this process knows."""
        return self._buckets.in_use[bucket]

    def lane_of(self, user_id: UserId) -> Lane:
        """Return the lane to the master that holds a player's keys."""
        return self._buckets.in_use[bucket_of(user_id)]

    def asked(self, error: hiredis.ReplyError) -> Lane:
        """Return the lane to the node that an ASK names, which may be a master without any slot yet.

        `error` is a reply whose step is `Step.ASK`: `ASK slot host:port`.
        """
        _word, _slot, name = str(error).split(" ")
        lane = self._lanes.get(name)
        if lane is None:
            host, _, port = name.rpartition(":")
            lane = self._add(name, opener(self._url, (host, int(port))))
        self._expected_s[name] = asyncio.get_running_loop().time() + _EXPECTED_FOR_S
        return lane

    async def start(self, hearer: Hearer) -> None:
        """Make the lanes, which tell `hearer` what they hear; they connect by themselves.

        Raises LaneDown when no node of a cluster answers.
        """
        self._hearer = hearer
        if self.cluster:
            await self._read_topology()
        else:
            lane = self._add("redis", opener(self._url))
            self._buckets.assign([lane] * BUCKETS)

    async def wait_up(self, timeout_s: float) -> bool:
        """Wait until every lane is up; False when one is not within the time."""
        deadline = asyncio.get_running_loop().time() + timeout_s
        while not all(lane.up for lane in self._lanes.values()):
            if asyncio.get_running_loop().time() > deadline:
                return False
            await asyncio.sleep(0.01)
        return True

    async def stop(self) -> None:
        """End every lane; what still waits for a reply gets ReplyLost."""
        self._stopped = True
        if self._subscribing_again is not None:
            self._subscribing_again.cancel()
        self._end_reading()
        tasks = [*self._tasks.values(), *self._stopping]
        if self._refreshing is not None:
            tasks.append(self._refreshing)
        await end_tasks(tasks)
        self._tasks.clear()

    def _add(self, name: str, open_connection: Open) -> Lane:
        lane = Lane(name, open_connection, self, self._limits)
        self._lanes[name] = lane
        self._tasks[name] = asyncio.get_running_loop().create_task(lane.run(), name=f"lane {name}")
        return lane

    # What a lane tells (persistence.live.lane.Subscriber).

    async def lane_opened(self, lane: Lane) -> None:
        """Load the scripts and subscribe again, until Redis has done so, before anybody may send."""
        await asyncio.gather(
            *(lane.call("SCRIPT", "LOAD", script.source) for script in self.scripts.values()),
            self._take_durability(lane),
        )
        self._subscribe_all(lane)
        self._begin(lane)
        loop = asyncio.get_running_loop()
        subscribed: asyncio.Future[bool] = loop.create_future()
        lane.behind(partial(_settle, subscribed))
        if not await subscribed:
            raise LaneDown(lane.name)
        loop.call_soon(self._ready, lane)

    def _subscribe_all(self, lane: Lane, buckets: Container[int] = range(BUCKETS)) -> None:
        for channel in self._hearer.channels_of(lane) if self._hearer is not None else ():
            if bucket_of_channel(channel) in buckets:
                lane.subscribe(channel)

    def _begin(self, lane: Lane) -> None:
        """Send what comes first on a lane."""
        self._beginning_again.discard(lane)
        for packed, on_executed in self._hearer.first_commands(lane) if self._hearer is not None else ():
            lane.send_first(packed, partial(self._began, lane, on_executed))

    def _began(self, lane: Lane, on_executed: Callable[[], None], reply: object) -> None:
        if not is_failure(reply):
            on_executed()
        elif not isinstance(reply, LaneError) and lane not in self._beginning_again:
            # On a lost lane it comes first again, once the lane is back.
            self._beginning_again.add(lane)
            asyncio.get_running_loop().call_later(_BEGIN_AGAIN_S, self._begin, lane)

    def _ready(self, lane: Lane, executed: bool = True) -> None:
        if executed and lane.up and self._hearer is not None:
            self._hearer.lane_ready(lane)

    def lane_lost(self, lane: Lane) -> None:  # noqa: ARG002 - a lane names itself
        """Ask the cluster where its buckets are now: a master may have been replaced."""
        self.lapses += 1
        if self.cluster:
            self.refresh()

    def subscribed(self, lane: Lane, channel: bytes) -> None:
        """Pass on that a channel is heard from now on."""
        self._unheard.discard(channel)
        if not self._unheard:
            self._subscribe_again_s = _SUBSCRIBE_AGAIN_FIRST_S
        if self._hearer is not None:
            self._hearer.subscribed(lane, channel)

    def error_replied(self, lane: Lane, error: hiredis.ReplyError) -> None:
        """Do what an error asks for of the lanes, besides what its caller does: ticks follow no slot."""
        word = error_word(error)
        self.refused_s[word] = asyncio.get_running_loop().time()
        if word in REPLICA_WORDS:
            lane.check_role()
        if REDIS_WORDS.get(word) is Step.FOLLOW:
            self.refresh()

    def published(self, lane: Lane, channel: bytes, payload: bytes) -> None:
        """Pass on a publication, but for those of this process: their replies carry the same news.

        A master that became a replica passes on what the new one publishes. It would come twice, and overtake
        the answers that the new lane holds back.
        """
        origin, *words = payload.split(b" ")
        heard = self._buckets.hears(lane, bucket_of_channel(channel))
        if heard and origin != self.origin and self._hearer is not None:
            self._hearer.published(channel, words)

    def refused(self, lane: Lane, channel: bytes) -> None:
        """Subscribe again, where the slot is by then, until it is confirmed.

        The node that is asked for the topology may not have heard of the slot's move yet.
        """
        self.lapses += 1
        if self._hearer is not None and self._buckets.hears(lane, bucket_of_channel(channel)):
            self._hearer.unheard(lane, channel)
        self.refresh()
        self._unheard.add(channel)
        self._subscribe_later()

    def _subscribe_later(self) -> None:
        if self._unheard and self._subscribing_again is None and not self._stopped:
            loop = asyncio.get_running_loop()
            self._subscribing_again = loop.call_later(self._subscribe_again_s, self._subscribe_again)
            self._subscribe_again_s = min(self._subscribe_again_s * 2, _SUBSCRIBE_AGAIN_MOST_S)

    def _subscribe_again(self) -> None:
        """Subscribe to what was refused or ended.

        A lane that is down subscribes as it opens; of one that opens just now, nobody knows whether it was
        that which was refused: it is tried until it is confirmed.
        """
        self._subscribing_again = None
        unheard, self._unheard = self._unheard, set()
        for lane in self._lanes.values():
            needed = () if self._hearer is None else self._hearer.channels_of(lane)
            for channel in unheard.intersection(needed):
                lane.subscribe(channel)
                if not lane.up:
                    self._unheard.add(channel)
        self._subscribe_later()

    def unsubscribed(self, lane: Lane, channel: bytes) -> None:
        """Find the slot's new place and subscribe there."""
        self.refused(lane, channel)

    async def _take_durability(self, lane: Lane) -> None:
        self.durability.pop(lane.name, None)
        durability = await ask_durability(lane)
        if durability is not None:
            self.durability[lane.name] = durability

    # The topology of a cluster.

    def refresh(self) -> None:
        """Read the cluster's topology again, soon and once for all that ask meanwhile."""
        self._read_again.set()
        if self._stopped:
            return
        if self.cluster and (self._refreshing is None or self._refreshing.done()):
            self._refreshing = asyncio.get_running_loop().create_task(self._refresh(), name="topology")

    async def refreshed(self) -> None:
        """Wait for a fresh reading of the topology; returns also when there was none."""
        ended = self._reading_ended
        self.refresh()
        if self._stopped:
            return
        if self._refreshing is not None and not self._refreshing.done():
            await ended.wait()

    def _end_reading(self) -> None:
        """Wake every task that waits for a reading of the topology."""
        self._reading_ended.set()
        self._reading_ended = asyncio.Event()

    async def _refresh(self) -> None:
        """Read the topology, and look again as long as a master is away: its replica may take over."""
        while not is_cancelled():
            try:
                await self._read_topology()
            except (LaneError, RedisError, OSError, TimeoutError) as error:
                _log.warning("topology_read_failed", error=str(error))
            finally:
                self._end_reading()
            self._read_again.clear()
            await asyncio.sleep(REFRESH_AT_MOST_EVERY_S)
            if not self._read_again.is_set() and all(lane.up for lane in self._lanes.values()):
                return

    async def _read_topology(self) -> None:
        nodes, owner = cluster_map(*await self._cluster_slots())
        for name in sorted(nodes):
            if name not in self._lanes:
                self._add(name, opener(self._url, nodes[name]))
        fallback = next((self._lanes[name] for name in sorted(nodes)), next(iter(self._lanes.values())))
        if self._buckets.assign([self._lanes.get(owner[slot], fallback) for slot in SLOT_OF_BUCKET]):
            self.lapses += 1
        now_s = asyncio.get_running_loop().time()
        expected = {name for name, until_s in self._expected_s.items() if until_s > now_s}
        for name in [name for name in self._lanes if name not in nodes and name not in expected]:
            task = self._tasks.pop(name)
            self._stopping = [ended for ended in self._stopping if not ended.done()] + [task]
            # What was sent is answered still.
            self._lanes.pop(name).retire(partial(_cancel, task))

    def _arrived(self, lane: Lane, buckets: Container[int]) -> None:
        """Hear the players of buckets on the lane that these take from now on."""
        self.lapses += 1
        self._subscribe_all(lane, buckets)
        self._begin(lane)
        lane.behind(partial(self._ready, lane))

    async def _cluster_slots(self) -> tuple[Node, object]:
        return await ask_slots(list(self._lanes.values()), self._url)


def _cancel(task: asyncio.Task[None], _executed: bool) -> None:
    task.cancel()


def _settle(future: asyncio.Future[bool], executed: bool) -> None:
    if not future.done():
        future.set_result(executed)
