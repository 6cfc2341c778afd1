"""What is subscribed to on a lane: publications, confirmations and ends among the replies to commands."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Final, cast

from persistence.live.keys import Bucket
from persistence.live.lane_contract import pack
from persistence.live.lanes import Lanes
from scripts.ports import free_port
from tests.support.lanes import CHANNEL, Hearer, running_lane
from tests.support.limits import LIMIT_S
from tests.support.servers import POLL_S, cluster_options, running_valkey

if TYPE_CHECKING:
    from persistence.live.lanes import Hearer as LanesHearer
    from tests.support.servers import ValkeyServer

NOTHING: Final[dict[str, Any]] = {
    "first_commands": lambda _: [],
    "lane_ready": lambda _: None,
    "subscribed": lambda *_: None,
    "published": lambda *_: None,
}
"""The rest of what lanes tell their hearer."""


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


async def test_a_connection_that_ends_is_counted_where_its_channels_were_heard(
    own_valkey: ValkeyServer,
) -> None:
    """What is computed without asking rests on the count; a channel that was left changes nothing."""
    lanes = Lanes(own_valkey.url, "me", {})
    try:
        await lanes.start(cast("LanesHearer", SimpleNamespace(channels_of=lambda _: [], **NOTHING)))
        assert await lanes.wait_up(LIMIT_S)
        lane = lanes.lane_for(Bucket(1))
        for channel in (CHANNEL, b"left:{1}"):
            lane.subscribe(channel)
        lane.unsubscribe(b"left:{1}")
        await lane.call("PING")
        assert (lane.hears(CHANNEL), lane.hears(b"left:{1}"), lanes.lapses) == (True, False, 0)
        own_valkey.ask("CLIENT", "KILL", "TYPE", "pubsub")
        async with asyncio.timeout(LIMIT_S):
            while lane.hears(CHANNEL):  # noqa: ASYNC110 - nothing announces it
                await asyncio.sleep(POLL_S)
        assert lanes.lapses == 1
    finally:
        await lanes.stop()
