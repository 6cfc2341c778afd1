"""Two processes of one player, of which one is not heard for a while: no change stays unknown to the other.

A cluster ends subscriptions where a slot leaves, or is assigned to its own master once more. Commands go on
meanwhile.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any, cast

import pytest

from persistence.live.keys import bucket_of
from persistence.live.lane_contract import LaneLimits
from persistence.live.scripts import load_scripts
from tests.support.limits import LIMIT_S
from tests.support.plain_keys import channel, dirty_key, session_key
from tests.support.servers import POLL_S
from tests.support.slots import owner_of, slot_of
from tests.support.two_masters import USER, TwoMasters, World

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

    from tests.support.servers import ValkeyServer
    from tests.support.two_masters import Tab


class Deaf(TwoMasters):
    """Subscribes again to what was ended when the test says so."""

    def _subscribe_again(self) -> None:
        """Wait for the test."""

    def listen(self) -> None:
        """Subscribe again."""
        super()._subscribe_again()


class Process(World):
    """The game of one process, over the player's master alone."""

    lanes: Deaf

    @property
    def transport(self) -> asyncio.Transport:
        """The connection to the player's master."""
        return cast("asyncio.Transport", self.lanes.lane_of(USER)._transport)

    @property
    def is_heard(self) -> bool:
        """Whether the player's publications reach this process."""
        return self.hub.hears(self.hub.players[USER])

    def lapse(self) -> None:
        """Take what Redis says where it ends the subscription."""
        self.lanes.unsubscribed(self.lanes.lane_of(USER), channel(USER).encode())


async def until(is_so: Callable[[], bool]) -> None:
    """Wait until something is so."""
    async with asyncio.timeout(LIMIT_S):
        while not is_so():  # noqa: ASYNC110 - lanes have no event of their own
            await asyncio.sleep(POLL_S)


@contextlib.asynccontextmanager
async def process(node: ValkeyServer, name: str) -> AsyncIterator[Process]:
    """Run the game of one process over the master that has the player's slot."""
    async with contextlib.AsyncExitStack() as stack:
        url = f"redis+cluster://127.0.0.1:{node.port}"
        lanes = Deaf(url, name, load_scripts(), LaneLimits(reply_timeout_s=LIMIT_S))
        lanes.port = lanes.rest_port = node.port
        stack.push_async_callback(lanes.stop)
        game = Process(lanes, [node], [])
        await lanes.start(game.hub)
        assert await lanes.wait_up(LIMIT_S)
        stack.push_async_callback(game.dispatch.stop)
        stack.push_async_callback(game.hub.catching_up.stop)
        yield game


@pytest.fixture
def home(cluster_nodes: list[ValkeyServer]) -> Iterator[ValkeyServer]:
    """The master of the player's slot, afterwards without the player."""
    home = owner_of(cluster_nodes, slot_of(USER))
    yield home
    home.ask("DEL", session_key(USER), dirty_key(bucket_of(USER)))


async def ended(home: ValkeyServer, *processes: Process) -> None:
    """Have Redis end every subscription to the player's channel, and wait until the processes know."""
    home.ask("CLUSTER", "SETSLOT", slot_of(USER), "NODE", str(home.ask("CLUSTER", "MYID")))
    for each in processes:
        await until(lambda each=each: not each.is_heard)  # type: ignore[misc]  # a lambda of a loop


async def cooked(tab: Tab, request_id: str) -> int:
    """Cook once; return the version of that."""
    tab.ask(request_id, "cook", count=1)
    return int((await tab.answer(request_id))["version"])


async def sent(tab: Tab, request_type: str, version: int) -> dict[str, Any]:
    """Wait until a tab was sent a push of a version."""
    found: list[dict[str, Any]] = []

    def is_sent() -> bool:
        found[:] = [
            message["data"]
            for message in tab.received
            if (message["request_id"], message["request_type"]) == ("", request_type)
            and message["data"]["version"] == version
        ]
        return bool(found)

    await until(is_sent)
    return found[0]


