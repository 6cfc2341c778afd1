"""The playable page far into the game: places, stars, income while away, the board and the achievements."""

from __future__ import annotations

import asyncio
import itertools
import json
import math
from functools import partial
from typing import TYPE_CHECKING

import pytest
import redis
from playwright.async_api import expect

from tests.support.browser import (
    LAPTOP,
    ONE_BROWSER,
    amount,
    keep_screenshot,
    press_once,
    until_amount,
    until_more,
    visitor,
)
from tests.support.late_game import bring_to, until_ranked
from tests.support.limits import LIMIT_S

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.game_server import GameServer

pytestmark = ONE_BROWSER

PLACES = [
    (0, "Street cart"),
    (10, "Food truck"),
    (20, "Small café"),
    (40, "Family restaurant"),
    (70, "Restaurant with stars"),
]
PASSING = "#scene > use:not([id]):not(.guest)"
"""What of an old place is still in the scene."""
WATCH_THE_SCENE = f"""
globalThis.passing = 0;
new MutationObserver(changes => {{
    for (const {{ addedNodes }} of changes)
        globalThis.passing += [...addedNodes].filter(node => node.matches("{PASSING}")).length;
}}).observe(document.getElementById("scene"), {{ childList: true }});
"""


@pytest.fixture(scope="module")
def live(module_databases: dict[str, str]) -> Iterator[redis.Redis]:
    """The module's Valkey, to bring a player far in no time."""
    with redis.Redis.from_url(module_databases["REDIS_CONNECTION"]) as client:
        yield client


async def test_the_kitchen_moves_at_ranks_10_20_40_and_70(game: GameServer, live: redis.Redis) -> None:
    """Each of these ranks has its place, with its name; the rank before still has the one before.

    At the move itself the old scenery passes by, unless less movement is asked for.
    """
    async with visitor(game.url, **LAPTOP) as anna:
        page = await anna.register("places@example.com")
        for index, (rank, name) in enumerate(PLACES):
            if rank:
                await bring_to(page, live, rank=rank - 1, money=12_345_678 * 10**index, bought="1:1,2:1,64:1")
                await expect(page.locator("#place-name")).to_have_text(PLACES[index - 1][1])
            await bring_to(page, live, rank=rank, xp=100 * rank * rank, money=12_345_678 * 10**index)
            await expect(page.locator("#place-name")).to_have_text(name)
            await expect(page.locator("#back")).to_have_attribute("href", f"#place-{index}")
            await page.wait_for_function("() => document.getElementById('back').getBBox().width > 600")
            await keep_screenshot(page, f"place-{rank}")
        for motion, passes in (("no-preference", 2), ("reduce", 0)):
            await page.emulate_media(reduced_motion=motion)  # type: ignore[arg-type] # two of its words
            await bring_to(page, live, rank=9, xp=10**9)
            await expect(page.locator("#place-name")).to_have_text("Street cart")
            await page.evaluate(WATCH_THE_SCENE)
            await page.click("#level-up")
            await expect(page.locator("#place-name")).to_have_text("Food truck")
            assert await page.evaluate("globalThis.passing") == passes
            await expect(page.locator(PASSING)).to_have_count(0)
            await until_ranked(page, live, 10)
        assert anna.complaints == []


