"""The lane against a real Valkey: every reply to its own caller, whatever happens in between."""

from __future__ import annotations

import asyncio
import contextlib
import random
import signal
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import hiredis
import pytest

from persistence.live.addresses import opener
from persistence.live.lane import Lane
from persistence.live.lane_contract import LaneDown, LaneError, LaneFull, LaneLimits, ReplyLost, pack
from scripts.ports import free_port
from tests.support.limits import LIMIT_S
from tests.support.servers import cluster_options, running_valkey

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from redis.asyncio.connection import AbstractConnection

    from persistence.live.lane_contract import OnReply
    from tests.support.servers import ValkeyServer

CHANNEL = b"user:{1}:1"
SEEDS = range(6)
STORM_STEPS = 500


@dataclass
class Hearer:
    """Keeps what a lane tells, and subscribes to `channels` whenever it opens."""

    channels: list[bytes] = field(default_factory=list)
    heard: list[object] = field(default_factory=list)
    lost: int = 0
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    async def lane_opened(self, lane: Lane) -> None:
        """Subscribe."""
        for channel in self.channels:
            lane.subscribe(channel)
        self.changed.set()

    def lane_lost(self, lane: Lane) -> None:  # noqa: ARG002 - the contract's signature
        """Count."""
        self.lost += 1
        self.changed.set()

    def published(self, lane: Lane, channel: bytes, payload: bytes) -> None:  # noqa: ARG002 - the contract's signature
        """Keep."""
        self.heard.append((channel, payload))
        self.changed.set()

    def subscribed(self, lane: Lane, channel: bytes) -> None:
        """What is subscribed to is heard in the tests themselves."""

    def refused(self, lane: Lane, channel: bytes) -> None:  # noqa: ARG002 - the contract's signature
        """Keep what was refused."""
        self.heard.append(("refused", channel))

    def error_replied(self, lane: Lane, error: hiredis.ReplyError) -> None:
        """Errors are given to the callers too."""

    def unsubscribed(self, lane: Lane, channel: bytes) -> None:  # noqa: ARG002 - the contract's signature
        """Keep."""
        self.heard.append(("unsubscribed", channel))
        self.changed.set()

    async def until(self, wanted: int) -> list[object]:
        """Wait until so much was heard."""
        async with asyncio.timeout(LIMIT_S):
            while len(self.heard) < wanted:
                self.changed.clear()
                await self.changed.wait()
        return self.heard


@contextlib.asynccontextmanager
async def running_lane(url: str, hearer: Hearer, limits: LaneLimits | None = None) -> AsyncIterator[Lane]:
    """Run a lane until the block ends; it is up when the block begins."""
    lane = Lane("test", opener(url), hearer, limits)
    task = asyncio.create_task(lane.run())
    try:
        await until_up(lane)
        yield lane
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def until_up(lane: Lane) -> None:
    """Wait until the lane takes commands."""
    async with asyncio.timeout(LIMIT_S):
        while not lane.up:  # noqa: ASYNC110 - a lane has no event of its own
            await asyncio.sleep(0.005)


async def test_many_callers_share_a_write(valkey_url: str) -> None:
    """What is sent in one pass of the loop goes out as one batch; each caller gets its own reply."""
    async with running_lane(valkey_url, Hearer()) as lane:
        batches = lane.totals.batches
        replies = await asyncio.gather(*(lane.call("ECHO", str(number)) for number in range(500)))
        assert replies == [str(number).encode() for number in range(500)]
        assert lane.totals.batches == batches + 1
        assert lane.depth == 0


async def test_what_is_on_its_way_to_a_replica_is_refused_and_not_lost() -> None:
    """What was sent behind the question for its role is answered before the lane ends."""
    with running_valkey() as redis:
        hearer = Hearer()
        async with running_lane(redis.url, hearer) as lane:
            await asyncio.to_thread(redis.ask, "REPLICAOF", "127.0.0.1", 1)
            lane.check_role()
            asked = [lane.call("SET", "key", number) for number in range(20)]
            errors = await asyncio.gather(*asked, return_exceptions=True)
            assert {str(error).partition(" ")[0] for error in errors} == {"READONLY"}
            async with asyncio.timeout(LIMIT_S):
                while not hearer.lost:
                    hearer.changed.clear()
                    await hearer.changed.wait()
            assert not lane.up


