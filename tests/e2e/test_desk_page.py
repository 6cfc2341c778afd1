"""The desk's pages in Chromium: by keyboard alone, on a phone, with markup that stays text."""

from __future__ import annotations

import asyncio
import re
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any, Final

import orjson
import psutil
import pytest
from playwright.async_api import expect

from server.desk.orders import ORDERS
from server.desk.troubles import TROUBLES
from server.http.static import read_files
from tests.support.accessible import AXE, found
from tests.support.browser import PHONE, keep_screenshot, visitor
from tests.support.desk_client import ANNA, LOOKER, DeskClient, running_desk
from tests.support.game_server import REPOSITORY
from tests.support.players import joined, register, user_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from playwright.async_api import Page

    from tests.support.game_server import GameServer

WEB: Final = REPOSITORY / "server" / "desk" / "web"
WIDE: Final[dict[str, Any]] = {"viewport": {"width": 1280, "height": 900}, "locale": "en-GB"}
MARKUP: Final = "letter <img src=x onerror=alert(1)>"
KEEP_STILL: Final = "(later => { setTimeout = (act, ms) => ms < 1000 && later(act, ms) })(setTimeout)"
"""What is looked at is not drawn again every few seconds."""
HOW_WIDE: Final = "document.documentElement.scrollWidth"

Served = tuple["GameServer", str]


@pytest.fixture(scope="module")
def served(module_databases: dict[str, str]) -> Iterator[Served]:
    """Two workers, of which the first serves the desk."""
    with running_desk(module_databases, WORKERS="2") as running:
        server, _ = running
        server.wait_for_log("workers_ready")
        yield running


