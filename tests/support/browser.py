"""A real Chromium on the playable page, as a player has it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import shutil
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest
from playwright.async_api import Browser, BrowserContext, Page, async_playwright, expect

from tests.support.game_server import REPOSITORY
from tests.support.limits import LIMIT_S
from tests.support.players import PASSWORD, player

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from playwright.async_api import ConsoleMessage

    from tests.support.game_server import GameServer

_BROWSERS: Final = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")
"""The one without windows comes first: it takes little more than half of the others' time."""

LIMIT_MS: Final = 1000 * LIMIT_S
expect.set_options(timeout=LIMIT_MS)
# A browser as root has no sandbox; containers have a small /dev/shm.
_OPTIONS: Final = ["--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu"]
_READ: Final = "Number(document.getElementById(what).textContent.replace(/\\D/g, ''))"
_DOM: Final = REPOSITORY / "server" / "web" / "dom.js"
_POLL_S: Final = 0.05
_DRAWN: Final = "new Promise((done) => requestAnimationFrame(done))"
_NOTICES_STAY: Final = """(() => {
    const later = setTimeout;
    setTimeout = (act, ms, ...words) => later(act, ms === NOTICE_MS ? 1e9 : ms, ...words);
})()"""
_SCREENSHOTS: Final = Path(os.environ.get("SCREENSHOTS", REPOSITORY / "build" / "screenshots"))

MOVING: Final[dict[str, Any]] = {"viewport": {"width": 1366, "height": 768}, "locale": "en-GB"}
"""A laptop on which everything moves; each second of that costs far more than what a test does in it."""
LAPTOP: Final[dict[str, Any]] = MOVING | {"reduced_motion": "reduce"}
"""The same, set to less motion by its owner: for tests that look at anything else."""
ONE_BROWSER: Final = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.usefixtures("one_browser")]
"""Marks tests that share their module's browser: starting one costs more than most of them do in it."""
PHONE: Final[dict[str, Any]] = {
    "viewport": {"width": 390, "height": 844},
    "locale": "ru-RU",
    "has_touch": True,
    "is_mobile": True,
    "device_scale_factor": 2,
}


@dataclass(slots=True)
class Visitor:
    """One browser profile; its tabs share storage. What the pages complain about is in `complaints`."""

    url: str
    context: BrowserContext
    complaints: list[str] = field(default_factory=list)

    async def keep_notices(self) -> None:
        """Let notices stay that pages opened from now on show: a busy machine may look for them too late."""
        (notice_ms,) = re.findall(r"TOAST_MS = (\d+);", _DOM.read_text(encoding="utf-8"))
        await self.context.add_init_script(_NOTICES_STAY.replace("NOTICE_MS", notice_ms))

    async def open(self) -> Page:
        """Open one more tab on the page."""
        page = await self.context.new_page()
        page.on("console", lambda message: self._heard(message))  # noqa: PLW0108 - Playwright marks a method's object
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        await page.goto(self.url)
        return page

    def _heard(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self.complaints.append(message.text)

    async def cook_now(self) -> Page:
        """Open a tab, begin as a guest, and wait until the game is there."""
        page = await self.open()
        await page.click("#entrance .primary")
        await page.wait_for_selector("#link.connected")
        await page.wait_for_selector(".item")
        return page

    async def register(self, email: str) -> Page:
        """Open a tab, register, and wait until the game is there."""
        page = await self.open()
        await page.click("[data-mode=register]")
        await page.fill("[name=email]", email)
        await page.fill("[name=password]", PASSWORD)
        await page.keyboard.press("Enter")
        await page.wait_for_selector("#link.connected")
        await page.wait_for_selector(".item")
        return page


def chromium() -> str:
    """Find the browser. Without one the test is skipped, and says so; on CI, which installs one, it fails."""
    found = next(filter(None, map(shutil.which, _BROWSERS)), None)
    if found is not None:
        return found
    reason = f"the page was not tested: none of {', '.join(_BROWSERS)} is installed"
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)