async def test_an_error_reaches_only_its_caller(valkey_url: str) -> None:
    """An error that Redis replies is raised where it belongs, the calls around it are answered."""
    async with running_lane(valkey_url, Hearer()) as lane:
        before, wrong, after = await asyncio.gather(
            lane.call("ECHO", "a"), lane.call("NOSUCH"), lane.call("ECHO", "b"), return_exceptions=True
        )
        assert (before, after) == (b"a", b"b")
        assert isinstance(wrong, hiredis.ReplyError)


async def test_a_script_that_redis_lost_is_named_to_its_caller(own_valkey: ValkeyServer) -> None:
    """After SCRIPT FLUSH a call by SHA gets NOSCRIPT, and its neighbours their replies."""
    async with running_lane(own_valkey.url, Hearer()) as lane:
        sha = await lane.call("SCRIPT", "LOAD", "return ARGV[1]")
        assert isinstance(sha, bytes)
        assert await lane.call("EVALSHA", sha, 0, "x") == b"x"
        await lane.call("SCRIPT", "FLUSH")
        lost, echoed = await asyncio.gather(
            lane.call("EVALSHA", sha, 0, "x"), lane.call("ECHO", "y"), return_exceptions=True
        )
        assert str(lost).startswith("NOSCRIPT")
        assert echoed == b"y"
        await lane.call("SCRIPT", "LOAD", "return ARGV[1]")
        assert await lane.call("EVALSHA", sha, 0, "x") == b"x"


async def test_a_handler_that_fails_harms_nobody(valkey_url: str) -> None:
    """An exception in one caller's handler is logged; the next reply goes to the next caller."""

    def fail(_reply: object) -> None:
        raise RuntimeError("a handler's own fault")

    async with running_lane(valkey_url, Hearer()) as lane:
        lane.send(pack("ECHO", "a"), fail)
        assert await lane.call("ECHO", "b") == b"b"


async def test_a_cancelled_caller_gets_nobody_elses_reply(own_valkey: ValkeyServer) -> None:
    """A call that is cancelled while it waits is executed all the same, and its reply goes to nobody."""
    async with running_lane(own_valkey.url, Hearer()) as lane:
        cancelled = asyncio.create_task(lane.call("INCR", "counter"))
        await asyncio.sleep(0)
        cancelled.cancel()
        assert await lane.call("INCR", "counter") == 2
        assert cancelled.cancelled()


async def test_the_bound_of_what_waits(own_valkey: ValkeyServer) -> None:
    """Past `max_pending` LaneFull says that nothing was sent; there is room again when replies come."""
    async with running_lane(own_valkey.url, Hearer(), LaneLimits(max_pending=10)) as lane:
        waiting = [asyncio.create_task(lane.call("INCR", "counter")) for _ in range(10)]
        await asyncio.sleep(0)
        with pytest.raises(LaneFull):
            await lane.call("INCR", "counter")
        with pytest.raises(LaneFull):
            lane.send(pack("INCR", "counter"), lambda _: None)
        assert await asyncio.gather(*waiting) == list(range(1, 11))
        assert await lane.call("GET", "counter") == b"10"
        assert lane.totals.refused_full == 2


async def test_a_reply_that_takes_too_long(own_valkey: ValkeyServer) -> None:
    """A reply that is not there within the limit is lost: it may have happened; the lane connects again."""
    hearer = Hearer()
    limits = LaneLimits(reply_timeout_s=0.2, connect_timeout_s=0.2)
    async with running_lane(own_valkey.url, hearer, limits) as lane:
        assert own_valkey.process is not None
        own_valkey.process.send_signal(signal.SIGSTOP)
        try:
            with pytest.raises(ReplyLost):
                await lane.call("INCR", "counter")
            assert not lane.up
            with pytest.raises(LaneDown):
                await lane.call("INCR", "counter")
        finally:
            own_valkey.process.send_signal(signal.SIGCONT)
        await until_up(lane)
        assert hearer.lost >= 1
        # It had been sent, so it happened, or it did not: never twice.
        assert await lane.call("GET", "counter") in (None, b"1")


async def test_what_was_sent_is_lost_and_what_was_not_is_down(valkey_url: str) -> None:
    """When the connection ends, a command on its way may have happened; one that was not written has not."""
    async with running_lane(valkey_url, Hearer()) as lane:
        replies: dict[str, object] = {}
        lane.send(pack("BLPOP", "no-such-list", 0), lambda reply: replies.update(sent=reply))
        await asyncio.sleep(0.01)
        lane.send(pack("ECHO", "x"), lambda reply: replies.update(queued=reply))
        lane.connection_lost(None)
        assert isinstance(replies["sent"], ReplyLost)
        assert isinstance(replies["queued"], LaneDown)


