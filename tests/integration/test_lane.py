"""The lane against a real Valkey: every reply to its own caller, whatever happens in between."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import time
from typing import TYPE_CHECKING

import hiredis
import pytest

from persistence.live.addresses import opener
from persistence.live.lane import Lane
from persistence.live.lane_contract import LaneDown, LaneFull, LaneLimits, ReplyLost, pack
from tests.support.lanes import CHANNEL, Hearer, running_lane, until_up
from tests.support.limits import LIMIT_S
from tests.support.servers import running_valkey

if TYPE_CHECKING:
    from redis.asyncio.connection import AbstractConnection

    from tests.support.servers import ValkeyServer


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
