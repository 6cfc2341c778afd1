"""`client` and `seq` over everything that may come between: kills, other processes, flush and restore."""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING

import pytest

from tests.support.commands import run_command
from tests.support.game_server import GameServer, running_game
from tests.support.limits import LIMIT_S
from tests.support.players import EXTERNAL, Player, player, register
from tests.support.servers import ValkeyServer, running_valkey

if TYPE_CHECKING:
    from collections.abc import Iterator

WINDOW = 64


@pytest.fixture(scope="module")
def valkey() -> Iterator[ValkeyServer]:
    """A Valkey that the tests may empty."""
    with running_valkey() as server:
        yield server


@pytest.fixture(scope="module")
def settings(valkey: ValkeyServer, module_databases: dict[str, str]) -> dict[str, str]:
    """What both servers run with."""
    return {**EXTERNAL, **module_databases, "REDIS_CONNECTION": valkey.url}


@pytest.fixture(scope="module")
def running(settings: dict[str, str]) -> Iterator[tuple[GameServer, GameServer]]:
    """Two servers over the same databases."""
    with running_game(settings) as first, running_game(settings) as second:
        yield first, second


@pytest.fixture
def pair(running: tuple[GameServer, GameServer]) -> tuple[GameServer, GameServer]:
    """The two servers, both running whatever the test before did."""
    for server in running:
        if server.process is None:
            server.start()
    return running


async def ready_to_cook(each: Player) -> None:
    """Open a session and buy the sandwich."""
    await each.ask("session", client="tab")
    await each.ask("upgrade_buy", id=1)


async def resend_all(each: Player, last: int, count: int) -> int:
    """Send the last 64 numbers again; return how many were applied only now."""
    fresh = 0
    for seq in range(max(1, last - WINDOW + 1), last + 1):
        answer = await each.ask("cook", client="tab", seq=seq, count=count)
        assert "code" not in answer
        fresh += "duplicate" not in answer
        assert answer["applied"] == (0 if "duplicate" in answer else count)
    return fresh


async def test_windows_survive_stop_flush_and_an_emptied_redis(
    pair: tuple[GameServer, GameServer], valkey: ValkeyServer
) -> None:
    """Out of PostgreSQL come the same duplicates, the same gap, and the same limit of 64."""
    for server in pair:
        assert server.stop() == 0
    pair[0].start()
    token = register(pair[0])["access_token"]
    async with player(pair[0], token) as anna:
        await ready_to_cook(anna)
        for seq in [*range(1, 60), *range(61, 101)]:
            await anna.ask("cook", client="tab", seq=seq, count=3)
    assert pair[0].stop() == 0
    valkey.ask("FLUSHALL")
    pair[0].start()
    async with player(pair[0], token) as anna:
        assert (await anna.ask("session", client="tab"))["last_seq"] == 100
        assert (await anna.ask("cook", client="tab", seq=36))["code"] == "invalid_message"
        assert await resend_all(anna, 100, 3) == 1
        opened = await anna.ask("session", client="tab")
        assert opened["session"]["dishes"] == 3 * 100
        assert (await anna.ask("session", client="other"))["last_seq"] == 0


async def test_redis_emptied_under_a_player_who_resends(
    pair: tuple[GameServer, GameServer], valkey: ValkeyServer
) -> None:
    """What PostgreSQL has is not applied again; numbers that Redis lost are applied when they come again."""
    token = register(pair[0])["access_token"]
    async with player(pair[0], token) as anna:
        await ready_to_cook(anna)
        for seq in range(1, 21):
            saved = await anna.ask("cook", client="tab", seq=seq, count=5)
        async with asyncio.timeout(LIMIT_S):
            while True:
                if (await anna.ask("session"))["saved_version"] >= saved["version"]:
                    break
        valkey.ask("FLUSHALL")
        async with player(pair[1], token) as elsewhere:
            assert await resend_all(elsewhere, 20, 5) == 0
            assert (await elsewhere.ask("cook", client="tab", seq=21, count=5))["dishes"] == 5 * 21


async def test_a_restored_redis_knows_what_was_applied(
    pair: tuple[GameServer, GameServer], valkey: ValkeyServer, settings: dict[str, str]
) -> None:
    """`scripts.restore` into an empty Redis: every number is a duplicate there."""
    token = register(pair[0])["access_token"]
    async with player(pair[0], token) as anna:
        await ready_to_cook(anna)
        for seq in range(1, 11):
            await anna.ask("cook", client="tab", seq=seq, count=7)
    for server in pair:
        assert server.stop() == 0
    valkey.ask("FLUSHALL")
    words = ("scripts.restore", "--active-since", "24h")
    done = await asyncio.to_thread(run_command, *words, environment={**os.environ, **settings})
    assert done.returncode == 0, done.stderr
    pair[1].start()
    async with player(pair[1], token) as anna:
        assert await resend_all(anna, 10, 7) == 0
        assert (await anna.ask("session"))["session"]["dishes"] == 70


async def test_counts_and_purchases_over_kill_9_count_once(pair: tuple[GameServer, GameServer]) -> None:
    """A process is killed during numbered requests; resent elsewhere each counts exactly once."""
    first, second = pair
    token = register(first)["access_token"]
    async with player(second, token) as witness:
        await witness.ask("session")
        await witness.ask("upgrade_buy", id=1)
        plan = [("cook", {"count": 1 + seq % 50}) for seq in range(1, 40)]
        plan += [("sell", {"count": 1 + seq % 10}) for seq in range(40, 60)]
        plan += [("upgrade_buy", {"id": 68})]
        async with player(first, token) as anna:
            for seq, (kind, data) in enumerate(plan, 1):
                await anna.send(kind, client="tab", seq=seq, **data)
            answered = 0
            while answered < 5:
                answered += (await anna.receive())["request_id"] != ""
            first.kill()
        cooked = sum(data["count"] for kind, data in plan if kind == "cook")
        sold = sum(data["count"] for kind, data in plan if kind == "sell")
        for again in range(2):
            answers = [
                await witness.ask(kind, client="tab", seq=seq, **data)
                for seq, (kind, data) in enumerate(plan, 1)
            ]
            assert not any("code" in answer for answer in answers)
            assert all("duplicate" in answer for answer in answers) or again == 0
        state = (await witness.ask("session"))["session"]
        assert state["dishes"] == cooked - sold
        assert state["money"] == sold - 25
        assert [each["times_bought"] for each in state["upgrades"]["current"] if each["id"] == 68] == [1]


async def test_a_refused_number_is_applied_when_it_comes_again(pair: tuple[GameServer, GameServer]) -> None:
    """An error spends no number: the same one succeeds on another process once the rules allow it."""
    token = register(pair[0])["access_token"]
    async with player(pair[0], token) as anna, player(pair[1], token) as elsewhere:
        await anna.ask("session")
        assert (await anna.ask("cook", client="tab", seq=1))["code"] == "no_dish"
        assert (await elsewhere.ask("sell", client="tab", seq=2))["code"] == "no_dishes"
        await elsewhere.ask("upgrade_buy", id=1)
        assert (await elsewhere.ask("cook", client="tab", seq=1))["dishes"] == 1
        assert (await anna.ask("sell", client="tab", seq=2, count=1000))["applied"] == 1
        assert (await anna.ask("cook", client="tab", seq=1))["duplicate"] is True
