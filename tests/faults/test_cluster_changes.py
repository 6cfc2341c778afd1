"""A cluster that changes while people play: a slot moves, a master fails over to its replica."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from game.session import UserId
from persistence.live.keys import SLOT_OF_BUCKET, bucket_of
from tests.support import servers
from tests.support.game_server import running_game
from tests.support.limits import LIMIT_S
from tests.support.players import EXTERNAL, player, register

if TYPE_CHECKING:
    from tests.support.players import Player
    from tests.support.servers import ValkeyServer


def slot_of(user_id: int) -> int:
    """The slot that a user's keys live in."""
    return SLOT_OF_BUCKET[bucket_of(UserId(user_id))]


def owner_of(nodes: list[ValkeyServer], slot: int) -> ValkeyServer:
    """The master that has a slot, by what the first node says."""
    for first, last, master, *_ in nodes[0].ask("CLUSTER", "SLOTS"):  # type: ignore[attr-defined]  # nested lists
        if first <= slot <= last:
            return next(node for node in nodes if node.port == master[1])
    raise LookupError(slot)


def migrate_slot(nodes: list[ValkeyServer], slot: int, target: ValkeyServer) -> None:
    """Move a slot with its keys, as redis-cli does, one key at a time."""
    source = owner_of(nodes, slot)
    source_id, target_id = source.ask("CLUSTER", "MYID"), target.ask("CLUSTER", "MYID")
    target.ask("CLUSTER", "SETSLOT", slot, "IMPORTING", str(source_id))
    source.ask("CLUSTER", "SETSLOT", slot, "MIGRATING", str(target_id))
    while keys := source.ask("CLUSTER", "GETKEYSINSLOT", slot, 1):
        source.ask("MIGRATE", "127.0.0.1", target.port, "", 0, 5000, "KEYS", *keys)  # type: ignore[misc]  # a list
    for node in (target, source, *nodes):
        node.ask("CLUSTER", "SETSLOT", slot, "NODE", str(target_id))


async def click_until(each: Player, done: asyncio.Event, first_seq: int) -> int:
    """Cook with numbers until told to stop, resending what was not answered; return the last number."""
    seq = first_seq
    while not done.is_set():
        answer = await each.ask("cook", client="tab", seq=seq)
        if "code" not in answer:
            seq += 1
        else:
            assert answer["code"] == "unavailable"
    return seq - 1


async def test_a_slot_moves_under_a_clicking_player(
    module_databases: dict[str, str], cluster_nodes: list[ValkeyServer]
) -> None:
    """Clicks go on while their slot moves there and back; a second connection is sent each; none is lost."""
    settings = {**EXTERNAL, **module_databases, "REDIS_CONNECTION": servers.cluster_url(cluster_nodes)}
    with running_game(settings) as server:
        token = register(server)["access_token"]
        async with player(server, token) as anna, player(server, token) as tablet:
            user_id = (await anna.ask("session"))["session"]["user_id"]
            await anna.ask("upgrade_buy", id=1)
            await tablet.ask("session")
            slot = slot_of(user_id)
            home = owner_of(cluster_nodes, slot)
            away = next(node for node in cluster_nodes if node is not home)
            done = asyncio.Event()
            clicking = asyncio.create_task(click_until(anna, done, 1))
            for target in (away, home):
                await asyncio.to_thread(migrate_slot, cluster_nodes, slot, target)
                seen = (await tablet.push("cook"))["version"]
                tablet.pushes.clear()
                while (await tablet.push("cook"))["version"] <= seen:
                    tablet.pushes.clear()
            done.set()
            clicks = await clicking
            assert clicks > 0
            assert (await anna.ask("session", client="tab"))["session"]["dishes"] == clicks


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
                assert master.ask("WAIT", 1, 2000) == 1
                master.kill()
                async with asyncio.timeout(LIMIT_S):
                    while True:
                        answer = await anna.ask("cook", client="tab", seq=51)
                        if "code" not in answer:
                            break
                assert answer["dishes"] == 51