@contextlib.asynccontextmanager
async def visitor(url: str, **profile: Any) -> AsyncIterator[Visitor]:
    """Visit with one fresh profile: in the module's browser where it keeps one, else in one of its own."""
    async with contextlib.AsyncExitStack() as stack:
        browser = await (_kept[-1].browser() if _kept else stack.enter_async_context(_running_browser()))
        context = await browser.new_context(**(profile or LAPTOP))
        stack.push_async_callback(context.close)
        context.set_default_timeout(LIMIT_MS)
        yield Visitor(url, context)


@contextlib.asynccontextmanager
async def kept_browser() -> AsyncIterator[None]:
    """Give all visitors within the block one browser, on one loop; it starts when the first one comes."""
    async with contextlib.AsyncExitStack() as stack:
        _kept.append(_Kept(stack))
        stack.callback(_kept.pop)
        yield


@dataclass(slots=True)
class _Kept:
    """The browser that a module keeps."""

    stack: contextlib.AsyncExitStack
    started: Browser | None = None

    async def browser(self) -> Browser:
        if self.started is None or not self.started.is_connected():
            self.started = await self.stack.enter_async_context(_running_browser())
        return self.started


_kept: Final[list[_Kept]] = []


@contextlib.asynccontextmanager
async def _running_browser() -> AsyncIterator[Browser]:
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=chromium(), args=_OPTIONS)
        try:
            yield browser
        finally:
            await browser.close()


async def keep_screenshot(page: Page, name: str) -> None:
    """Keep a picture of the tab for people to look at."""
    _SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    await page.screenshot(path=_SCREENSHOTS / f"{name}.png")


async def tokens_of(page: Page) -> dict[str, Any]:
    """Return the tokens that the tabs share."""
    text = await page.evaluate("localStorage.getItem('click-and-cook.tokens')")
    tokens: dict[str, Any] = json.loads(text)
    return tokens


async def amount(page: Page, what: str) -> int:
    """Return the `money` or the `dishes` that the page shows, once it has drawn all that was done before."""
    await page.evaluate(_DRAWN)
    text = await page.locator(f"#{what}").inner_text()
    return int("".join(filter(str.isdigit, text)))


async def press_once(page: Page, hand: str) -> None:
    """Cook or sell once, as assistive technology does.

    A mouse, a finger or a key that a busy machine lets go late has been held: that repeats.
    """
    await page.locator(f"#{hand}").dispatch_event("click")


async def until_amount(page: Page, what: str, expected: int) -> None:
    """Wait until the page shows so much. The server may not have it yet: see `until_kept`."""
    await page.wait_for_function(f"([what, expected]) => {_READ} === expected", arg=[what, expected])


async def until_more(page: Page, what: str, least: int) -> None:
    """Wait until the page shows at least so much, or nothing is left to sell."""
    sold_out = "what === 'money' && document.getElementById('dishes').textContent === '0'"
    await page.wait_for_function(f"([what, least]) => {_READ} >= least || {sold_out}", arg=[what, least])


async def until_kept(server: GameServer, page: Page, dishes: int, *, rank: int = 0) -> dict[str, Any]:
    """Wait until the server has so many dishes of the tab's player, and the rank: the page shows them before.

    Return the server's session; fails as soon as it has more dishes.
    """
    end_s = time.monotonic() + LIMIT_S
    async with player(server, (await tokens_of(page))["access"]) as same:
        session: dict[str, Any] = (await same.ask("session"))["session"]
        while (session["dishes"], session["level"]["rank"]) < (dishes, rank) and time.monotonic() < end_s:
            await asyncio.sleep(_POLL_S)
            session = (await same.ask("session"))["session"]
    assert session["dishes"] == dishes
    return session


async def until_each_counted(server: GameServer, page: Page, dishes: int) -> None:
    """Wait until the server has so many dishes, and see that none comes twice.

    One more click is the last that the page sends: with it the server has one more, whatever was sent again.
    """
    await until_amount(page, "dishes", dishes)
    await until_kept(server, page, dishes)
    await press_once(page, "cook")
    await until_amount(page, "dishes", dishes + 1)
    await until_kept(server, page, dishes + 1)
    await until_amount(page, "dishes", dishes + 1)
