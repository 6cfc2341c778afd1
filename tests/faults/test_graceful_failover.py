"""A cluster's operator has a replica take over: the old master waits until the replica has everything."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

import pytest

from tests.support import servers
from tests.support.game_server import running_game
from tests.support.limits import LIMIT_S
from tests.support.players import EXTERNAL, click_until, player, register
from tests.support.slots import owner_of, slot_of

if TYPE_CHECKING:
    from tests.support.game_server import GameServer
    from tests.support.servers import ValkeyServer


async def come_until(server: GameServer, token: str, done: asyncio.Event) -> int:
    """Connect and show the log-in, again and again, until told to stop; none is refused. Return how often."""
    count = 0
    while not done.is_set():
        async with player(server, token) as each:
            assert "code" not in await each.ask("level_check")
        count += 1
    return count


def replica_of(nodes: list[ValkeyServer], master: ValkeyServer) -> ValkeyServer:
    """Return the replica of a master, once it is in touch with it."""
    end_s = time.monotonic() + LIMIT_S
    while time.monotonic() < end_s:
        for node in nodes:
            facts = node.facts("INFO replication")
            if facts.get("master_port") == str(master.port) and facts["master_link_status"] == "up":
                return node
        time.sleep(servers.POLL_S)
    raise TimeoutError("no replica")


async def until_master(nodes: list[ValkeyServer], user_id: int, node: ValkeyServer) -> None:
    """Wait until a node has a player's slot, by what the first node says."""
    async with asyncio.timeout(LIMIT_S):
        while (await asyncio.to_thread(owner_of, nodes, slot_of(user_id))) is not node:  # noqa: ASYNC110 - no event
            await asyncio.sleep(servers.POLL_S)


@pytest.mark.parametrize("wait_replicas", ["0", "1"])
async def test_a_graceful_failover_refuses_nobody(
    module_databases: dict[str, str], wait_replicas: str
) -> None:
    """A replica takes over in order, twice: clicks go on, who comes meanwhile plays, nothing is lost."""
    with servers.running_cluster(masters=3, replicas=1) as nodes:
        settings = {**EXTERNAL, **module_databases, "REDIS_CONNECTION": servers.cluster_url(nodes)}
        with running_game({**settings, "WAIT_REPLICAS": wait_replicas}) as server:
            token = register(server)["access_token"]
            async with player(server, token) as anna, player(server, token) as tablet:
                user_id = (await anna.ask("session"))["session"]["user_id"]
                await anna.ask("upgrade_buy", id=1)
                await tablet.ask("session")
                done = asyncio.Event()
                clicking = asyncio.create_task(click_until(anna, done, 1))
                coming = asyncio.create_task(come_until(server, token, done))
                for _ in range(2):
                    master = owner_of(nodes, slot_of(user_id))
                    replica = await asyncio.to_thread(replica_of, nodes, master)
                    await asyncio.to_thread(replica.ask, "CLUSTER", "FAILOVER")
                    await until_master(nodes, user_id, replica)
                    seen = (await tablet.push("cook"))["version"]
                    while (await tablet.push("cook"))["version"] <= seen:
                        tablet.pushes.clear()
                done.set()
                clicks = await clicking
                assert await coming > 0
                assert (await anna.ask("session"))["session"]["dishes"] == clicks
