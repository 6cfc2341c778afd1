"""One user's connections over several server processes: each is sent each change once, in order."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any

import pytest

from tests.support import servers
from tests.support.game_server import GameServer, running_game
from tests.support.players import EXTERNAL, Player, joined, player, register

if TYPE_CHECKING:
    from collections.abc import Iterator

CONNECTIONS = 8
CLICKS = 40


@pytest.fixture(scope="module", params=["one Redis", "a cluster"])
def redis_url(
    request: pytest.FixtureRequest,
    module_databases: dict[str, str],
    cluster_nodes: list[servers.ValkeyServer],
) -> str:
    """The same tests over one Valkey and over a cluster of three masters."""
    if request.param == "one Redis":
        return module_databases["REDIS_CONNECTION"]
    return servers.cluster_url(cluster_nodes)


@pytest.fixture(scope="module")
def two_servers(redis_url: str, module_databases: dict[str, str]) -> Iterator[tuple[GameServer, GameServer]]:
    """Two servers, the second with two workers, over the same databases."""
    settings = {**EXTERNAL, **module_databases, "REDIS_CONNECTION": redis_url}
    with running_game(settings) as first, running_game({**settings, "WORKERS": "2"}) as second:
        yield first, second


async def test_each_connection_is_told_of_each_change_once(
    two_servers: tuple[GameServer, GameServer],
) -> None:
    """Eight connections click at once; versions only grow on each, and the totals are exact."""
    token = register(two_servers[0])["access_token"]
    async with contextlib.AsyncExitStack() as stack:
        tabs = [await joined(stack, two_servers[index % 2], token) for index in range(CONNECTIONS)]
        await tabs[0].ask("upgrade_buy", id=1)
        for each in tabs:
            await each.ask("session")
            each.pushes.clear()
        seen = await asyncio.gather(*(click_and_listen(each) for each in tabs))
        total = CONNECTIONS * CLICKS
        for messages in seen:
            versions = [message["data"]["version"] for message in messages]
            assert versions == sorted(set(versions))
            assert sorted(message["data"]["dishes"] for message in messages) == list(range(1, total + 1))
        final = await tabs[-1].ask("session")
        assert final["session"]["dishes"] == total


async def test_reads_and_errors_go_to_the_sender_alone(two_servers: tuple[GameServer, GameServer]) -> None:
    """What another process' connection hears next, after reads and errors here, is the next change."""
    token = register(two_servers[0])["access_token"]
    async with player(two_servers[0], token) as anna, player(two_servers[1], token) as tablet:
        await anna.ask("session")
        await tablet.ask("session")
        await anna.ask("level_check")
        await anna.ask("upgrade_list")
        await anna.ask("cook")
        bought = await anna.ask("upgrade_buy", id=1)
        assert (await tablet.receive())["data"] == bought


async def test_a_killed_process_takes_no_click_with_it(two_servers: tuple[GameServer, GameServer]) -> None:
    """Killed during clicks: what was answered counts; resent elsewhere with its number it counts once."""
    first, second = two_servers
    token = register(first)["access_token"]
    async with player(second, token) as witness:
        await witness.ask("session")
        await witness.ask("upgrade_buy", id=1)
        async with player(first, token) as anna:
            for seq in range(1, 31):
                await anna.send("cook", client="tab", seq=seq)
            for _ in range(10):
                await anna.receive()
            first.kill()
        for seq in range(1, 31):
            await witness.ask("cook", client="tab", seq=seq)
        assert (await witness.ask("session"))["session"]["dishes"] == 30
    first.start()


async def click_and_listen(each: Player) -> list[dict[str, Any]]:
    """Cook CLICKS times and hear everybody's; return every message of a cook in the order of arrival."""
    heard: list[dict[str, Any]] = []

    async def hear() -> str:
        message = await each.receive()
        if message["request_type"] == "cook":
            heard.append(message)
        request_id: str = message["request_id"]
        return request_id

    for _ in range(CLICKS):
        request_id = await each.send("cook")
        while await hear() != request_id:
            pass
    while len(heard) < CONNECTIONS * CLICKS:
        await hear()
    return heard
