"""The playable page in a real Chromium: what a player does and sees."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

import jwt
from playwright.async_api import expect

from tests.support.browser import (
    MOVING,
    ONE_BROWSER,
    PHONE,
    amount,
    keep_screenshot,
    press_once,
    tokens_of,
    until_amount,
    until_each_counted,
    until_kept,
    until_more,
    visitor,
)
from tests.support.game_server import GameServer, running_game
from tests.support.limits import LIMIT_S
from tests.support.players import EXTERNAL, PASSWORD

if TYPE_CHECKING:
    from playwright.async_api import Page

pytestmark = ONE_BROWSER


async def open_kitchen(page: Page, dishes: int) -> None:
    """Buy the sandwich and cook; raises where the page does not show each dish."""
    await page.locator(".item button").first.click()
    for count in range(1, dishes + 1):
        await press_once(page, "cook")
        await until_amount(page, "dishes", count)


async def test_a_guest_is_led_through_the_first_minutes(game: GameServer) -> None:
    """Cook now, sandwich, cooking, selling, an upgrade, a rank, by mouse and held keys; the server agrees."""
    async with visitor(game.url, **MOVING) as anna:
        page = await anna.cook_now()
        coach = page.locator("#coach p")
        await expect(coach).to_contain_text("sandwich")
        await keep_screenshot(page, "laptop-start")
        await page.locator(".item button").first.click()
        await page.hover("#cook")
        await page.mouse.down()
        await until_more(page, "dishes", 3)
        await page.mouse.up()
        cooked = await amount(page, "dishes")
        await expect(coach).to_contain_text("Sell")
        await keep_screenshot(page, "laptop-cooked")
        await page.keyboard.down("s")
        await until_amount(page, "dishes", 0)
        await page.keyboard.up("s")
        assert await amount(page, "money") == cooked
        await expect(coach).to_contain_text("Save up")
        hinted = page.locator(".item button.hint")
        while await hinted.get_attribute("aria-disabled") == "true":
            for key, hungry in (("c", "dishes"), ("s", "money")):
                before = await amount(page, hungry)
                await page.keyboard.down(key)
                await until_more(page, hungry, before + 8)
                await page.keyboard.up(key)
        await hinted.click()
        await expect(coach).to_contain_text("experience")
        await page.focus("#cook")
        await page.keyboard.down("Space")
        await page.wait_for_selector("#level-up:not([hidden])")
        await page.keyboard.up("Space")
        await page.keyboard.press("l")
        await expect(page.locator("#rank b")).to_have_text("Rank 1")
        await expect(page.locator("#coach")).to_be_hidden()
        await expect(page.locator("#saved")).to_have_text("Saved")
        await keep_screenshot(page, "laptop-first-rank")
        shown = (await amount(page, "money"), await amount(page, "dishes"))
        session = await until_kept(game, page, shown[1], rank=1)
        assert (session["money"], session["dishes"]) == shown
        assert session["level"]["rank"] == 1
        assert anna.complaints == []


async def test_two_tabs_stay_in_step_and_leave_together(game: GameServer) -> None:
    """What one tab does, the other shows; logging out in one ends the game in both."""
    async with visitor(game.url) as anna:
        one = await anna.register("tabs@example.com")
        other = await anna.open()
        await other.wait_for_selector(".item")
        await open_kitchen(one, 3)
        await until_amount(other, "dishes", 3)
        await other.bring_to_front()
        await press_once(other, "sell")
        await until_amount(one, "money", 1)
        await other.click("[data-opens=account]")
        await other.click("#dialog .log-out")
        for page in (one, other):
            await expect(page.locator("#entrance-title")).to_have_text("Log in")
        assert await one.evaluate("localStorage.getItem('click-and-cook.tokens')") is None
        assert anna.complaints == []


async def test_a_reload_in_the_middle_of_clicking_loses_and_doubles_nothing(game: GameServer) -> None:
    """Clicks that had no answer when the tab was reloaded are sent again by the new page, and count once."""
    async with visitor(game.url) as anna:
        page = await anna.register("reload@example.com")
        await open_kitchen(page, 1)
        clicks = "for (let i = 0; i < 30; i++) document.getElementById('cook').click()"
        async with page.expect_event("load"):
            await page.evaluate(f"setTimeout(() => {{ {clicks}; location.reload(); }})")
        await page.wait_for_selector("#link.connected")
        await until_each_counted(game, page, 31)
        assert anna.complaints == []


async def test_clicks_during_an_outage_are_sent_again_and_count_once() -> None:
    """The server is killed under a clicking player, comes back, and has every click that the player saw."""
    with running_game({"AUTH_RATE": "0"}) as game:
        async with visitor(game.url) as anna:
            page = await anna.register("outage@example.com")
            await open_kitchen(page, 2)
            await page.keyboard.down("c")
            await until_more(page, "dishes", 5)
            await asyncio.to_thread(game.kill)
            await page.wait_for_selector("#link:not(.connected)")
            await until_more(page, "dishes", 15)
            await page.keyboard.up("c")
            seen = await amount(page, "dishes")
            await keep_screenshot(page, "laptop-reconnecting")
            await asyncio.to_thread(game.start)
            await page.wait_for_selector("#link.connected")
            await until_each_counted(game, page, seen)


async def test_an_expired_token_is_renewed_once_for_all_tabs(game: GameServer) -> None:
    """Both tabs learn from the server that the token is old; one renews it, both play on."""
    async with visitor(game.url) as anna:
        one = await anna.register("expired@example.com")
        await open_kitchen(one, 1)
        tokens = await tokens_of(one)
        claims = jwt.decode(tokens["access"], options={"verify_signature": False})
        past = {**claims, "iat": int(time.time()) - 900, "exp": int(time.time()) - 1}
        expired = jwt.encode(past, EXTERNAL["ACCESS_TOKEN_SECRET"], algorithm="HS256")
        store = "tokens => localStorage.setItem('click-and-cook.tokens', JSON.stringify(tokens))"
        await one.evaluate(store, {**tokens, "access": expired, "sinceMs": int(time.time() * 1000)})
        renewals: list[str] = []
        anna.context.on("request", lambda request: renewals.append(request.url))
        other = await anna.open()
        await one.reload()
        for page in (one, other):
            await page.wait_for_selector("#link.connected")
            await until_amount(page, "dishes", 1)
        await press_once(one, "cook")
        await until_amount(other, "dishes", 2)
        assert sum(url.endswith("/refresh") for url in renewals) == 1
        assert (await tokens_of(one))["access"] != expired
        assert anna.complaints == []


async def test_a_log_in_that_was_revoked_elsewhere_ends_with_a_word(game: GameServer) -> None:
    """The family dies at the server; the tab says so and asks to log in, and the game is there again."""
    async with visitor(game.url) as anna:
        page = await anna.register("revoked@example.com")
        await open_kitchen(page, 1)
        await until_kept(game, page, 1)  # what is unanswered would end with the log-in
        refresh = (await tokens_of(page))["refresh"]
        revoke = "token => fetch('/logout', {method: 'POST', headers: {Authorization: `Bearer ${token}`}})"
        await page.evaluate(revoke, refresh)
        await expect(page.locator("#entrance-why")).to_contain_text("logged out")
        await page.fill("[name=email]", "Revoked@Example.com")
        await page.fill("[name=password]", "not the password")
        await page.keyboard.press("Enter")
        await expect(page.locator("#entrance-why")).to_contain_text("No kitchen")
        await page.fill("[name=password]", PASSWORD)
        await page.keyboard.press("Enter")
        await page.wait_for_selector("#link.connected")
        await until_amount(page, "dishes", 1)


async def test_it_fits_a_phone_and_a_thumb(game: GameServer) -> None:
    """On a phone nothing sticks out, both hands stay in reach, and a finger that stays down repeats."""
    async with visitor(game.url, **PHONE) as anna:
        page = await anna.register("phone@example.com")
        await expect(page.locator("#menu h2")).to_have_text("Меню")
        await keep_screenshot(page, "phone-start")
        await page.locator(".item button").first.tap()
        await page.mouse.wheel(0, 900)
        await page.locator("#cook").tap()
        await until_more(page, "dishes", 1)
        tapped = await amount(page, "dishes")
        box = await page.locator("#cook").bounding_box()
        assert box is not None
        touch = await anna.context.new_cdp_session(page)
        finger = [{"x": box["x"] + 60, "y": box["y"] + 30}]
        await touch.send("Input.dispatchTouchEvent", {"type": "touchStart", "touchPoints": finger})
        await until_more(page, "dishes", tapped + 5)
        await touch.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
        assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        hands = await page.locator("#hands").bounding_box()
        assert hands is not None
        assert 700 < hands["y"] + hands["height"] <= 844
        await keep_screenshot(page, "phone-playing")
        assert anna.complaints == []


async def test_one_tab_too_many_says_so_and_plays_when_there_is_room() -> None:
    """Past MAX_CONNECTIONS_PER_USER the newest tab names the reason, and goes on once another is closed."""
    with running_game({"AUTH_RATE": "0", "MAX_CONNECTIONS_PER_USER": "1"}) as game:
        async with visitor(game.url) as anna:
            one = await anna.register("crowded@example.com")
            other = await anna.open()
            await expect(other.locator("#link")).to_contain_text("Too many tabs")
            await one.close()
            async with asyncio.timeout(LIMIT_S):
                while not await other.locator("#link.connected").count():
                    await other.evaluate("document.querySelector('#link button').click()")
                    await other.wait_for_selector("#link.crowded, #link.connected")
            assert anna.complaints == []
