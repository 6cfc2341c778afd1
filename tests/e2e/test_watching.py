"""Players who only watch: what they are sent is computed, and is what Redis says when it is asked."""

from __future__ import annotations

import asyncio
import contextlib
import re
import time
from typing import TYPE_CHECKING, Any

import httpx
import pytest
import redis

from tests.support.game_server import POLL_S, GameServer, running_game
from tests.support.limits import LIMIT_S
from tests.support.players import EXTERNAL, Player, player
from tests.support.seeding import Seeded, seeded_player
from tests.support.servers import ValkeyServer, running_valkey

if TYPE_CHECKING:
    from collections.abc import Iterator

OVENS = "1:1,70:3"
"""Three dishes and 0.6 xp a second."""
TRUCKS = "1:1,45:2,70:5"
"""Dishes that are cooked and sold without a click."""
CAP_S = 2
WATCHERS = 20


@pytest.fixture(scope="module")
def valkey() -> Iterator[ValkeyServer]:
    """A Valkey to look into."""
    with running_valkey() as server:
        yield server


@pytest.fixture(scope="module")
def settings(valkey: ValkeyServer, module_databases: dict[str, str]) -> dict[str, str]:
    """What all servers run with: a cap that any watcher passes."""
    return {
        **EXTERNAL,
        **module_databases,
        "REDIS_CONNECTION": valkey.url,
        "OFFLINE_CAP_S": str(CAP_S),
    }


@pytest.fixture(scope="module", autouse=True)
def server(settings: dict[str, str]) -> Iterator[GameServer]:
    """One server for all tests; some start another one."""
    with running_game(settings) as running:
        yield running


def seconds_of(seeded: Seeded, valkey: ValkeyServer) -> tuple[int, int]:
    """Read the dishes that Redis holds, and the moment (ms) up to which they are paid."""
    dishes, accrued_at = seeded.fields(valkey, "dishes", "accrued_at")
    return int(dishes), int(accrued_at)


def left(seeded: Seeded, valkey: ValkeyServer) -> None:
    """Wait until no promise holds."""
    end_s = time.monotonic() + LIMIT_S
    while seeded.fields(valkey, "joined_until") != ["0"]:
        assert time.monotonic() < end_s
        time.sleep(0.01)


def commands_of_clients(valkey: ValkeyServer) -> dict[str, int]:
    """Return how many commands Redis counted so far of each connection to it."""
    with redis.Redis.from_url(valkey.url) as client:
        return {each["id"]: int(each["tot-cmds"]) for each in client.client_list()}


async def pushes_sent(game: GameServer) -> int:
    """Return how often a server sent a player what it computed."""
    async with httpx.AsyncClient() as client:
        text = (await client.get(f"{game.url}/metrics", timeout=LIMIT_S)).text
    (count,) = re.findall(r"^clickcook_ticks_paid_total(?:\{[^}]*\})? (\d+)", text, re.MULTILINE)
    return int(count)


async def pushes(watcher: Player, count: int) -> list[dict[str, Any]]:
    """Return the next `passive` pushes."""
    return [await watcher.push("passive") for _ in range(count)]


async def test_a_watcher_is_sent_each_second_and_redis_is_not_asked(
    settings: dict[str, str], valkey: ValkeyServer
) -> None:
    """Five pushes later Redis holds the session as the watcher found it; the next request pays for all."""
    # The first dish is no news: recording an achievement writes the session, a moment after the push.
    anna = await seeded_player(settings["DB_CONNECTION"], bought=OVENS, cooked=10.0, achieved="1")
    with running_game({**settings, "OFFLINE_CAP_S": "28800"}) as calm:
        async with player(calm, anna.token) as watcher:
            shown = (await watcher.ask("session"))["session"]["dishes"]
            await watcher.push("passive")
            began = seconds_of(anna, valkey)
            sent = await pushes(watcher, 5)
            assert began == seconds_of(anna, valkey)
            assert [(each["dishes"] - shown) % 3 for each in sent] == [0] * 5
            versions = [each["version"] for each in sent]
            assert versions == sorted(set(versions))
            checked = await watcher.ask("level_check")
            assert checked["version"] > versions[-1]
            dishes, accrued_at = seconds_of(anna, valkey)
            assert dishes - began[0] == 3 * (accrued_at - began[1]) // 1000
            assert dishes >= sent[-1]["dishes"]


