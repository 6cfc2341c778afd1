"""Golden guests over the wire: who is served pays once, on whichever tab and process, and after a loss."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import redis
from playwright.async_api import expect

from tests.support.browser import LAPTOP, until_amount, visitor
from tests.support.game_server import POLL_S, running_game
from tests.support.golden_guests import let_one_come
from tests.support.late_game import bring_to
from tests.support.limits import LIMIT_S
from tests.support.players import EXTERNAL, PASSWORD, Player, player

if TYPE_CHECKING:
    from tests.support.game_server import GameServer

GAIN = 40
"""Of a kitchen that has a sandwich."""
STAND_STILL = "(nowMs => { performance.now = () => nowMs; })(performance.now())"


async def test_a_guest_pays_once_on_every_tab_and_process(
    game: GameServer, module_databases: dict[str, str]
) -> None:
    """Others are sent the money as a `passive`, which every client knows; what comes again is a duplicate."""
    number = await let_one_come(module_databases["DB_CONNECTION"])
    with running_game({**EXTERNAL, **module_databases}) as elsewhere:
        async with (
            player(game) as anna,
            player(game, anna.token) as old,
            player(elsewhere, anna.token) as tablet,
        ):
            for each in (anna, old, tablet):
                await each.ask("session")
            assert (await anna.ask("golden_guest", serve=number))["code"] == "no_dish"
            await anna.ask("upgrade_buy", id=1)
            seen = await anna.ask("golden_guest")
            assert (seen["guest"]["id"], seen["guest"]["comes_in_ms"], seen["gain"]) == (number, 0, 0)
            assert 0 < seen["guest"]["leaves_in_ms"] <= 60_000
            served = await anna.ask("golden_guest", serve=number)
            assert (served["gain"], served["money"]) == (GAIN, GAIN)
            assert served["guest"]["id"] > number
            for each in (old, tablet):
                copy = await each.push("passive")
                assert (copy["money"], copy["version"]) == (GAIN, served["version"])
                assert {push["request_type"] for push in each.pushes} <= {"upgrade_buy"}
            again = await tablet.ask("golden_guest", serve=number)
            assert (again["duplicate"], again["gain"], again["money"]) == (True, 0, GAIN)
            assert "duplicate" not in served


async def test_only_a_guest_who_is_here_is_served(game: GameServer, module_databases: dict[str, str]) -> None:
    """The one before has left, the one after has not come; both refusals change nothing."""
    number = await let_one_come(module_databases["DB_CONNECTION"])
    async with player(game) as anna:
        await anna.ask("session")
        await anna.ask("upgrade_buy", id=1)
        after = (await anna.ask("golden_guest", serve=number))["guest"]
        assert after["comes_in_ms"] > 0
        for other in (number - 2, after["id"], 1):
            assert (await anna.ask("golden_guest", serve=other))["code"] == "no_golden_guest"
        assert (await anna.ask("session"))["session"]["money"] == GAIN


async def test_a_served_guest_is_remembered_over_a_loss(
    game: GameServer, module_databases: dict[str, str]
) -> None:
    """Redis loses all that it has; the session comes back from PostgreSQL, and the guest does not."""
    number = await let_one_come(module_databases["DB_CONNECTION"])
    async with player(game) as anna:
        await anna.ask("session")
        await anna.ask("upgrade_buy", id=1)
        served = await anna.ask("golden_guest", serve=number)
        await _saved(anna, served["version"])
        with redis.Redis.from_url(module_databases["REDIS_CONNECTION"]) as client:
            client.flushall()
        again = await anna.ask("golden_guest", serve=number)
        assert (again["duplicate"], again["gain"], again["money"]) == (True, 0, GAIN)
        assert again["version"] > served["version"]


async def test_the_page_shows_a_guest_who_is_served_by_a_key(
    game: GameServer, module_databases: dict[str, str]
) -> None:
    """A button stands in the scene, after the first rank; a key serves, one notice says what it brought.

    Then the button goes, and the focus stays on the page. It goes from another tab too, by the money that
    came there: its clock stands still, so the guest does not leave by the time.
    """
    with redis.Redis.from_url(module_databases["REDIS_CONNECTION"]) as live:
        async with visitor(game.url, **LAPTOP, color_scheme="dark") as anna:
            await anna.keep_notices()
            page = await anna.open()
            await page.click("[data-mode=register]")
            await page.fill("[name=email]", "golden@example.com")
            await page.fill("[name=password]", PASSWORD)
            await let_one_come(module_databases["DB_CONNECTION"])
            await page.keyboard.press("Enter")
            await bring_to(page, live, rank=1, bought="1:1")
            await expect(page.locator("#visit[role=status] #golden")).to_have_text("Serve the golden guest")
            await page.click("#golden", trial=True)  # the filter of a dark scene must not paint over it
            other = await anna.open()
            await other.evaluate(STAND_STILL)
            await expect(other.locator("#golden")).to_be_visible()
            await page.focus("#golden")
            await page.keyboard.press("Enter")
            await until_amount(page, "money", GAIN)
            paid = page.locator(".toast", has_text="The golden guest paid 40")
            await expect(paid).to_have_count(1)
            await expect(page.locator("#golden")).to_be_hidden()
            await expect(page.locator("#kitchen")).to_be_focused()
            await expect(other.locator("#golden")).to_be_hidden()
            assert anna.complaints == []


async def _saved(each: Player, version: int) -> None:
    """Wait until PostgreSQL has a version."""
    async with asyncio.timeout(LIMIT_S):
        while (await each.ask("level_check"))["saved_version"] < version:  # noqa: ASYNC110 - of PostgreSQL
            await asyncio.sleep(POLL_S)