async def test_stars_say_what_a_reset_brings_and_the_reset_brings_it(
    game: GameServer, live: redis.Redis
) -> None:
    """1.73 gathered on top of 2.5: the preview, what is lost, and the kitchen that starts again.

    Clicks in a row, where the first button was, end nothing: the second one stands elsewhere and waits.
    """
    async with visitor(game.url, **LAPTOP) as anna:
        page = await anna.register("stars@example.com")
        await page.click("[data-opens=stars]")
        await expect(page.locator("#dialog .primary")).to_be_disabled()
        await page.keyboard.press("Escape")
        await bring_to(
            page,
            live,
            rank=31,
            money=5 * 10**15,
            stars=25_000,
            accumulated=17_300,
            boost=11,
            bought="1:1,45:2",
        )
        await page.click("[data-opens=stars]")
        await expect(page.locator("#dialog-body")).to_contain_text("4.23")
        await expect(page.locator("#dialog-body")).to_contain_text("×2.3")
        await keep_screenshot(page, "stars")
        box = await page.locator("#dialog .primary").bounding_box()
        assert box is not None
        at = (box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
        await page.mouse.dblclick(*at)
        await page.keyboard.press("Escape")
        await page.click("[data-opens=stars]")
        sure = page.locator("#dialog .sure")
        await page.evaluate(
            "for (const one of ['.primary', '.sure', '.sure'])"
            " document.querySelector(`#dialog ${one}`).click()"
        )
        await expect(page.locator("#dialog-body")).to_contain_text("You give up")
        await expect(page.locator("#dialog-body")).to_contain_text("×1.1\u00a0→\u00a0×2.3")
        await keep_screenshot(page, "stars-sure")
        await expect(page.locator("#rank b")).to_have_text("Rank 31")
        second = await sure.bounding_box()
        assert second is not None
        assert second["y"] + second["height"] < box["y"]
        await expect(sure).to_have_attribute("aria-disabled", "false")
        await sure.click()
        await expect(page.locator("#rank b")).to_have_text("Rank 0")
        await expect(page.locator("#star-count")).to_have_text("4")
        await expect(page.locator("#money")).to_have_text("0")
        assert anna.complaints == []


def keep_gap(gaps: list[dict[str, float]], frame: str | bytes) -> None:
    """Keep what a `session` says of the time in which the player was away."""
    gap = (json.loads(frame).get("data") or {}).get("offline")
    if gap:
        gaps.append(gap)


def gain_text(gain: float) -> str:
    """Write a gain below a million as the dialog does: up to four decimals below a thousand, then none."""
    size = abs(gain)
    text = f"{size:.4f}".rstrip("0").rstrip(".") if size < 1000 else f"{math.floor(size):,}"
    return ("−" if gain < 0 else "+") + text


async def test_income_while_away_is_told_once(game: GameServer, live: redis.Redis) -> None:
    """Two hours that earned money and stars: a dialog with each gain on return, and none on the next."""
    async with visitor(game.url, **LAPTOP) as anna:
        page = await anna.register("away@example.com")
        seconds, _ = live.time()
        await page.goto("about:blank")
        page = await anna.open()
        gaps: list[dict[str, float]] = []
        page.on("websocket", lambda socket: socket.on("framereceived", partial(keep_gap, gaps)))
        bought = "1:1,3:1,46:1"
        await bring_to(page, live, rank=22, bought=bought, accrued_at=(seconds - 7200) * 1000, dishes=9000)
        await expect(page.locator("#dialog-title")).to_have_text("While you were away")
        await expect(page.locator("#dialog-body p")).to_contain_text("worked for 2\u00a0h")
        await expect(page.locator("#dialog-body p")).to_contain_text("of the 2\u00a0h")
        (gap,) = gaps
        assert gap["stars"] > 0
        gains = zip(
            ("Money", "Dishes", "Experience", "Stars"), ("money", "dishes", "xp", "stars"), strict=True
        )
        said = "".join(f"{word}{gain_text(gap[name])}" for word, name in gains)
        await expect(page.locator("#dialog-body dl")).to_have_text(said)
        await keep_screenshot(page, "away")
        await page.keyboard.press("Escape")
        await page.reload()
        await page.wait_for_selector("#link.connected")
        await expect(page.locator("#dialog")).to_be_hidden()
        assert anna.complaints == []


@pytest.mark.parametrize(
    ("language", "said"),
    [
        ("en", "You were away for 15\u00a0s, the kitchen worked for 8\u00a0s: Money +30, Stars +0.0123"),
        ("ru", "Вас не было 15\u00a0с, кухня работала 8\u00a0с: Деньги +30, Звёзды +0,0123"),
    ],
)
async def test_a_short_gap_is_told_with_both_times_and_stars(
    game: GameServer, language: str, said: str
) -> None:
    """Under a minute a notice says how long the player was away, what was paid, and what it brought."""
    async with visitor(game.url, **LAPTOP | {"locale": language}) as anna:
        page = await anna.open()
        gap = {"seconds": 8, "away_seconds": 15, "money": 30, "dishes": -4, "xp": 0, "stars": 0.0123}
        told = await page.evaluate(
            "async gap => { (await import('/dialogs.js')).Dialogs.prototype.away(gap);"
            " return document.getElementById('toasts').textContent; }",
            gap,
        )
        assert said in told
        assert anna.complaints == []


async def test_the_board_shows_who_chose_a_name(game: GameServer, live: redis.Redis) -> None:
    """A player puts up a name, is refused one that is taken, and soon finds both kitchens on the board."""
    async with (
        asyncio.timeout(LIMIT_S),
        visitor(game.url, **LAPTOP) as anna,
        visitor(game.url, **LAPTOP) as boris,
    ):
        one, other = await anna.register("board1@example.com"), await boris.register("board2@example.com")
        for page in (one, other):
            await page.click("[data-opens=board]")
            await page.fill("#dialog input", "Chez Anna")
            await page.click("#dialog form .primary")
        await expect(other.locator("#dialog [role=alert]")).to_contain_text("taken")
        await other.fill("#dialog input", "У Бориса")
        await other.click("#dialog form .primary")
        await expect(other.locator(".row.me")).to_contain_text("У Бориса")
        for by in itertools.cycle(("By stars", "By money")):  # the board is up to ten seconds old
            await other.click(f"text={by}")
            await expect(other.locator("#dialog [aria-pressed=true]")).to_have_text(by)
            if await other.locator("#dialog li").count() == 2:
                break
            await asyncio.sleep(0.5)
        await keep_screenshot(other, "board")
        assert anna.complaints == boris.complaints == []


async def test_achievements_are_told_when_reached_and_listed(game: GameServer) -> None:
    """The first dish is announced, and stands as done in the list, in the language of the page."""
    async with visitor(game.url, **LAPTOP) as anna:
        await anna.keep_notices()
        page = await anna.register("medals@example.com")
        await page.locator(".item button").first.click()
        await press_once(page, "cook")
        await expect(page.locator(".toast").filter(has_text="First dish")).to_be_visible()
        await page.click("[data-opens=medals]")
        await expect(page.locator(".row:not(.undone)").filter(has_text="First dish")).to_be_visible()
        await expect(page.locator(".row.undone").filter(has_text="Line cook")).to_contain_text("1 of 1,000")
        await expect(page.locator("#dialog-body dl")).to_contain_text("Dishes cooked1")
        await keep_screenshot(page, "achievements")
        await page.keyboard.press("Escape")
        await page.click("#language")
        await page.click("[data-opens=medals]")
        await expect(page.locator(".row").filter(has_text="Первое блюдо")).to_be_visible()
        assert anna.complaints == []


async def test_the_switch_changes_what_dishes_are_called(game: GameServer) -> None:
    """An English page sells a sandwich, a Russian one a сэндвич, on a server whose names are Russian."""
    async with visitor(game.url, **LAPTOP) as anna:
        page = await anna.register("names@example.com")
        first = page.locator(".item").first
        await expect(first.locator("h3")).to_have_text("Sandwich")
        await page.click("#language")
        await expect(first.locator("h3")).to_have_text("Сэндвич")
        await expect(first.locator("button")).to_have_accessible_name("Купить: Сэндвич, даром")
        await page.reload()
        await expect(first.locator("h3")).to_have_text("Сэндвич")
        assert anna.complaints == []


async def test_a_keyboard_is_enough(game: GameServer) -> None:
    """Tabs by arrows, buying by Enter, the focus stays near what was bought and returns from a dialog."""
    async with visitor(game.url, **LAPTOP) as anna:
        page = await anna.register("keys@example.com")
        await page.focus("#tab-dish")
        await page.keyboard.press("ArrowRight")
        await expect(page.locator("#tab-equipment")).to_be_focused()
        await page.keyboard.press("ArrowLeft")
        await page.keyboard.press("Tab")
        await page.keyboard.press("Enter")
        await expect(page.locator(".fold button")).to_have_text("Your dishes: 1")
        assert await page.evaluate("document.activeElement.closest('.item') !== null")
        await page.click("[data-opens=board]")
        await page.click("text=By stars")
        await expect(page.locator("#dialog [aria-pressed=true]")).to_have_text("By stars")
        assert await page.evaluate("document.activeElement.closest('#dialog') !== null")
        await page.keyboard.press("Escape")
        await page.focus("[data-opens=stars]")
        await page.keyboard.press("Enter")
        await expect(page.locator("#dialog")).to_be_visible()
        await page.keyboard.press("Escape")
        await expect(page.locator("[data-opens=stars]")).to_be_focused()
        await page.focus("#cook")
        await page.keyboard.press("Enter")
        await until_more(page, "dishes", 1)
        cooked = await amount(page, "dishes")
        await page.click("[data-opens=account]")
        await page.uncheck("#dialog .keys-choice input")
        await page.keyboard.press("Escape")
        await page.keyboard.press("c")
        await page.focus("#sell")
        await page.keyboard.down("Enter")
        await until_amount(page, "dishes", 0)
        await page.keyboard.up("Enter")
        assert await amount(page, "money") == cooked
        assert anna.complaints == []
