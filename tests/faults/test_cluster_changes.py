"""A cluster that changes while people play: a slot moves, a master fails over to its replica."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from typing import TYPE_CHECKING

from game.session import UserId
from persistence.live.keys import bucket_of
from persistence.live.lane_contract import pack
from persistence.live.lanes import FirstCommand, Lanes
from tests.support import servers
from tests.support.game_server import running_game
from tests.support.limits import LIMIT_S
from tests.support.plain_keys import channel, dirty_key
from tests.support.players import EXTERNAL, click_until, player, register
from tests.support.slots import empty_slot, end_of_move, migrate_slot, owner_of, slot_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from persistence.live.lane import Lane
    from runtime.url_parts import Node
    from tests.support.servers import ValkeyServer


async def until_saved(node: ValkeyServer, user_id: int) -> None:
    """Wait until a player whose slot is on its way to a node has no mark there."""
    with node.client() as client:
        async with asyncio.timeout(LIMIT_S):
            while True:
                client.execute_command("ASKING")
                if client.execute_command("ZCARD", dirty_key(bucket_of(UserId(user_id)))) == 0:
                    return
                await asyncio.sleep(servers.POLL_S)


async def test_a_slot_moves_under_a_clicking_player(
    module_databases: dict[str, str], cluster_nodes: list[ValkeyServer]
) -> None:
    """Clicks go on while their slot moves there and back; a second connection is sent each; none is lost."""
    settings = {**EXTERNAL, **module_databases, "REDIS_CONNECTION": servers.cluster_url(cluster_nodes)}
    with running_game(settings) as server:
        token = register(server)["access_token"]
        async with player(server, token) as anna, player(server, token) as tablet:
            opened = await anna.ask("session", client="tab")
            # The cluster may know a player of this id from another test and database, with the same tab.
            user_id, dishes = opened["session"]["user_id"], opened["session"]["dishes"]
            first_seq = opened["last_seq"] + 1
            await anna.ask("upgrade_buy", id=1)
            await tablet.ask("session")
            slot = slot_of(user_id)
            home = owner_of(cluster_nodes, slot)
            away = next(node for node in cluster_nodes if node is not home)
            done = asyncio.Event()
            clicking = asyncio.create_task(click_until(anna, done, first_seq))
            for target in (away, home):
                await asyncio.to_thread(migrate_slot, cluster_nodes, slot, target)
                seen = (await tablet.push("cook"))["version"]
                tablet.pushes.clear()
                while (await tablet.push("cook"))["version"] <= seen:
                    tablet.pushes.clear()
            done.set()
            clicks = await clicking - first_seq + 1
            assert clicks > 0
            assert (await anna.ask("session", client="tab"))["session"]["dishes"] == dishes + clicks


async def test_a_slot_that_takes_long_to_move_refuses_no_click(
    module_databases: dict[str, str], cluster_nodes: list[ValkeyServer]
) -> None:
    """All keys have left and the slot is still called the old master's: clicks go on, tabs are sent news."""
    settings = {**EXTERNAL, **module_databases, "REDIS_CONNECTION": servers.cluster_url(cluster_nodes)}
    with running_game(settings) as first, running_game(settings) as second:
        token = register(first)["access_token"]
        async with player(first, token) as anna, player(second, token) as tablet:
            opened = (await anna.ask("session"))["session"]
            # The cluster may know a player of this id from another test and database.
            user_id, dishes = opened["user_id"], opened["dishes"]
            await anna.ask("upgrade_buy", id=1)
            await tablet.ask("session")
            slot = slot_of(user_id)
            away = next(node for node in cluster_nodes if node is not owner_of(cluster_nodes, slot))
            await asyncio.to_thread(empty_slot, cluster_nodes, slot, away)
            try:
                for number in range(1, 6):
                    assert (await anna.ask("cook", client="tab", seq=number))["dishes"] == dishes + number
                    await until_saved(away, user_id)
                shown = await tablet.push("session")
                while shown["session"]["dishes"] < dishes + 5:
                    shown = await tablet.push("session")
            finally:
                await asyncio.to_thread(end_of_move, cluster_nodes, slot, away)
            assert (await anna.ask("cook", client="tab", seq=6))["dishes"] == dishes + 6


async def test_a_tab_that_only_listens_is_told_where_its_slot_moved_meanwhile(
    module_databases: dict[str, str], cluster_nodes: list[ValkeyServer]
) -> None:
    """A process that stood still while a slot moved sends its tabs what was cooked meanwhile."""
    settings = {**EXTERNAL, **module_databases, "REDIS_CONNECTION": servers.cluster_url(cluster_nodes)}
    with running_game(settings) as first, running_game(settings) as second:
        token = register(first)["access_token"]
        async with player(first, token) as anna, player(second, token) as tablet:
            user_id = (await anna.ask("session"))["session"]["user_id"]
            await anna.ask("upgrade_buy", id=1)
            await tablet.ask("session")
            slot = slot_of(user_id)
            home = owner_of(cluster_nodes, slot)
            away = next(node for node in cluster_nodes if node is not home)
            second.send(signal.SIGSTOP)
            try:
                await asyncio.to_thread(migrate_slot, cluster_nodes, slot, away)
                cooked = await anna.ask("cook")
            finally:
                second.send(signal.SIGCONT)
            shown = await tablet.push("session")
            while shown["version"] < cooked["version"]:
                shown = await tablet.push("session")
            assert shown["session"]["dishes"] == cooked["dishes"]


