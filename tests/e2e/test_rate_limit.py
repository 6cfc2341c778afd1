"""The rate limit holds for a user, over all connections and processes together."""

from __future__ import annotations

import asyncio
import contextlib
import time
from typing import TYPE_CHECKING

import pytest

from tests.support.game_server import GameServer, running_game
from tests.support.limits import LIMIT_S
from tests.support.players import EXTERNAL, Player, player
from tests.support.seeding import seeded_player

if TYPE_CHECKING:
    from collections.abc import Iterator

RATE = 2
BURST = 20
PAUSE_S = 0.25


@pytest.fixture(scope="module")
def servers(module_databases: dict[str, str]) -> Iterator[tuple[GameServer, GameServer]]:
    """Two servers with a low limit."""
    settings = {**EXTERNAL, **module_databases, "CLICK_RATE": str(RATE), "CLICK_BURST": str(BURST)}
    with running_game(settings) as first, running_game(settings) as second:
        yield first, second


async def test_four_connections_over_two_processes_share_one_bucket(
    servers: tuple[GameServer, GameServer], module_databases: dict[str, str]
) -> None:
    """All click at once: the burst passes once, then the rate; every refusal changes nothing."""
    anna = await seeded_player(module_databases["DB_CONNECTION"])
    async with contextlib.AsyncExitStack() as stack:
        joined = [
            await stack.enter_async_context(player(servers[index % 2], anna.token)) for index in range(4)
        ]
        for each in joined:
            await each.ask("session")
        began_s = time.monotonic()
        applied = sum(await asyncio.gather(*(click_until_refused(each) for each in joined)))
        assert BURST <= applied <= BURST + earned_since(began_s)
        # Reads are not limited.
        assert (await joined[0].ask("session"))["session"]["dishes"] == applied


def earned_since(began_s: float) -> float:
    """The most clicks that the rate can have let through since then."""
    return RATE * (time.monotonic() - began_s) + 1


async def click_until_refused(each: Player) -> int:
    """Cook until the limit says no; return how many were applied."""
    applied = 0
    while True:
        answer = await each.ask("cook")
        if answer.get("code") == "rate_limited":
            assert 0 < answer["retry_after_ms"] <= 1000 / RATE
            return applied
        applied += answer["applied"]


async def test_a_count_spends_that_many_on_every_process(
    servers: tuple[GameServer, GameServer], module_databases: dict[str, str]
) -> None:
    """A count takes what is left; after `retry_after_ms` there is one more, wherever it is asked for."""
    anna = await seeded_player(module_databases["DB_CONNECTION"])
    async with player(servers[0], anna.token) as here, player(servers[1], anna.token) as there:
        assert (await here.ask("cook", count=BURST + 1))["code"] == "invalid_message"
        began_s = time.monotonic()
        assert (await here.ask("cook", count=BURST - 5))["applied"] == BURST - 5
        applied = (await there.ask("sell", count=BURST))["applied"]
        assert 5 <= applied <= 5 + earned_since(began_s)
        refused_s = time.monotonic()
        while "code" not in (refused := await there.ask("cook")):
            assert refused["applied"] == 1
            refused_s = time.monotonic()
        assert refused["code"] == "rate_limited"
        await asyncio.sleep(refused["retry_after_ms"] / 1000)
        applied = (await here.ask("cook", count=BURST))["applied"]
        assert 1 <= applied <= earned_since(refused_s)


async def test_after_a_refusal_the_connection_pauses(
    servers: tuple[GameServer, GameServer], module_databases: dict[str, str]
) -> None:
    """What had arrived is answered 250 ms later, in order; another connection goes on meanwhile."""
    anna = await seeded_player(module_databases["DB_CONNECTION"])
    async with player(servers[0], anna.token) as here, player(servers[1], anna.token) as there:
        await there.ask("session")
        await here.ask("level_check")
        async with asyncio.timeout(LIMIT_S):
            # The pause may be over before a busy machine has let the other connection ask.
            while not await other_is_answered_in_the_pause(here, there):
                pass


async def other_is_answered_in_the_pause(here: Player, there: Player) -> bool:
    """Have one connection refused; return whether the other one is answered before the first goes on."""
    began_s = time.monotonic()
    await here.send("cook", count=BURST)
    while True:
        ids = [await here.send("cook"), await here.send("level_check"), await here.send("upgrade_list")]
        first = await here.answer(ids[0])
        if first["request_type"] == "error":
            break
        began_s = time.monotonic()
    assert first["data"]["code"] == "rate_limited"
    paused = asyncio.create_task(here.answer(ids[1]))
    await there.ask("level_check")
    meanwhile = not paused.done()
    await paused
    assert time.monotonic() - began_s >= PAUSE_S
    await here.answer(ids[2])
    return meanwhile
