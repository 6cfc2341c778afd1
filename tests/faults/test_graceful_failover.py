"""A cluster's operator has a replica take over: the old master waits until the replica has everything."""

from __future__ import annotations

import asyncio
import contextlib
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import pytest
from redis import ResponseError

from tests.support import servers
from tests.support.game_server import running_game
from tests.support.limits import LIMIT_S
from tests.support.players import EXTERNAL, Player, player, register
from tests.support.slots import owner_of, slot_of

if TYPE_CHECKING:
    from tests.support.game_server import GameServer
    from tests.support.servers import ValkeyServer

GIVEN_UP_AFTER_S: Final = 10.0


@dataclass(slots=True)
class Played:
    """What the player did, and what was refused: requests are repeated for two seconds."""

    done: asyncio.Event = field(default_factory=asyncio.Event)
    clicks: int = 0
    came: int = 0
    refused: int = 0

    async def click(self, each: Player) -> None:
        """Cook with numbers until told to stop; send again what was refused."""
        while not self.done.is_set():
            if self._counts(await each.ask("cook", client="tab", seq=self.clicks + 1)):
                self.clicks += 1

    async def come(self, server: GameServer, token: str) -> None:
        """Connect and show the log-in, again and again, until told to stop."""
        while not self.done.is_set():
            async with player(server, token) as each:
                self.came += self._counts(await each.ask("level_check"))

    def _counts(self, answer: dict[str, Any]) -> bool:
        code = answer.get("code")
        assert code in (None, "unavailable")
        self.refused += code is not None
        return code is None


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


async def has_taken_over(nodes: list[ValkeyServer], user_id: int, replica: ValkeyServer) -> bool:
    """Ask a replica to take over; return whether it has, by what the first node says.

    Redis gives that up after five seconds, so it may have to be asked again.
    """
    with contextlib.suppress(ResponseError):  # it has been a master since it was asked before
        await asyncio.to_thread(replica.ask, "CLUSTER", "FAILOVER")
    end_s = time.monotonic() + GIVEN_UP_AFTER_S
    while time.monotonic() < end_s:
        if await asyncio.to_thread(owner_of, nodes, slot_of(user_id)) is replica:
            return True
        await asyncio.sleep(servers.POLL_S)
    return False


async def fail_over(nodes: list[ValkeyServer], user_id: int) -> None:
    """Let the replica of a player's master take over in order."""
    master = owner_of(nodes, slot_of(user_id))
    replica = await asyncio.to_thread(replica_of, nodes, master)
    end_s = time.monotonic() + LIMIT_S
    while not await has_taken_over(nodes, user_id, replica):
        assert time.monotonic() < end_s


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
                while "code" in await anna.ask("upgrade_buy", client="other", id=1, seq=1):
                    pass
                await tablet.ask("session")
                played = Played()
                playing = asyncio.gather(played.click(anna), played.come(server, token))
                without_refusal = 0
                async with asyncio.timeout(LIMIT_S):
                    while without_refusal < 2:
                        refused = played.refused
                        await fail_over(nodes, user_id)
                        seen = (await tablet.push("cook"))["version"]
                        while (await tablet.push("cook"))["version"] <= seen:
                            tablet.pushes.clear()
                        without_refusal += played.refused == refused
                played.done.set()
                await playing
                assert played.came > 0
                assert (await anna.ask("session"))["session"]["dishes"] == played.clicks