async def test_a_process_that_is_not_subscribed_publishes_to_the_only_one_that_is(home: ValkeyServer) -> None:
    """A script says nothing where nobody listens but the sender, who must not count then."""
    async with process(home, "near") as near, process(home, "far") as far:
        near.put()
        listener, clicker = await near.joined(), await far.joined()
        await ended(home, near, far)
        near.lanes.listen()
        await until(lambda: near.is_heard)
        for request_id in ("one", "two"):
            version = await cooked(clicker, request_id)
            assert not far.is_heard
            await sent(listener, "cook", version)


async def test_a_process_that_hears_again_is_no_longer_published_to(home: ValkeyServer) -> None:
    """Alone, it costs no publication once the subscription is confirmed."""
    async with process(home, "near") as near:
        near.put()
        clicker = await near.joined()
        await ended(home, near)
        near.lanes.listen()
        await until(lambda: near.is_heard)
        (lane,) = near.lanes.all
        await cooked(clicker, "one")
        before = lane.totals.publications
        await cooked(clicker, "two")
        await near.settled()
        assert lane.totals.publications == before


async def test_a_tab_whose_own_clicks_go_on_is_sent_what_it_did_not_hear(home: ValkeyServer) -> None:
    """Its own answer is as new as the session by then, and says nothing of what others did before."""
    async with process(home, "near") as near, process(home, "far") as far:
        near.put()
        tab, other = await near.joined(), await far.joined()
        await ended(home, near, far)
        unheard = await cooked(other, "other's")
        version = await cooked(tab, "own")
        assert version == unheard + 1
        near.lanes.listen()
        shown = await sent(tab, "session", version)
        assert shown["session"]["dishes"] == 2


async def test_a_tab_is_sent_nothing_where_nothing_happened_unheard(home: ValkeyServer) -> None:
    """Thousands of tabs are not sent their state for a slot that came back."""
    async with process(home, "near") as near:
        near.put()
        tab = await near.joined()
        received = list(tab.received)
        await ended(home, near)
        near.lanes.listen()
        await until(lambda: near.is_heard)
        await near.settled()
        await cooked(tab, "own")
        assert [message["request_id"] for message in tab.received[len(received) :]] == ["own"]


async def test_what_was_on_its_way_when_a_subscription_ended_is_passed_on(home: ValkeyServer) -> None:
    """It was sent as by a listener, and may have been executed when this process was none any more."""
    async with process(home, "near") as near, process(home, "far") as far:
        near.put()
        listener = await near.joined()
        await far.joined()
        later = max(listener.versions) + 1
        near.put(version=later, dishes=50)  # as by a script that says nothing
        far.lapse()
        shown = await sent(listener, "session", later)
        assert shown["session"]["dishes"] == 50


@contextlib.asynccontextmanager
async def behind(near: Process, far: Process) -> AsyncIterator[tuple[Tab, Tab]]:
    """Give each a tab, and end all subscriptions; only `near` knows, and hears again.

    Within the block what Redis says to `far` lies on its way.
    """
    near.put()
    tabs = await near.joined(), await far.joined()
    transport = far.transport
    transport.pause_reading()
    await ended(near.servers[0], near)
    near.lanes.listen()
    await until(lambda: near.is_heard)
    await near.settled()
    yield tabs
    if not transport.is_closing():
        transport.resume_reading()


async def executed(process: Process, tab: Tab, request_id: str) -> None:
    """Cook once, until Redis has done so; the answer may come later."""
    before = process.session_of(0)
    tab.ask(request_id, "cook", count=1)
    await process.until_executed(0, before)


async def test_an_own_answer_does_not_hide_what_came_before_it(home: ValkeyServer) -> None:
    """The other's change was published to nobody, and the news of it comes behind the own answer."""
    async with process(home, "near") as near, process(home, "far") as far:
        async with behind(near, far) as (listener, clicker):
            await executed(far, clicker, "unheard")
            version = await cooked(listener, "own")
        assert (await clicker.answer("unheard"))["version"] == version - 1
        assert (await sent(listener, "session", version))["session"]["dishes"] == 2