async def test_a_killed_redis_comes_back(own_valkey: ValkeyServer) -> None:
    """Calls in flight at the end of Redis are lost, those after it down, those after its return answered."""
    hearer = Hearer(channels=[CHANNEL])
    async with running_lane(own_valkey.url, hearer) as lane:
        run_id = lane.run_id
        waiting = asyncio.create_task(lane.call("BLPOP", "no-such-list", 0))
        await asyncio.sleep(0.01)
        await asyncio.to_thread(own_valkey.kill)
        with pytest.raises(ReplyLost):
            await waiting
        with pytest.raises(LaneDown):
            await lane.call("ECHO", "x")
        await asyncio.to_thread(own_valkey.start)
        await until_up(lane)
        assert await lane.call("ECHO", "x") == b"x"
        assert lane.run_id != run_id
        assert own_valkey.ask("SPUBLISH", CHANNEL.decode(), "back") == 1
        assert await hearer.until(1) == [(CHANNEL, b"back")]


async def test_publications_come_in_the_order_of_redis(valkey_url: str) -> None:
    """What a lane publishes itself is heard between the replies around it."""
    hearer = Hearer()
    async with running_lane(valkey_url, hearer) as lane:
        lane.subscribe(b"order:{2}")
        for number in range(50):
            lane.send(pack("ECHO", f"before {number}"), hearer.heard.append)
            lane.send(pack("SPUBLISH", "order:{2}", number), lambda _: None)
            lane.send(pack("ECHO", f"after {number}"), hearer.heard.append)
        await lane.call("PING")
        expected: list[object] = []
        for number in range(50):
            expected.append(b"before %d" % number)
            expected.append((b"order:{2}", b"%d" % number))
            expected.append(b"after %d" % number)
        assert hearer.heard == expected


async def test_confirmations_stand_among_the_replies(valkey_url: str) -> None:
    """Subscriptions and their ends, also those of what was not subscribed, take nobody's reply."""
    hearer = Hearer()
    async with running_lane(valkey_url, hearer) as lane:
        for number in range(30):
            lane.subscribe(b"churn:{%d}" % number)
            lane.send(pack("ECHO", number), hearer.heard.append)
            lane.unsubscribe(b"churn:{%d}" % number)
            lane.unsubscribe(b"never:{%d}" % number)
        assert await lane.call("ECHO", "end") == b"end"
        assert hearer.heard == [b"%d" % number for number in range(30)]
        assert lane.depth == 0


async def test_an_error_in_place_of_a_confirmation(own_valkey: ValkeyServer) -> None:
    """A subscription that Redis refuses takes its error, and the replies behind it stay in place."""
    own_valkey.ask("ACL", "SETUSER", "deaf", "on", "nopass", "~*", "+@all", "resetchannels")
    url = f"unix://deaf:x@{own_valkey.socket}"
    async with running_lane(url, Hearer()) as lane:
        lane.subscribe(CHANNEL)
        first = asyncio.create_task(lane.call("ECHO", "first"))
        lane.unsubscribe(CHANNEL)
        assert await first == b"first"
        assert await lane.call("ECHO", "second") == b"second"
        assert lane.depth == 0


async def test_a_subscription_that_the_server_ends() -> None:
    """When a slot leaves its node, the owner is notified, and no reply is taken for it."""
    with running_valkey(*cluster_options(), port=free_port()) as node:
        node.ask("CLUSTER", "ADDSLOTSRANGE", 0, 16383)
        hearer = Hearer()
        async with running_lane(node.url, hearer) as lane:
            lane.subscribe(CHANNEL)
            slot = await lane.call("CLUSTER", "KEYSLOT", CHANNEL)
            assert isinstance(slot, int)
            before, _, after = await asyncio.gather(
                lane.call("ECHO", "before"),
                lane.call("CLUSTER", "DELSLOTS", slot),
                lane.call("ECHO", "after"),
            )
            assert (before, after) == (b"before", b"after")
            assert await hearer.until(1) == [("unsubscribed", CHANNEL)]


