"""The page where what the browser keeps for it was damaged, or put there by somebody else."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Final

import pytest
from playwright.async_api import expect

from tests.support.browser import MOVING, ONE_BROWSER, press_once, until_amount, visitor

if TYPE_CHECKING:
    from playwright.async_api import Route

    from tests.support.game_server import GameServer

pytestmark = ONE_BROWSER

TOKENS: Final = "click-and-cook.tokens"
KEPT: Final = "click-and-cook.conversation"
NO_CONVERSATIONS: Final = (
    "{",
    "null",
    '{"client":{},"seq":1,"waiting":[]}',
    '{"client":"x","seq":1e999,"waiting":7,"userId":"1"}',
)
NO_TOKENS: Final = (
    "",
    "{",
    "null",
    "7",
    "[]",
    '{"access":"a.b.c"}',
    '{"access":"no token","refresh":"x"}',
    '{"access":"x.bnVsbA.x","refresh":"x"}',
    '{"access":{"split":1},"refresh":null}',
    json.dumps({"access": "x." + "e" * 4000 + ".x", "refresh": "<img src=x onerror=alert(1)>"}),
)


async def test_what_is_no_log_in_leads_to_the_entrance(game: GameServer) -> None:
    """Whatever lies where the tokens should, the page asks to log in, and one can."""
    async with visitor(game.url) as anna:
        page = await anna.open()
        for text in NO_TOKENS:
            await page.evaluate("([key, text]) => localStorage.setItem(key, text)", [TOKENS, text])
            await page.reload()
            await expect(page.locator("#entrance")).to_be_visible()
        await anna.register("damaged@example.com")
        assert anna.complaints == []


async def test_a_damaged_conversation_is_dropped(game: GameServer) -> None:
    """What cannot be read of unanswered requests is dropped, and the next page in the tab plays."""
    async with visitor(game.url) as anna:
        page = await anna.register("torn@example.com")
        for text in NO_CONVERSATIONS:
            # Set as the page is left: it keeps its own conversation then.
            await page.evaluate(
                "([key, text]) => addEventListener('pagehide', () => sessionStorage.setItem(key, text))",
                [KEPT, text],
            )
            await page.reload()
            await page.wait_for_selector("#link.connected")
        assert anna.complaints == []


async def test_it_plays_where_cookies_are_blocked_and_says_what_that_means(game: GameServer) -> None:
    """Without storage a guest plays on in the tab's memory, and is warned before."""
    async with visitor(game.url) as anna:
        for store in ("localStorage", "sessionStorage"):
            await anna.context.add_init_script(
                f"Object.defineProperty(window, '{store}', {{get() {{ throw new DOMException('no'); }}}})"
            )
        page = await anna.open()
        await expect(page.locator("#keeps-nothing")).to_contain_text("cookies are blocked")
        await page.click("#entrance .primary")
        await page.locator(".item button").first.click()
        await press_once(page, "cook")
        await until_amount(page, "dishes", 1)
        assert anna.complaints == []


async def test_it_plays_without_its_pictures(game: GameServer) -> None:
    """Where the drawings don't load, the page says so, and everything else is there."""
    async with visitor(game.url) as anna:
        await anna.keep_notices()
        await anna.context.route("**/drawings.txt", lambda route: route.abort())
        page = await anna.open()
        await expect(page.locator(".toast")).to_contain_text("pictures")
        await page.click("#entrance .primary")
        await page.locator(".item button").first.click()
        await press_once(page, "cook")
        await until_amount(page, "dishes", 1)


@pytest.mark.parametrize("missing", ["JavaScript", "a module"])
async def test_a_page_that_cannot_start_says_what_it_needs(game: GameServer, missing: str) -> None:
    """No JavaScript, or a piece of it that did not come: a text in both languages, and no empty page."""
    async with visitor(game.url, java_script_enabled=missing != "JavaScript") as anna:
        await anna.context.route("**/kitchen.js", lambda route: route.abort())
        page = await anna.open()
        said = page.locator(".needs:visible").first
        await expect(said).to_contain_text("JavaScript" if missing == "JavaScript" else "did not start")
        await expect(said).to_contain_text("Click & Cook н")


async def test_a_press_before_the_page_is_ready_is_not_lost(game: GameServer) -> None:
    """The first button is drawn, in the player's language, before the modules come, and waits for them."""
    async with visitor(game.url, **MOVING | {"locale": "ru-RU"}) as anna:
        ready = asyncio.Event()

        async def late(route: Route) -> None:
            await ready.wait()
            await route.continue_()

        await anna.context.route("**/kitchen.js", late)
        page = await anna.context.new_page()
        await page.goto(game.url, wait_until="commit")
        await page.get_by_role("button", name="Готовить сразу").click()
        await page.wait_for_function("() => document.documentElement.dataset.pressed")
        ready.set()
        await page.wait_for_selector("#link.connected")
        await expect(page.locator(".item").first).to_be_visible()