async def test_watchers_cost_redis_a_fraction_of_a_command_for_a_push(
    settings: dict[str, str], valkey: ValkeyServer
) -> None:
    """Twenty watchers: Redis counts at most one command for four pushes, where it once had ten.

    Counted, not timed: the server asks for the clock once for all of them, and for a sign of life, and pushes
    as often as it asks. On a machine that stands still it does neither.
    """
    dsn = settings["DB_CONNECTION"]
    seeded = [await seeded_player(dsn, bought=OVENS, cooked=10.0, achieved="1") for _ in range(WATCHERS)]
    others = set(commands_of_clients(valkey))
    calm_settings = {**settings, "OFFLINE_CAP_S": "28800", "FLUSHER": "off"}
    async with contextlib.AsyncExitStack() as stack:
        calm = stack.enter_context(running_game(calm_settings))
        watchers = [await stack.enter_async_context(player(calm, one.token)) for one in seeded]
        for watcher in watchers:
            await watcher.ask("session")
        for watcher in watchers:
            await pushes(watcher, 2)
        # Commands are counted within the time in which pushes are, so that a pause in between does no harm.
        before, began = await pushes_sent(calm), commands_of_clients(valkey)
        async with asyncio.timeout(LIMIT_S):
            while await pushes_sent(calm) < before + 5 * WATCHERS:  # noqa: ASYNC110 - a metric has no event
                await asyncio.sleep(POLL_S)
        ended = commands_of_clients(valkey)
        sent = await pushes_sent(calm) - before
        commands = sum(ended[client] - began[client] for client in ended.keys() & began.keys() - others)
    assert 0 < commands <= sent / 4


@pytest.mark.parametrize("interval_ms", [100, 1000, 60_000])
async def test_each_second_is_sent_once_however_short_the_interval(
    settings: dict[str, str], interval_ms: int
) -> None:
    """No second is sent twice; with a minute between pushes the answers are exact all the same."""
    anna = await seeded_player(settings["DB_CONNECTION"], bought=OVENS)
    with running_game({**settings, "PASSIVE_INTERVAL_MS": str(interval_ms)}) as own:
        async with player(own, anna.token) as watcher, player(own, anna.token) as other:
            began = (await watcher.ask("session"))["session"]["dishes"]
            await other.ask("session")
            if interval_ms < 60_000:
                sent = [each["dishes"] for each in await pushes(watcher, 4)]
                assert sent == sorted(set(sent))
            answers = [await other.ask("passive") for _ in range(20)]
            assert {(each["dishes"] - began) % 3 for each in answers} == {0}
            versions = [each["version"] for each in answers]
            assert versions == sorted(versions)


async def test_a_cap_cuts_nothing_off_while_somebody_watches(
    settings: dict[str, str], server: GameServer, valkey: ValkeyServer
) -> None:
    """Longer than the cap, and over two processes: every second counts, and none of it is time away."""
    anna = await seeded_player(settings["DB_CONNECTION"], bought=OVENS)
    with running_game({**settings, "PASSIVE_INTERVAL_MS": "60000"}) as silent:
        async with player(silent, anna.token) as watcher:
            await watcher.ask("session")
            before = seconds_of(anna, valkey)
            async with player(server, anna.token) as other:
                assert "offline" not in await other.ask("session")
                await pushes(other, CAP_S + 2)
            after = await watcher.ask("session")
            assert "offline" not in after
            dishes, accrued_at = seconds_of(anna, valkey)
            assert accrued_at - before[1] >= 1000 * (CAP_S + 1)
            assert dishes - before[0] == 3 * (accrued_at - before[1]) // 1000


