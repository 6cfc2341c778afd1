"""The page's people in a real Chromium: guests, forgotten passwords, the dialog of the account."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING

import pytest
from playwright.async_api import expect

from tests.support.browser import (
    LAPTOP,
    ONE_BROWSER,
    keep_screenshot,
    press_once,
    tokens_of,
    until_amount,
    until_each_counted,
    until_kept,
    visitor,
)
from tests.support.game_server import GameServer, running_game
from tests.support.limits import LIMIT_S
from tests.support.mail_server import link_token, running_mail_server
from tests.support.players import EXTERNAL, PASSWORD, player

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.async_api import Page

    from tests.support.mail_server import MailServer

pytestmark = ONE_BROWSER

NEW_PASSWORD = "another kitchen of mine"


PUBLIC_URL = "https://play.example"


@pytest.fixture(scope="module")
def mail() -> Iterator[MailServer]:
    """A server that takes mail."""
    with running_mail_server() as server:
        yield server


@pytest.fixture(scope="module")
def game(module_databases: dict[str, str], mail: MailServer) -> Iterator[GameServer]:
    """A server that sends mail."""
    mails = {
        "SMTP_URL": f"smtp://127.0.0.1:{mail.port}",
        "MAIL_FROM": "Kitchen <kitchen@play.example>",
        "PUBLIC_URL": PUBLIC_URL,
    }
    with running_game({**EXTERNAL, **module_databases, **mails}) as server:
        yield server


async def begin(page: Page, dishes: int) -> None:
    """Buy the sandwich and cook."""
    await page.locator(".item button").first.click()
    for _ in range(dishes):
        await press_once(page, "cook")
    await until_amount(page, "dishes", dishes)


async def test_a_guest_cooks_at_once_and_keeps_the_kitchen(game: GameServer) -> None:
    """No address and no password; after the claim both tabs play on, and no click is lost."""
    async with visitor(game.url, **LAPTOP) as anna:
        await anna.keep_notices()
        page = await anna.open()
        first = page.locator("#entrance button").first
        await expect(first).to_have_text("Cook now")
        await expect(page.locator("#entrance input:visible")).to_have_count(0)
        await keep_screenshot(page, "guest-entrance")
        await first.focus()
        await page.keyboard.press("Enter")
        await page.wait_for_selector("#link.connected")
        await expect(page.locator("#kitchen")).to_be_focused()
        await begin(page, 1)
        await expect(page.locator("#keep")).to_be_hidden()
        assert (await until_kept(game, page, 1))["user_email"] == ""
        other = await anna.open()
        await until_amount(other, "dishes", 1)
        await page.click("[data-opens=account]")
        await page.fill("#dialog [name=email]", "kept@example.com")
        await page.fill("#dialog [name=newPassword]", "password1")
        await page.keyboard.press("Enter")
        await expect(page.locator("#dialog [role=alert]").first).to_contain_text("Many people")
        await expect(page.locator("#dialog [name=newPassword]")).to_be_focused()
        await page.fill("#dialog [name=newPassword]", PASSWORD)
        await keep_screenshot(page, "guest-account")
        await other.evaluate("for (let i = 0; i < 20; i++) document.getElementById('cook').click()")
        await page.keyboard.press("Enter")
        await expect(page.locator(".toast")).to_contain_text(["kept@example.com"])
        for tab in (page, other):
            await tab.wait_for_selector("#link.connected")
            await until_amount(tab, "dishes", 21)
        await until_each_counted(game, other, 21)
        await until_amount(page, "dishes", 22)
        assert (await until_kept(game, page, 22))["user_email"] == "kept@example.com"
        # The refused password; and the other tab may ask for a new token before it has seen the claim's.
        assert [text for text in anna.complaints if "400" not in text and "401" not in text] == []


async def test_two_tabs_that_claim_at_once_lose_nothing(game: GameServer) -> None:
    """One address wins, and both tabs play on with it: with Web Locks, and where there are none."""
    for without_locks in (False, True):
        async with visitor(game.url, **LAPTOP) as anna:
            if without_locks:
                await anna.context.add_init_script(
                    "Object.defineProperty(navigator, 'locks', {value: undefined})"
                )
            page = await anna.cook_now()
            await begin(page, 2)
            other = await anna.open()
            await until_amount(other, "dishes", 2)
            emails = [f"{name}{without_locks}@example.com".lower() for name in ("one", "two")]
            for tab, email in zip((page, other), emails, strict=True):
                await tab.click("[data-opens=account]")
                await tab.fill("#dialog [name=email]", email)
                await tab.fill("#dialog [name=newPassword]", PASSWORD)
            for tab in (page, other):
                await tab.evaluate("document.querySelector('#dialog form').requestSubmit()")
            for tab in (page, other):
                await tab.wait_for_selector(
                    "#dialog [role=alert]:not(:empty):visible, #dialog:not([open])", state="attached"
                )
                await tab.keyboard.press("Escape")
                await tab.wait_for_selector("#link.connected")
                await press_once(tab, "cook")
            await until_each_counted(game, page, 4)
            assert (await until_kept(game, page, 5))["user_email"] in emails


async def test_a_guest_is_asked_kindly_once_there_is_something_to_lose(game: GameServer) -> None:
    """After some purchases a card asks; "later" puts it away, and the focus stays in the kitchen.

    Leaving the kitchen, to which nobody can come back, takes more than a double-click.
    """
    async with visitor(game.url, **LAPTOP) as anna:
        page = await anna.cook_now()
        await page.locator(".item button").first.click()
        await expect(page.locator(".fold button")).to_have_text("Your dishes: 1")
        async with player(game, (await tokens_of(page))["access"]) as same:
            async with asyncio.timeout(LIMIT_S):
                while "code" in await same.ask("cook", count=1000):  # the page shows what is not bought yet
                    pass
            await same.ask("sell", count=1000)
        await until_amount(page, "money", 1000)
        await page.click("#tab-equipment")
        buy = page.locator(".item.sale button").first
        for _ in range(3):
            await buy.click()
        await expect(page.locator("#keep")).to_be_visible()
        await keep_screenshot(page, "guest-asked")
        await page.click("#keep .primary")
        await expect(page.locator("#dialog-title")).to_have_text("Keep my kitchen")
        await page.keyboard.press("Escape")
        await page.click("#keep .plain")
        await expect(page.locator("#keep")).to_be_hidden()
        await expect(page.locator("#kitchen")).to_be_focused()
        await page.click("[data-opens=account]")
        await page.evaluate(
            "document.querySelector('#dialog-body > .plain:last-of-type').click();"
            "for (let i = 0; i < 2; i++) document.querySelector('#dialog .sure').click()"
        )
        await expect(page.locator("#dialog-title")).to_have_text("Leave this kitchen")
        await page.click("#dialog .primary")
        await expect(page.locator("#dialog")).to_be_hidden()
        await expect(page.locator("#kitchen")).to_be_visible()
        assert anna.complaints == []


async def test_a_forgotten_password_is_replaced_by_a_link(game: GameServer, mail: MailServer) -> None:
    """Asked for at the entrance, mailed, good once; the address keeps nothing of the token."""
    async with visitor(game.url, **LAPTOP) as anna, visitor(game.url, **LAPTOP) as boris:
        await anna.register("forgetful@example.com")
        page = await boris.open()
        await page.click("[data-mode=logIn]")
        await page.click("[data-mode=forgot]")
        await page.fill("[name=email]", "forgetful@example.com")
        await page.keyboard.press("Enter")
        await expect(page.locator("#entrance-why")).to_contain_text("on its way")
        await keep_screenshot(page, "forgot")
        token = link_token(await mail.mail("forgetful@example.com"), PUBLIC_URL)
        await page.goto(f"{game.url}/#reset={token}")
        await expect(page.locator("#entrance-title")).to_have_text("New password")
        assert token not in page.url
        await page.fill("[name=password]", NEW_PASSWORD)
        await page.keyboard.press("Enter")
        await page.wait_for_selector("#link.connected")
        assert (await until_kept(game, page, 0))["user_email"] == "forgetful@example.com"
        await page.goto(f"{game.url}/#reset={token}")
        await page.fill("[name=password]", NEW_PASSWORD)
        await page.keyboard.press("Enter")
        await expect(page.locator("#entrance-why")).to_contain_text("used up")
        await page.click("[data-mode=forgot]")
        await expect(page.locator("#entrance-why")).to_be_empty()


async def test_the_account_is_changed_saved_and_deleted(game: GameServer) -> None:
    """Password and e-mail change while another tab plays on; the export is a file; deleting ends it all."""
    async with visitor(game.url, **LAPTOP) as anna:
        page = await anna.register("changing@example.com")
        await begin(page, 1)
        other = await anna.open()
        await until_amount(other, "dishes", 1)
        await page.click("[data-opens=account]")
        password = page.locator("details", has_text="New password")
        address = page.locator("details", has_text="Another e-mail")
        await password.locator("summary").click()
        await keep_screenshot(page, "account")
        await password.locator("[name=password]").fill("not the password")
        await password.locator("[name=newPassword]").fill(NEW_PASSWORD)
        await page.keyboard.press("Enter")
        await expect(password.locator("[role=alert]")).to_have_text("This is not the password.")
        await password.locator("[name=password]").fill(PASSWORD)
        await page.keyboard.press("Enter")
        await expect(page.locator("#dialog")).to_be_hidden()
        await page.click("[data-opens=account]")
        await address.locator("summary").click()
        await address.locator("[name=email]").fill("changed@example.com")
        await address.locator("[name=password]").fill(NEW_PASSWORD)
        await page.keyboard.press("Enter")
        await expect(page.locator("#dialog")).to_be_hidden()
        for tab in (page, other):
            await tab.wait_for_selector("#link.connected")
        await until_amount(other, "dishes", 1)
        await until_each_counted(game, other, 1)
        await until_amount(page, "dishes", 2)
        assert (await until_kept(game, page, 2))["user_email"] == "changed@example.com"
        await page.click("[data-opens=account]")
        async with page.expect_download() as download:
            await page.click("text=Download all")
        file = await (await download.value).path()
        kept = json.loads(await asyncio.to_thread(file.read_text))
        assert kept["account"]["email"] == "changed@example.com"
        removal = page.locator("details", has_text="Delete the account")
        await removal.locator("summary").click()
        await removal.locator("[name=password]").fill(NEW_PASSWORD)
        await page.keyboard.press("Enter")
        await expect(page.locator("#entrance-why")).to_have_text("The account is deleted.")
        await other.wait_for_selector("#entrance:not([hidden])")
