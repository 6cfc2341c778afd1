"""Income while away: shown once and paid once, however many tabs open at once."""

from __future__ import annotations

import asyncio
import contextlib
import time
from typing import TYPE_CHECKING

import pytest

from game.accrual import AWAY_S
from tests.support.game_server import GameServer, running_game
from tests.support.limits import LIMIT_S
from tests.support.players import EXTERNAL, player
from tests.support.seeding import seeded_player

if TYPE_CHECKING:
    from collections.abc import Iterator

CAP_S = 3600
TABS = 8
OVENS = "1:1,70:3"
"""Three dishes and 0.6 xp a second."""


def dishes_since(began_s: float) -> range:
    """Return what the ovens can have cooked since then: three dishes for each whole second."""
    return range(0, 3 * int(time.monotonic() - began_s + 2), 3)


@pytest.fixture(scope="module")
def servers(module_databases: dict[str, str]) -> Iterator[tuple[GameServer, GameServer]]:
    """Two servers with a low cap, whose ticks come too late to matter."""
    settings = {
        **EXTERNAL,
        **module_databases,
        "OFFLINE_CAP_S": str(CAP_S),
        "PASSIVE_INTERVAL_MS": "60000",
    }
    with running_game(settings) as first, running_game(settings) as second:
        yield first, second


async def test_many_tabs_that_open_at_once_are_paid_once(
    servers: tuple[GameServer, GameServer], module_databases: dict[str, str]
) -> None:
    """Eight `session`s over two processes: one shows `offline`, up to the cap, and all say the same."""
    began_s = time.monotonic()
    anna = await seeded_player(module_databases["DB_CONNECTION"], away_s=5 * CAP_S, bought=OVENS)
    async with contextlib.AsyncExitStack() as stack:
        tabs = [
            await stack.enter_async_context(player(servers[index % 2], anna.token)) for index in range(TABS)
        ]
        opened = await asyncio.gather(*(tab.ask("session") for tab in tabs))
        shown = [answer for answer in opened if "offline" in answer]
        assert [answer["offline"] for answer in shown] == [
            {
                "seconds": CAP_S,
                "away_seconds": shown[0]["offline"]["away_seconds"],
                "money": 0,
                "dishes": 3 * CAP_S,
                "xp": CAP_S * 3 / 5,
                "stars": 0,
            }
        ]
        assert shown[0]["offline"]["away_seconds"] >= 5 * CAP_S
        assert shown[0]["session"]["dishes"] == 3 * CAP_S
        dishes = [answer["session"]["dishes"] for answer in opened]
        assert all(each - 3 * CAP_S in dishes_since(began_s) for each in dishes)
        assert "offline" not in await tabs[0].ask("session")


@pytest.mark.parametrize("request_type", ["passive", "upgrade_buy", "level_up"])
async def test_income_that_another_request_paid_is_shown_by_the_next_session(
    servers: tuple[GameServer, GameServer], module_databases: dict[str, str], request_type: str
) -> None:
    """A tab that goes on without a `session` is paid at once; the other tab's `session` shows it, once."""
    began_s = time.monotonic()
    anna = await seeded_player(
        module_databases["DB_CONNECTION"], away_s=2 * CAP_S, bought=OVENS, money=1000.0
    )
    async with player(servers[0], anna.token) as first, player(servers[1], anna.token) as second:
        answer = await first.ask(request_type, **({"id": 68} if request_type == "upgrade_buy" else {}))
        assert "code" not in answer
        opened = await second.ask("session")
        gap_s = opened["offline"].pop("away_seconds")
        assert opened["offline"] == {
            "seconds": CAP_S,
            "money": 0,
            "dishes": 3 * CAP_S,
            "xp": CAP_S * 3 / 5,
            "stars": 0,
        }
        assert gap_s >= 2 * CAP_S
        assert opened["session"]["dishes"] - 3 * CAP_S in dishes_since(began_s)
        assert "offline" not in await first.ask("session")


async def test_what_was_not_shown_before_the_stop_is_shown_after_it(
    module_databases: dict[str, str],
) -> None:
    """Income that a request paid waits in PostgreSQL too for the `session` that shows it."""
    settings = {**EXTERNAL, **module_databases, "PASSIVE_INTERVAL_MS": "60000"}
    with running_game(settings) as server:
        anna = await seeded_player(module_databases["DB_CONNECTION"], away_s=100, bought=OVENS)
        async with player(server, anna.token) as tab:
            paid = (await tab.ask("passive"))["dishes"]
        server.kill()
        server.start()
        async with player(server, anna.token) as tab:
            opened = await tab.ask("session")
            # The restart may have been a gap of its own, which is shown with it.
            offline = opened["offline"]
            assert offline["dishes"] == 3 * offline["seconds"]
            assert paid <= offline["dishes"] <= opened["session"]["dishes"]


async def test_a_gap_below_ten_seconds_is_paid_and_not_shown(
    servers: tuple[GameServer, GameServer], module_databases: dict[str, str]
) -> None:
    """Three seconds away earn three seconds, without a word."""
    async with asyncio.timeout(LIMIT_S):
        took_s = float(AWAY_S)
        while took_s >= AWAY_S - 3:  # so long that the gap may have been one of ten seconds
            began_s = time.monotonic()
            anna = await seeded_player(module_databases["DB_CONNECTION"], away_s=3, bought=OVENS)
            async with player(servers[0], anna.token) as tab:
                opened = await tab.ask("session")
            took_s = time.monotonic() - began_s
    assert "offline" not in opened
    assert opened["session"]["dishes"] - 9 in dishes_since(began_s)


async def test_a_gap_is_shown_also_where_less_of_it_is_paid(module_databases: dict[str, str]) -> None:
    """Under a cap of 5 s a player who was away for a minute sees both: what was paid, and the gap."""
    settings = {**EXTERNAL, **module_databases, "OFFLINE_CAP_S": "5", "PASSIVE_INTERVAL_MS": "60000"}
    with running_game(settings) as server:
        anna = await seeded_player(module_databases["DB_CONNECTION"], away_s=60, bought=OVENS)
        async with player(server, anna.token) as tab:
            offline = (await tab.ask("session"))["offline"]
    gap_s = offline.pop("away_seconds")
    assert offline == {"seconds": 5, "money": 0, "dishes": 15, "xp": 3, "stars": 0}
    assert gap_s >= 60