class LateToHear(Lanes):
    """Lanes whose nodes do not know of the last move at the first question after it."""

    last: tuple[Node, object] | None = None
    late = False

    async def _cluster_slots(self) -> tuple[Node, object]:
        if self.late and self.last is not None:
            self.late = False
            return self.last
        self.last = await super()._cluster_slots()
        return self.last


class Ear:
    """Needs one player's channel wherever that is, and keeps what is published on it."""

    def __init__(self, lanes: Lanes, user_id: UserId) -> None:
        self.heard: asyncio.Queue[list[bytes]] = asyncio.Queue()
        self._lanes = lanes
        self._user_id = user_id

    def channels_of(self, lane: Lane) -> list[bytes]:
        """Name the channel on its lane."""
        here = self._lanes.lane_of(self._user_id) is lane
        return [channel(self._user_id).encode()] if here else []

    def first_commands(self, lane: Lane) -> list[FirstCommand]:  # noqa: ARG002 - the contract of Hearer
        """Nothing is to be sent."""
        return []

    def lane_ready(self, lane: Lane) -> None:
        """Nothing waits for it."""

    def subscribed(self, lane: Lane, channel: bytes) -> None:  # noqa: ARG002 - the contract of Hearer
        """Keep that it is heard, for a test to wait for."""
        self.heard.put_nowait([b"subscribed"])

    def unheard(self, lane: Lane, channel: bytes) -> None:
        """Nothing is missed."""

    def published(self, channel: bytes, words: list[bytes]) -> None:  # noqa: ARG002 - as above
        """Keep a publication."""
        self.heard.put_nowait(words)


@contextlib.asynccontextmanager
async def late_lanes(nodes: list[ValkeyServer]) -> AsyncIterator[LateToHear]:
    """Make lanes; the test starts them."""
    lanes = LateToHear(servers.cluster_url(nodes), "test", {})
    try:
        yield lanes
    finally:
        await lanes.stop()


async def test_a_subscription_comes_back_where_the_move_is_heard_of_late(
    cluster_nodes: list[ValkeyServer],
) -> None:
    """The node that is asked names the slot's old master once more: the subscription is made all the same."""
    user_id = UserId(77)
    async with late_lanes(cluster_nodes) as lanes:
        ear = Ear(lanes, user_id)
        await lanes.start(ear)
        async with asyncio.timeout(LIMIT_S):
            assert await ear.heard.get() == [b"subscribed"]
            home = owner_of(cluster_nodes, slot_of(user_id))
            away = next(node for node in cluster_nodes if node is not home)
            lanes.late = True
            await asyncio.to_thread(migrate_slot, cluster_nodes, slot_of(user_id), away)
            assert await ear.heard.get() == [b"subscribed"]
            assert away.ask("SPUBLISH", channel(user_id), "other news") == 1
            heard = [b"subscribed"]
            while heard == [b"subscribed"]:  # more than once where the cluster is slow to agree
                heard = await ear.heard.get()
            assert heard == [b"news"]


async def test_a_slot_is_found_again_though_nobody_follows_its_error(
    cluster_nodes: list[ValkeyServer],
) -> None:
    """Ticks leave an error to the next tick: the lanes follow the slot by themselves."""
    user_id = UserId(78)
    async with late_lanes(cluster_nodes) as lanes:
        await lanes.start(Ear(lanes, UserId(79)))
        assert await lanes.wait_up(LIMIT_S)
        home = owner_of(cluster_nodes, slot_of(user_id))
        away = next(node for node in cluster_nodes if node is not home)
        await asyncio.to_thread(migrate_slot, cluster_nodes, slot_of(user_id), away)
        before = lanes.lane_of(user_id)
        before.send(pack("GET", f"any:{{{bucket_of(user_id)}}}"), lambda _: None)
        async with asyncio.timeout(LIMIT_S):
            # Between the two masters the bucket has a lane that is neither's.
            while not lanes.lane_of(user_id).name.endswith(f":{away.port}"):  # noqa: ASYNC110 - no event
                await asyncio.sleep(servers.POLL_S)


async def test_a_master_fails_over_to_its_replica(module_databases: dict[str, str]) -> None:
    """The master is killed during clicks; its replica takes over and play goes on without a restart.

    What Redis replication had not carried over may be lost; what PostgreSQL has never is, and nothing counts
    twice. Here the replica is waited for, so all of it is there.
    """
    with servers.running_cluster(masters=3, replicas=1) as nodes:
        settings = {**EXTERNAL, **module_databases, "REDIS_CONNECTION": servers.cluster_url(nodes)}
        with running_game(settings) as server:
            async with player(server) as anna:
                user_id = (await anna.ask("session"))["session"]["user_id"]
                await anna.ask("upgrade_buy", id=1)
                for seq in range(1, 51):
                    await anna.ask("cook", client="tab", seq=seq)
                master = owner_of(nodes, slot_of(user_id))
                await asyncio.to_thread(servers.wait_for_replicas, master, nodes)
                master.kill()
                async with asyncio.timeout(LIMIT_S):
                    while True:
                        answer = await anna.ask("cook", client="tab", seq=51)
                        if "code" not in answer:
                            break
                assert answer["dishes"] == 51
