"""Passive income of a player connected to several processes: paid and pushed once a second, not once each."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.game_server import GameServer, running_game
from tests.support.players import EXTERNAL, Player, joined, player
from tests.support.seeding import seeded_player
from tests.support.servers import ValkeyServer, running_valkey

if TYPE_CHECKING:
    from collections.abc import Iterator

PUSHES = 5
PRO_OVEN = "70:3"
"""Three ovens: three dishes a second, 0.6 xp a second."""


@pytest.fixture(scope="module")
def valkey() -> Iterator[ValkeyServer]:
    """A Valkey to look into."""
    with running_valkey() as server:
        yield server


@pytest.fixture(scope="module")
def servers(
    valkey: ValkeyServer, module_databases: dict[str, str]
) -> Iterator[tuple[GameServer, GameServer]]:
    """Two servers, the second with two workers: three processes that tick."""
    settings = {**EXTERNAL, **module_databases, "REDIS_CONNECTION": valkey.url}
    with running_game(settings) as first, running_game({**settings, "WORKERS": "2"}) as second:
        second.wait_for_log("workers_ready")
        yield first, second


async def test_income_is_paid_and_pushed_once_a_second_over_three_processes(
    servers: tuple[GameServer, GameServer], valkey: ValkeyServer, module_databases: dict[str, str]
) -> None:
    """Each of seven connections hears each second once, and what was paid is what the seconds earn."""
    anna = await seeded_player(module_databases["DB_CONNECTION"], bought=f"1:1,{PRO_OVEN}")
    async with contextlib.AsyncExitStack() as stack:
        tabs = [await joined(stack, servers[index > 0], anna.token) for index in range(7)]
        start = paid_until(anna.fields(valkey, "dishes", "accrued_at"))
        for each in tabs:
            await each.ask("session")
            each.pushes.clear()
        heard = await asyncio.gather(*(listen(each) for each in tabs))
        await tabs[0].ask("passive")
        end = paid_until(anna.fields(valkey, "dishes", "accrued_at"))
    seconds = (end[1] - start[1]) // 1000
    assert end[0] - start[0] == 3 * seconds
    for messages in heard:
        # A machine too busy for a tick pays two seconds with the next one; never is one told twice.
        assert PUSHES <= len(messages) <= seconds + 1
        versions = [message["version"] for message in messages]
        assert versions == sorted(set(versions))
        dishes = [message["dishes"] for message in messages]
        assert all(
            (later - earlier) % 3 == 0 < later - earlier for earlier, later in itertools.pairwise(dishes)
        )


async def test_a_player_alone_on_one_connection_costs_no_message(
    servers: tuple[GameServer, GameServer], valkey: ValkeyServer, module_databases: dict[str, str]
) -> None:
    """Ticks and clicks of one connection publish nothing; with a second connection elsewhere each does."""
    anna = await seeded_player(module_databases["DB_CONNECTION"], bought=f"1:1,{PRO_OVEN}")
    async with player(servers[0], anna.token) as alone:
        await alone.ask("session")
        valkey.ask("CONFIG RESETSTAT")
        for _ in range(20):
            await alone.ask("cook")
        await alone.push("passive")
        assert published(valkey) == 0
        async with player(servers[1], anna.token) as other:
            await other.ask("session")
            for _ in range(20):
                await alone.ask("cook")
            for _ in range(20):
                await other.push("cook")
        assert published(valkey) >= 20


def paid_until(fields: list[str]) -> tuple[int, int]:
    """Read dishes and the time (ms) up to which they are paid."""
    return int(fields[0]), int(fields[1])


async def listen(each: Player) -> list[dict[str, Any]]:
    """Return the next `passive` pushes."""
    heard: list[dict[str, Any]] = []
    while len(heard) < PUSHES:
        message = await each.receive()
        assert message["request_id"] == ""
        if message["request_type"] == "passive":
            heard.append(message["data"])
    return heard


def published(valkey: ValkeyServer) -> int:
    """Count the messages published since the statistics were reset."""
    with valkey.client() as client:
        found = client.info("commandstats").get("cmdstat_spublish")
    return int(found["calls"]) if found else 0