def test_the_pages_weigh_under_60_kb_and_name_nothing_foreign() -> None:
    """All files together, unpacked; no inline script or style, no markup made of texts, no other host."""
    files = {path: file.body.decode() for path, file in read_files(WEB).items() if path != "/"}
    assert 20_000 < sum(len(body.encode()) for body in files.values()) < 60_000
    assert re.findall(r"<script(?![^>]*src=)|<style|\sstyle=|\son\w+=", files["/index.html"]) == []
    for body in files.values():
        assert set(re.findall(r"https?://([\w.]+)", body)) <= {"www.w3.org"}
        assert re.findall(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(", body) == []


def test_every_text_is_there_in_both_languages() -> None:
    """What the pages say, every order, and every trouble with what to do."""
    texts = (WEB / "texts.js").read_text()
    known = re.findall(r'^\t"?([\w: -]+?)"?: \[\s*"[^"]+",\s*"[^"]+",?\s*\]', texts, re.MULTILINE)
    troubles = re.findall(
        r'^\t(\w+): \[\n\t\t\["[^"]+", "[^"]+"\],\n\t\t\["[^"]+", "[^"]+"\],\n\t\],$', texts, re.MULTILINE
    )
    assert set(troubles) == set(TROUBLES)
    assert set(ORDERS) <= set(known)
    code = "".join(path.read_text() for path in (*WEB.glob("*.js"), WEB / "index.html"))
    assert set(re.findall(r'say\("(\w[\w-]*)"|data-(?:t|label)="([\w-]+)"', code)) != set()
    for pair in re.findall(r'say\("(\w[\w-]*)"|data-(?:t|label)="([\w-]+)"', code):
        assert set(pair) - {""} <= set(known), pair


async def come_in(page: Page, token: str = ANNA) -> None:
    """Show a token at the entrance, as the keyboard does it."""
    await page.keyboard.type(token)
    await page.keyboard.press("Enter")
    await page.wait_for_selector("#who:not([hidden])")


async def give_money(page: Page) -> None:
    """Give 500 for a reason with markup; afterwards the focus is where it was before."""
    give = page.get_by_role("button", name="Give")
    await give.focus()
    await keep_screenshot(page, "desk-player-1280")
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("combobox")).to_be_focused()
    await page.keyboard.press("Tab")
    await page.keyboard.type("500")
    await page.keyboard.press("Tab")
    await page.keyboard.type(MARKUP)
    await page.keyboard.press("Enter")
    await expect(page.locator("#dialog td")).to_have_text(["money", "0", "500"])
    await keep_screenshot(page, "desk-confirm-1280")
    await page.get_by_role("button", name="Do it").focus()
    await page.keyboard.press("Enter")
    await expect(page.locator("#dialog-title")).to_contain_text("Done, number")
    await page.keyboard.press("Enter")
    await expect(page.locator("#dialog")).to_be_hidden()
    await expect(give).to_be_focused()


async def test_a_letter_is_answered_by_keyboard_alone(served: Served) -> None:
    """In, find the player, give money with a reason, see before and after; the tab of the player has it."""
    server, url = served
    async with AsyncExitStack() as stack:
        tokens = await asyncio.to_thread(register, server)
        user_id, player = user_of(tokens), await joined(stack, server, tokens["access_token"])
        await player.ask("name_set", name=f"<b>{user_id}</b>")
        await player.ask("upgrade_buy", id=1)
        desk = await stack.enter_async_context(visitor(url, **WIDE))
        page = await desk.open()
        await page.keyboard.type("x" * 40)
        await page.keyboard.press("Enter")
        await expect(page.get_by_role("alert")).to_have_text("This is none of the tokens.")
        await come_in(page)
        await expect(page.locator("table", has_text="Server processes").locator("tbody tr")).to_have_count(2)
        await expect(page.locator(".tile b").first).to_have_text("1")
        await keep_screenshot(page, "desk-now-1280")
        await page.get_by_role("link", name="Players").focus()
        await page.keyboard.press("Enter")
        await expect(page.get_by_role("searchbox")).to_be_focused()
        await page.keyboard.type(str(user_id))
        await page.keyboard.press("Enter")
        await expect(page.locator(".found a")).to_have_count(1)
        await keep_screenshot(page, "desk-find-1280")
        await page.keyboard.press("Tab")
        await page.keyboard.press("Tab")
        await page.keyboard.press("Enter")
        await give_money(page)
        while (await player.push("session"))["session"]["money"] != 500:
            pass
        await expect(page.locator("table", has_text="What operators did")).to_contain_text(MARKUP)
        await expect(page.locator("dd", has_text=f"<b>{user_id}</b>")).to_have_count(1)
        assert await page.locator("main img, main b").count() == 0
        assert [text for text in desk.complaints if "401" not in text] == []  # the wrong token


async def test_the_keyboard_keeps_its_place(served: Served) -> None:
    """A dialog keeps the focus; it goes back to where it was, or to what is in that place by then."""
    server, url = served
    async with AsyncExitStack() as stack:
        tokens = await asyncio.to_thread(register, server)
        player = await joined(stack, server, tokens["access_token"])
        await player.ask("upgrade_buy", id=1)
        desk = await stack.enter_async_context(visitor(url, **WIDE))
        page = await desk.open()
        await come_in(page)
        await page.goto(f"{url}/#player/{user_of(tokens)}")
        await page.get_by_label("Follow live").focus()
        await page.keyboard.press("Space")
        await expect(page.locator(".heard")).to_contain_text("session")
        await player.ask("cook")
        await expect(page.locator(".heard")).to_contain_text("achievement")
        await expect(page.locator(".heard")).to_contain_text('cook{"dishes":1,')
        await page.evaluate(AXE)
        assert await found(page, "main") == []
        for order, then in (("Suspend", "End the suspension"), ("End the suspension", "Suspend")):
            await page.get_by_role("button", name=order, exact=True).focus()
            await page.keyboard.press("Enter")
            reason = page.locator("#dialog [name=reason]")
            await expect(reason).to_be_visible()
            await page.get_by_role("button", name="Show what changes").focus()
            await page.keyboard.press("Tab")
            await expect(page.locator("#dialog-close")).to_be_focused()
            await page.keyboard.press("Shift+Tab")
            await expect(page.get_by_role("button", name="Show what changes")).to_be_focused()
            await reason.focus()
            await page.keyboard.type(f"letter 4, {order}")
            await page.keyboard.press("Enter")
            await expect(page.locator("#dialog-title")).to_be_focused()
            await page.get_by_role("button", name="Do it").focus()
            await page.keyboard.press("Enter")
            await expect(page.locator("#dialog-title")).to_contain_text("Done, number")
            await expect(
                page.get_by_role("button", name=then, include_hidden=True, exact=True)
            ).to_be_attached()
            await page.keyboard.press("Enter")
            await expect(page.get_by_role("button", name=then, exact=True)).to_be_focused()
        assert desk.complaints == []


async def test_the_desk_comes_back_with_its_worker(served: Served) -> None:
    """The worker that serves it is killed: another takes its place, with the desk, and says what is wrong."""
    server, url = served
    anna = DeskClient(url)
    processes = {process.environ().get("WORKER_INDEX"): process for process in children_of(server)}
    processes["1"].suspend()
    try:
        down = {"name": "worker_down", "detail": "1"}
        await anna.until("figures", lambda said: down in said["troubles"])
    finally:
        processes["1"].resume()
    processes["0"].kill()
    server.wait_for_log("desk_ready", 2)
    await anna.until("figures", lambda said: [each["up"] for each in said["processes"]] == [True, True])


def children_of(server: GameServer) -> list[psutil.Process]:
    """Find the workers of a server."""
    assert server.process is not None
    return psutil.Process(server.process.pid).children()


async def test_on_a_phone_in_russian_to_look_only(served: Served) -> None:
    """Nothing is wider than the screen, and a token that may only look is offered nothing to do."""
    server, url = served
    tokens = await asyncio.to_thread(register, server)
    async with AsyncExitStack() as stack:
        player = await joined(stack, server, tokens["access_token"])
        await player.ask("upgrade_buy", id=1)
        await DeskClient(url).order(user_of(tokens), "give", what="dishes", amount="40")
        desk = await stack.enter_async_context(visitor(url, **PHONE))
        page = await desk.open()
        await page.fill("input", LOOKER)
        await page.keyboard.press("Enter")
        await expect(page.locator(".tile").first).to_be_visible()
        assert await page.evaluate(HOW_WIDE) == 390
        await keep_screenshot(page, "desk-now-390")
        await page.goto(f"{url}/#player/{user_of(tokens)}")
        await expect(page.locator("table").first).to_be_visible()
        assert await page.evaluate(HOW_WIDE) == 390
        await keep_screenshot(page, "desk-player-390")
        await expect(page.locator("[data-order]")).to_have_count(0)
        await page.tap("#language")
        await expect(page.locator("#read-only")).to_have_text("may only look")
        assert desk.complaints == []


async def test_an_export_goes_down_and_up_again(served: Served, tmp_path: Path) -> None:
    """Downloaded, changed, imported: what would change is shown first, and refused where it must be."""
    server, url = served
    tokens = await asyncio.to_thread(register, server)
    async with AsyncExitStack() as stack:
        player = await joined(stack, server, tokens["access_token"])
        desk = await stack.enter_async_context(visitor(url, **WIDE))
        page = await desk.open()
        await come_in(page)
        await page.goto(f"{url}/#player/{user_of(tokens)}")
        async with page.expect_download() as downloading:
            await page.get_by_role("button", name="Download the export").click()
        await (await downloading.value).save_as(tmp_path / "export.json")
        export = orjson.loads((tmp_path / "export.json").read_bytes())
        for money, shown in ((-5, "-5"), (64, "64")):
            export["live"]["money"] = money
            (tmp_path / "changed.json").write_bytes(orjson.dumps(export))
            await page.get_by_role("button", name="Restore from own export").click()
            await page.set_input_files("input[type=file]", tmp_path / "changed.json")
            await page.fill("[name=reason]", "letter 8")
            await page.get_by_role("button", name="Show what changes").click()
            await expect(page.locator("#dialog td")).to_have_text(["money", "0", shown])
            await page.get_by_role("button", name="Do it").click()
            await expect(page.locator("#dialog-title")).to_contain_text("number")
            await page.get_by_role("button", name="Close").last.click()
        assert (await player.ask("session"))["session"]["money"] == 64
        assert desk.complaints == []


async def test_nothing_keeps_an_operator_out(served: Served) -> None:
    """axe-core finds nothing: every page and dialog, wide and on a phone, in both languages and looks."""
    server, url = served
    tokens = await asyncio.to_thread(register, server)
    user_id = user_of(tokens)
    async with AsyncExitStack() as stack:
        player = await joined(stack, server, tokens["access_token"])
        await player.ask("session", client="a tab of the player")
        given = await DeskClient(url).order(user_id, "give", what="dishes", amount="40")
        desk = await stack.enter_async_context(visitor(url, **WIDE, reduced_motion="reduce"))
        page = await desk.open()
        await page.evaluate(AXE)
        assert await in_both_windows(page, "main form input") == []
        await come_in(page)
        await expect(page.locator(".tile svg").first).to_be_visible()
        await page.evaluate(KEEP_STILL)
        assert await in_both_windows(page, ".tile svg") == []
        await page.evaluate("location.hash = 'players'")
        await page.fill("main [type=search]", str(user_id))
        await page.press("main [type=search]", "Enter")
        assert await in_both_windows(page, ".found a") == []
        await page.evaluate(f"location.hash = 'player/{user_id}'")
        await expect(page.locator("[data-order=suspend]")).to_be_visible()
        assert await in_both_windows(page, "[data-order=suspend]") == []
        drawn = await page.eval_on_selector_all(
            "[data-order]", "all => all.map((each) => each.dataset.order)"
        )
        orders = {*ORDERS, f"undo-{given['number']}"} - {"undo", "unsuspend"}
        assert set(drawn) == {*orders, "export"}
        for number, order in enumerate(sorted(orders)):
            if number % 3 == 0:
                await change_window(page)
            await page.click(f"[data-order='{order}']")
            await expect(page.locator("#dialog form [name=reason]")).to_be_visible()
            assert await found(page, "#dialog") == [], order
            await page.keyboard.press("Escape")
            await expect(page.locator(f"[data-order='{order}']")).to_be_focused()
        await page.click("[data-order=reset-link]")
        await page.fill("#dialog [name=reason]", "letter 9")
        await page.click("#dialog form .primary")
        await expect(page.locator("#dialog .bar .primary")).to_be_visible()
        assert await found(page, "#dialog") == []
        await page.click("#dialog .bar .primary")
        await expect(page.locator("#dialog .link")).to_be_visible()
        await expect(page.locator("main td", has_text="letter 9")).to_be_attached()  # drawn again behind it
        assert await found(page) == []
        assert desk.complaints == []


async def in_both_windows(page: Page, shows: str) -> list[list[str]]:
    """Ask axe-core once in each kind of window, where something is shown."""
    broken = []
    for _ in range(2):
        await change_window(page)  # which draws everything again
        await expect(page.locator(shows).first).to_be_visible()
        broken += await found(page)
    return broken


async def change_window(page: Page) -> None:
    """From wide, light and English to a phone's size, dark and Russian, and back."""
    size = page.viewport_size
    was_wide = size is not None and size["width"] == 1280
    await page.set_viewport_size({"width": 390 if was_wide else 1280, "height": 900})
    await page.emulate_media(color_scheme="dark" if was_wide else "light")
    await page.click("#language")
    await expect(page.locator("html")).to_have_attribute("lang", "ru" if was_wide else "en")