@dataclass
class Storm:
    """Does what chance says to a lane, and counts how often each handler was called."""

    lane: Lane
    valkey: ValkeyServer
    chance: random.Random
    tasks: list[asyncio.Task[None]] = field(default_factory=list)
    sent: set[int] = field(default_factory=set)
    calls: Counter[int] = field(default_factory=Counter)

    def step(self, number: int) -> None:
        """Call, send, (un)subscribe, cancel an earlier call, or have Redis cut the connection."""
        action = self.chance.random()
        if action < 0.45:
            self.tasks.append(asyncio.create_task(self._ask(number)))
        elif action < 0.8:
            with contextlib.suppress(LaneError):
                self.lane.send(pack("ECHO", number), self._handler(number))
                self.sent.add(number)
        elif action < 0.9:
            change = self.chance.choice([self.lane.subscribe, self.lane.unsubscribe])
            change(b"storm:{%d}" % self.chance.randrange(3))
        elif action < 0.98 and self.tasks:
            self.chance.choice(self.tasks).cancel()
        elif self.lane.up:
            self.valkey.ask("CLIENT", "KILL", "TYPE", self.chance.choice(["normal", "pubsub"]))

    async def _ask(self, number: int) -> None:
        with contextlib.suppress(LaneError):
            assert await self.lane.call("ECHO", number) == b"%d" % number

    def _handler(self, number: int) -> OnReply:
        def on_reply(reply: object) -> None:
            self.calls[number] += 1
            if not isinstance(reply, LaneError) and reply != b"%d" % number:
                self.calls[number] += 1_000

        return on_reply


@pytest.mark.parametrize("seed", SEEDS)
async def test_a_storm_mixes_nothing_up(own_valkey: ValkeyServer, seed: int) -> None:
    """Whatever is cancelled, subscribed or cut off when: a reply is its caller's own, and comes once."""
    limits = LaneLimits(max_pending=60, retry_first_s=0.001, retry_most_s=0.01)
    async with running_lane(own_valkey.url, Hearer(channels=[CHANNEL]), limits) as lane:
        storm = Storm(lane, own_valkey, random.Random(seed))
        for number in range(STORM_STEPS):
            storm.step(number)
            if storm.chance.random() < 0.3:
                await asyncio.sleep(storm.chance.choice([0, 0, 0.001]))
        outcomes = await asyncio.gather(*storm.tasks, return_exceptions=True)
        assert [each for each in outcomes if each and not isinstance(each, asyncio.CancelledError)] == []
        await until_up(lane)
        assert await lane.call("ECHO", "end") == b"end"
        assert lane.depth == 0
        assert lane.totals.connects > 1
    assert storm.calls == Counter(storm.sent)


class LostCancellation:
    """Opens connections as `opener` does, and loses a cancellation: `asyncio.wait_for` of Python 3.11 can."""

    def __init__(self, url: str, *, fails: bool) -> None:
        self._open = opener(url)
        self._fails = fails
        self.begun = asyncio.Event()

    async def __call__(self) -> AbstractConnection:
        """Wait for the cancellation, then go on."""
        self.begun.set()
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.Event().wait()
        if self._fails:
            raise ConnectionRefusedError
        return await self._open()


@pytest.mark.parametrize("fails", [True, False])
async def test_a_stopped_lane_does_not_go_on(valkey_url: str, fails: bool) -> None:
    """Where a library loses the cancellation while the lane connects, the lane ends all the same."""
    opening = LostCancellation(valkey_url, fails=fails)
    lane = Lane("redis", opening, Hearer())
    running = asyncio.create_task(lane.run())
    await opening.begun.wait()

    running.cancel()
    done, _ = await asyncio.wait({running}, timeout=LIMIT_S)

    assert done == {running}
    assert not lane.up


async def test_a_process_that_stood_still_loses_no_reply(valkey_url: str) -> None:
    """Replies that came meanwhile are read in several passes of the loop; none of them counts as late."""
    limits = LaneLimits(reply_timeout_s=2.0)
    async with running_lane(valkey_url, Hearer(), limits) as lane:
        for _ in range(2):
            waiting = [asyncio.create_task(lane.call("ECHO", "x" * 50_000)) for _ in range(100)]
            await asyncio.sleep(0.51)
            waiting += [asyncio.create_task(lane.call("ECHO", "y" * 50_000)) for _ in range(100)]
            await asyncio.sleep(0)
            time.sleep(2.1)  # noqa: ASYNC251 - the process stands still
            await asyncio.gather(*waiting)
        assert lane.totals.lost == 0
