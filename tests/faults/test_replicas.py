"""WAIT_REPLICAS: what a replica does not have yet is not answered as done."""

from __future__ import annotations

import asyncio
import signal
from typing import TYPE_CHECKING

from tests.support.game_server import running_game
from tests.support.limits import LIMIT_S
from tests.support.players import EXTERNAL, player
from tests.support.servers import free_port, running_valkey

if TYPE_CHECKING:
    from tests.support.servers import ValkeyServer


def follow(replica: ValkeyServer, master: ValkeyServer) -> None:
    """Make one Valkey the replica of another, and wait until it has everything."""
    replica.ask("REPLICAOF", "127.0.0.1", master.port)
    for _ in range(200):
        if master.ask("WAIT", 1, 100) == 1:
            return
    raise TimeoutError("the replica never caught up")


async def test_an_answer_waits_for_the_replica(module_databases: dict[str, str]) -> None:
    """With a replica clicks are answered; while it hangs they are `maybe_applied`, and count once."""
    with running_valkey(port=free_port()) as master, running_valkey(port=free_port()) as replica:
        await asyncio.to_thread(follow, replica, master)
        settings = {**EXTERNAL, **module_databases, "REDIS_CONNECTION": master.url, "WAIT_REPLICAS": "1"}
        with running_game(settings) as server:
            async with player(server) as anna:
                await anna.ask("session", client="tab")
                await anna.ask("upgrade_buy", id=1)
                for seq in range(1, 21):
                    assert (await anna.ask("cook", client="tab", seq=seq))["dishes"] == seq
                assert replica.process is not None
                replica.process.send_signal(signal.SIGSTOP)
                try:
                    refused = await anna.ask("cook", client="tab", seq=21)
                    assert (refused["code"], refused["maybe_applied"]) == ("unavailable", True)
                finally:
                    replica.process.send_signal(signal.SIGCONT)
                async with asyncio.timeout(LIMIT_S):
                    while True:
                        again = await anna.ask("cook", client="tab", seq=21)
                        if "code" not in again:
                            break
                assert (again["dishes"], again["duplicate"]) == (21, True)