async def test_a_killed_server_costs_its_watcher_nothing(
    settings: dict[str, str], server: GameServer, valkey: ValkeyServer
) -> None:
    """What it had sent last is there at the other server, each second since is paid, and nothing was away."""
    anna = await seeded_player(settings["DB_CONNECTION"], bought=TRUCKS, dishes=50.0)
    with running_game({**settings, "OFFLINE_CAP_S": "28800"}) as doomed:
        async with contextlib.AsyncExitStack() as stack:
            watcher = await stack.enter_async_context(player(doomed, anna.token))
            await watcher.ask("session")
            last = (await pushes(watcher, 4))[-1]
            doomed.kill()
            other = await stack.enter_async_context(player(server, anna.token))
            again = await other.ask("session")
            promised, accrued_at = map(int, anna.fields(valkey, "joined_until", "accrued_at"))
    assert abs(promised) > accrued_at
    assert "offline" not in again
    assert again["version"] > last["version"]
    assert again["session"]["money"] >= last["money"]
    assert again["session"]["level"]["xp"] >= last["level_xp"]


async def test_who_left_is_paid_up_to_then_and_away_since(
    settings: dict[str, str], server: GameServer, valkey: ValkeyServer
) -> None:
    """The last connection to go has everything written that it was sent, and ends the promise."""
    anna = await seeded_player(settings["DB_CONNECTION"], bought=OVENS)
    async with player(server, anna.token) as watcher:
        await watcher.ask("session")
        last = (await pushes(watcher, 3))[-1]
    await asyncio.to_thread(left, anna, valkey)
    dishes, _ = seconds_of(anna, valkey)
    assert dishes >= last["dishes"]


async def test_an_achievement_is_reached_by_income_alone(
    settings: dict[str, str], server: GameServer
) -> None:
    """The thousandth dish is announced without a click, once; it is kept."""
    anna = await seeded_player(settings["DB_CONNECTION"], bought=OVENS, cooked=991.0, achieved="1")
    async with player(server, anna.token) as watcher:
        await watcher.ask("session", client="tab")
        pushed = await watcher.push("achievement")
        assert [each["key"] for each in pushed["achievements"]] == ["line_cook"]
        listed = await watcher.ask("achievements")
        assert {each["key"] for each in listed["achievements"] if each["done"]} == {"first_dish", "line_cook"}
        assert not [each for each in watcher.pushes if each["request_type"] == "achievement"]


async def test_a_rank_is_reached_by_income_alone(settings: dict[str, str], server: GameServer) -> None:
    """As soon as a push shows the xp, `level_up` has it."""
    anna = await seeded_player(settings["DB_CONNECTION"], bought=OVENS, xp=9_850.0)
    async with player(server, anna.token) as watcher:
        needed = (await watcher.ask("level_check"))["needed_xp"]
        while (await watcher.push("passive"))["level_xp"] < needed:
            pass
        assert (await watcher.ask("level_up"))["current_rank"] == 1


async def test_a_clicker_is_sent_what_came_in_besides(settings: dict[str, str], server: GameServer) -> None:
    """Clicks pay each second before a push could; money still follows within the interval."""
    anna = await seeded_player(settings["DB_CONNECTION"], bought=TRUCKS, dishes=1e6)
    async with player(server, anna.token) as clicker:
        shown = (await clicker.ask("session"))["session"]["money"]
        earned: list[int] = []
        async with asyncio.timeout(LIMIT_S):
            while len(earned) < 4:
                await clicker.ask("cook")
                earned = [each["data"]["money"] for each in clicker.pushes if "money" in each["data"]]
        assert earned == sorted(set(earned))
        assert earned[0] > shown
