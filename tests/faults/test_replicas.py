"""WAIT_REPLICAS: what a replica does not have yet is not answered as done."""

from __future__ import annotations

import asyncio
import signal
import time
from typing import TYPE_CHECKING, Any

import httpx

from scripts.ports import free_port
from tests.support.game_server import running_game
from tests.support.limits import LIMIT_S
from tests.support.players import EXTERNAL, player, register
from tests.support.servers import POLL_S, running_valkey, wait_for_replicas

if TYPE_CHECKING:
    from tests.support.game_server import GameServer
    from tests.support.players import Player
    from tests.support.servers import ValkeyServer


def follow(replica: ValkeyServer, master: ValkeyServer) -> None:
    """Make one Valkey the replica of another, and wait until it has everything."""
    replica.ask("REPLICAOF", "127.0.0.1", master.port)
    end_s = time.monotonic() + LIMIT_S
    while time.monotonic() < end_s:
        if master.ask("WAIT", 1, 100) == 1:
            wait_for_replicas(master, [replica])
            return
    raise TimeoutError("the replica never caught up")


async def redis_words(server: GameServer, wanted: str) -> None:
    """Wait until `/readyz` says something of Redis."""
    async with asyncio.timeout(LIMIT_S), httpx.AsyncClient(timeout=LIMIT_S) as client:
        while True:
            if wanted in (await client.get(f"{server.url}/readyz")).json()["redis"]:
                return
            await asyncio.sleep(POLL_S)


async def cooked(each: Player) -> dict[str, Any]:
    """Cook until it is answered."""
    async with asyncio.timeout(LIMIT_S):
        while "code" in (answer := await each.ask("cook")):
            assert answer["code"] == "unavailable"
    return answer


async def confirmed(each: Player, request_type: str, **data: object) -> dict[str, Any]:
    """Send the same numbered request until a replica has it: a busy one may take over a second."""
    async with asyncio.timeout(LIMIT_S):
        while "code" in (answer := await each.ask(request_type, client="tab", **data)):
            assert (answer["code"], answer["maybe_applied"]) == ("unavailable", True)
    return answer


async def test_roles_are_exchanged_behind_an_address(module_databases: dict[str, str]) -> None:
    """A master that becomes a replica is left, which `/readyz` says; play goes on where one answers again."""
    with running_valkey(port=free_port()) as here, running_valkey(port=free_port()) as other:
        settings = {**EXTERNAL, **module_databases, "REDIS_CONNECTION": here.url}
        with running_game(settings) as server:
            async with player(server) as anna:
                await anna.ask("session")
                await anna.ask("upgrade_buy", id=1)
                assert (await cooked(anna))["dishes"] == 1
                await asyncio.to_thread(follow, other, here)
                await asyncio.to_thread(other.ask, "REPLICAOF", "NO", "ONE")
                await asyncio.to_thread(here.ask, "REPLICAOF", "127.0.0.1", other.port)
                assert (await anna.ask("cook"))["code"] == "unavailable"
                await redis_words(server, "it is a replica, not a master")
                await asyncio.to_thread(here.ask, "REPLICAOF", "NO", "ONE")
                assert (await cooked(anna))["dishes"] == 2
                await redis_words(server, "ok")


async def test_too_few_replicas_are_named(module_databases: dict[str, str]) -> None:
    """A master that refuses changes for want of replicas is named in `/readyz`."""
    with running_valkey() as master:
        settings = {**EXTERNAL, **module_databases, "REDIS_CONNECTION": master.url}
        with running_game(settings) as server:
            async with player(server) as anna:
                await anna.ask("session")
                await anna.ask("upgrade_buy", id=1)
                await asyncio.to_thread(master.ask, "CONFIG SET", "min-replicas-to-write", 1)
                assert (await anna.ask("cook"))["code"] == "unavailable"
                await redis_words(server, "too few replicas")


async def test_changes_that_no_replica_confirms_are_named(module_databases: dict[str, str]) -> None:
    """While no replica confirms changes, each is `maybe_applied`: `/readyz` says so, until one does."""
    with running_valkey(port=free_port()) as master, running_valkey(port=free_port()) as replica:
        await asyncio.to_thread(follow, replica, master)
        settings = {**EXTERNAL, **module_databases, "REDIS_CONNECTION": master.url, "WAIT_REPLICAS": "1"}
        with running_game(settings) as server:
            async with player(server) as anna:
                await anna.ask("session")
                await confirmed(anna, "upgrade_buy", id=1, seq=1)
                await asyncio.to_thread(replica.kill)
                assert (await anna.ask("cook"))["maybe_applied"] is True
                await redis_words(server, "fewer than WAIT_REPLICAS confirm")
                await asyncio.to_thread(replica.start)
                await asyncio.to_thread(follow, replica, master)
                await cooked(anna)
                await redis_words(server, "ok")


async def test_other_tabs_are_told_what_no_replica_has(module_databases: dict[str, str]) -> None:
    """With its replica gone a click is `maybe_applied`: the player's other tabs hear of it all the same.

    Those of the sender's process as well as those of another.
    """
    with running_valkey(port=free_port()) as master, running_valkey(port=free_port()) as replica:
        await asyncio.to_thread(follow, replica, master)
        settings = {**EXTERNAL, **module_databases, "REDIS_CONNECTION": master.url, "WAIT_REPLICAS": "1"}
        with running_game(settings) as server, running_game(settings) as second:
            token = register(server)["access_token"]
            async with (
                player(server, token) as anna,
                player(server, token) as tablet,
                player(second, token) as phone,
            ):
                await anna.ask("session")
                await confirmed(anna, "upgrade_buy", id=1, seq=1)
                await tablet.ask("session")
                await phone.ask("session")
                await asyncio.to_thread(replica.kill)
                refused = await anna.ask("cook")
                assert (refused["code"], refused["maybe_applied"]) == ("unavailable", True)
                assert (await phone.push("cook"))["dishes"] == 1
                assert (await tablet.push("session"))["session"]["dishes"] == 1


async def test_an_answer_waits_for_the_replica(module_databases: dict[str, str]) -> None:
    """With a replica clicks are answered; while it hangs they are `maybe_applied`, and count once."""
    with running_valkey(port=free_port()) as master, running_valkey(port=free_port()) as replica:
        await asyncio.to_thread(follow, replica, master)
        settings = {**EXTERNAL, **module_databases, "REDIS_CONNECTION": master.url, "WAIT_REPLICAS": "1"}
        with running_game(settings) as server:
            async with player(server) as anna:
                await anna.ask("session", client="tab")
                await confirmed(anna, "upgrade_buy", id=1, seq=100)
                for seq in range(101, 121):
                    assert (await confirmed(anna, "cook", seq=seq))["dishes"] == seq - 100
                assert replica.process is not None
                replica.process.send_signal(signal.SIGSTOP)
                try:
                    refused = await anna.ask("cook", client="tab", seq=121)
                    assert (refused["code"], refused["maybe_applied"]) == ("unavailable", True)
                finally:
                    replica.process.send_signal(signal.SIGCONT)
                again = await confirmed(anna, "cook", seq=121)
                assert (again["dishes"], again["duplicate"]) == (21, True)