async def test_what_was_executed_unheard_is_passed_on_after_a_lost_connection(home: ValkeyServer) -> None:
    """The process never read that its subscription was ended, nor the answer."""
    async with process(home, "near") as near, process(home, "far") as far:
        async with behind(near, far) as (listener, clicker):
            await executed(far, clicker, "unheard")
            far.transport.abort()
        assert (await listener.pushed("session"))["session"]["dishes"] == 1


async def test_news_that_is_lost_with_the_connection_is_published_over_the_next(home: ValkeyServer) -> None:
    """The process read the end of its subscription, and its answer; what it said then never arrived."""
    async with process(home, "near") as near, process(home, "far") as far:
        async with behind(near, far) as (listener, clicker):
            await executed(far, clicker, "unheard")
            transport = far.transport  # which takes nothing any more
            transport.write = lambda _: transport.abort()  # type: ignore[method-assign, assignment]
        await clicker.answer("unheard")
        assert (await listener.pushed("session"))["session"]["dishes"] == 1


@pytest.mark.parametrize("connection_lost", [False, True])
async def test_what_was_executed_unheard_is_passed_on_though_the_tab_has_left(
    home: ValkeyServer, connection_lost: bool
) -> None:
    """Nobody is connected any more to whom the end of the subscription matters."""
    async with process(home, "near") as near, process(home, "far") as far:
        async with behind(near, far) as (listener, clicker):
            await executed(far, clicker, "unheard")
            (exchange,) = far.hub.players[USER].exchanges
            clicker.closing = True
            far.hub.detach(exchange)
            if connection_lost:
                far.transport.abort()
        assert (await listener.pushed("session"))["session"]["dishes"] == 1


async def test_an_end_that_is_heard_between_two_lanes_counts(
    cluster_nodes: list[ValkeyServer], home: ValkeyServer
) -> None:
    """The bucket leaves its lane for a moment, as where a node is asked that knows less, and comes back."""
    away = next(node for node in cluster_nodes if node is not home)
    async with process(home, "near") as near, process(home, "far") as far:
        first = far.lanes.lane_of(USER)
        async with behind(near, far) as (listener, clicker):
            await executed(far, clicker, "unheard")
            far.lanes.port, far.lanes.rest_port = away.port, home.port
            await far.lanes.refreshed()
            assert far.lanes.lane_of(USER) is not first
            far.lanes.port = home.port
            await far.lanes.refreshed()
        assert (await listener.pushed("session"))["session"]["dishes"] == 1
        await until(lambda: far.lanes.lane_of(USER) is first)


async def test_replies_go_to_those_who_asked_where_a_player_and_the_slot_leave_together(
    cluster_nodes: list[ValkeyServer], home: ValkeyServer
) -> None:
    """Redis ends the subscription of itself, and then refuses to end it: two replies to one command."""
    away = next(node for node in cluster_nodes if node is not home)
    slot, target = slot_of(USER), str(away.ask("CLUSTER", "MYID"))
    async with process(home, "far") as far:
        far.put()
        await far.joined()
        await far.settled()
        (lane,) = far.lanes.all
        assert lane.depth == 0
        far.transport.pause_reading()
        home.ask("DEL", session_key(USER), dirty_key(bucket_of(USER)))
        try:
            for node in (away, home):
                node.ask("CLUSTER", "SETSLOT", slot, "NODE", target)
            (exchange,) = far.hub.players[USER].exchanges
            far.hub.detach(exchange)
            calls = [lane.call("ECHO", number) for number in range(6)]
            far.transport.resume_reading()
            assert [int(cast("bytes", reply)) for reply in await asyncio.gather(*calls)] == list(range(6))
            assert lane.up
        finally:
            for node in (home, away, *cluster_nodes):
                node.ask("CLUSTER", "SETSLOT", slot, "NODE", str(home.ask("CLUSTER", "MYID")))
