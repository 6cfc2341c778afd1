"""How the page looks and moves late in the game: windows, notices, keys, the work of a held button."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Final

import httpx
import pytest
import redis
from playwright.async_api import expect

from tests.support.browser import MOVING, ONE_BROWSER, keep_screenshot, visitor
from tests.support.late_game import bring_to
from tests.support.limits import LIMIT_S

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.async_api import Page, WebSocket

    from tests.support.game_server import GameServer

pytestmark = ONE_BROWSER

LARGE_TEXT_PX: Final = 24
WORDS: Final = "'#till b, #till small, #hands b, #hands small, #place-name, .item h3, .item button'"
CUT: Final = "(one => one.clientWidth && one.scrollWidth > one.clientWidth + 1)"
SIZES: Final = ((320, 640), (390, 844), (820, 1180), (844, 390), (1280, 800), (1366, 768), (1920, 1080))
WIDE: Final = SIZES[4:]
"""All of the kitchen is in the window: only the shelf scrolls."""
ENLARGED: Final = ((160, 320), (195, 422), (422, 195), (640, 400))
"""What is left of some windows where the browser enlarges everything to 200 %."""
LEVEL_UP_MOVES: Final = """() => {
    const button = document.getElementById("level-up");
    const places = [false, true].map((hidden) => {
        button.hidden = hidden;
        return document.getElementById("menu").offsetTop + document.getElementById("hands").offsetTop;
    });
    return places[0] !== places[1];
}"""
RECONNECTING_MOVES: Final = """() => {
    const link = document.getElementById("link");
    const [, said, button] = link.children;
    const scene = document.getElementById("scene");
    const places = () => [document.querySelector("nav"), scene].map((one) => one.getBoundingClientRect());
    const place = () => places().map(({ right, top }) => [right, top]).join();
    const show = (kept) => { [link.className, said.textContent, button.hidden] = kept; };
    const [before, kept] = [place(), [link.className, said.textContent, button.hidden]];
    show(["playing reconnecting", "Снова подключусь через 12 мин", false]);
    const moves = place() !== before || link.getBoundingClientRect().right > innerWidth;
    show(kept);
    return moves;
}"""
HEADER: Final = {"H1", "NAV", "HEADER"}
EVERYTHING: Final = "1:1," + ",".join(f"{upgrade_id}:7" for upgrade_id in range(40, 60))
CAT: Final = "document.getElementById('cat-cook').getBoundingClientRect()"
SCENE: Final = "document.getElementById('scene').getBoundingClientRect()"
ENTRANCE_CAT: Final = "document.querySelector('#entrance [href=\"#cat\"]').getBoundingClientRect()"
ENTRANCE_SCENE: Final = "document.querySelector('#entrance .scene').getBoundingClientRect()"
DRAWN: Final = "() => document.getElementById('cat') !== null"
NEXT_FRAMES: Final = "new Promise((seen) => requestAnimationFrame(() => requestAnimationFrame(seen)))"
COOK_NOW: Final = "document.querySelector('#entrance .primary').getBoundingClientRect()"
CLICKS: Final = 40
MOST_ROWS: Final = 3
"""So many rows may change at once: the one that was best and the one that is."""
MOST_GROWTH_BYTES: Final = 300_000
WATCH_THE_ROWS: Final = """
globalThis.mostRows = 0;
new MutationObserver((changes) => {
    const rows = new Set(changes.map(({ target }) => target.closest(".item")));
    globalThis.mostRows = Math.max(globalThis.mostRows, rows.size);
}).observe(document.getElementById("shelf"), { subtree: true, childList: true, attributes: true });
"""

WATCH_THE_LAYOUT: Final = """
globalThis.moved = [];
const names = ({ sources }) => sources.map(({ node }) => node?.nodeName ?? "?");
new PerformanceObserver((list) => globalThis.moved.push(...list.getEntries().flatMap(names)))
    .observe({ type: "layout-shift", buffered: true });
"""
"""What was drawn and then moved, with nobody's doing."""


@pytest.fixture(scope="module")
def live(module_databases: dict[str, str]) -> Iterator[redis.Redis]:
    """The module's Valkey, to bring a player far in no time."""
    with redis.Redis.from_url(module_databases["REDIS_CONNECTION"]) as client:
        yield client


class Clicks:
    """Waits for the cooks that a page sends."""

    def __init__(self, page: Page) -> None:
        self._count = 0
        self._sent = asyncio.Event()
        page.on("websocket", self._opened)

    async def until(self, more: int) -> None:
        """Wait until so many more were sent."""
        end = self._count + more
        async with asyncio.timeout(LIMIT_S):
            while self._count < end:
                self._sent.clear()
                await self._sent.wait()

    def _opened(self, socket: WebSocket) -> None:
        socket.on("framesent", self._heard)

    def _heard(self, frame: str | bytes) -> None:
        if '"cook"' in str(frame):
            self._count += 1
            self._sent.set()


async def late(page: Page, live: redis.Redis) -> None:
    """Bring the tab's player to rank 68, with money for everything and half a million stars."""
    far = {"rank": 68, "money": 10**18, "dishes": 10**7, "stars": 5_931_600_000, "boost": 300}
    await bring_to(page, live, bought=EVERYTHING, xp=10_000, **far)


async def test_nothing_sticks_out_at_any_size_in_either_language(game: GameServer, live: redis.Redis) -> None:
    """No sideways scroll, no empty scroll, the cook has its head, the stars stay off the title.

    At the entrance too, where "Cook now" is in sight at once, and nothing moves when all has come. The header
    stays where it is after a reload and when the connection is lost, and the hands where they are when a rank
    can be taken.
    """
    async with visitor(game.url, **MOVING) as anna:
        await anna.context.add_init_script(WATCH_THE_LAYOUT)
        page = await anna.open()
        await page.wait_for_selector("#entrance .primary:visible")
        await page.wait_for_function(DRAWN)
        assert await page.evaluate(f"{NEXT_FRAMES}.then(() => globalThis.moved)") == []
        for width, height in SIZES:
            await page.set_viewport_size({"width": width, "height": height})
            assert await page.evaluate(f"{ENTRANCE_CAT}.top >= {ENTRANCE_SCENE}.top"), (width, height)
            assert await page.evaluate(f"{COOK_NOW}.bottom <= innerHeight"), (width, height)
        await page.click("#entrance .primary")
        await page.wait_for_selector("#link.connected")
        await page.reload()
        await page.wait_for_selector("#link.connected")
        assert not HEADER & set(await page.evaluate(f"{NEXT_FRAMES}.then(() => globalThis.moved)"))
        await late(page, live)
        await page.click("#keep .plain")
        for _language in range(2):
            await page.click("#language")
            for width, height in SIZES:
                await page.set_viewport_size({"width": width, "height": height})
                await page.evaluate("scrollTo(0, 0)")
                seen = f"{width}x{height}"
                assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth"), seen
                assert await page.evaluate(f"{CAT}.top >= {SCENE}.top"), seen
                assert not await page.evaluate(LEVEL_UP_MOVES), seen
                assert not await page.evaluate(RECONNECTING_MOVES), seen
                title = await page.evaluate(
                    "(h => { const r = document.createRange(); r.selectNodeContents(h); "
                    "return r.getBoundingClientRect().toJSON(); })(document.querySelector('h1'))"
                )
                nav = await page.locator("nav").bounding_box()
                assert nav is not None
                assert title["right"] <= nav["x"] or title["bottom"] <= nav["y"] + 2, seen
                if (width, height) in WIDE:
                    assert await page.evaluate("document.documentElement.scrollHeight <= innerHeight"), seen
                await keep_screenshot(page, f"late-{seen}")
        for width, height in ENLARGED:
            await page.set_viewport_size({"width": width, "height": height})
            assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth"), width
            cut = f"[...document.querySelectorAll({WORDS})].filter({CUT}).map((one) => one.textContent)"
            assert await page.evaluate(cut) == [], width
        # A player whose browser writes larger by default: here by half.
        browser = await anna.context.new_cdp_session(page)
        await browser.send("Page.setFontSizes", {"fontSizes": {"standard": LARGE_TEXT_PX}})
        await page.wait_for_function(
            f"() => getComputedStyle(document.body).fontSize === '{LARGE_TEXT_PX}px'"
        )
        for width, height in SIZES:
            await page.set_viewport_size({"width": width, "height": height})
            seen = f"large-{width}x{height}"
            assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth"), seen
            assert (
                await page.evaluate(f"[...document.querySelectorAll({WORDS})].filter({CUT}).length") == 0
            ), seen
            await keep_screenshot(page, seen)
        assert anna.complaints == []


async def test_notices_are_merged_and_few_and_keys_are_shown(game: GameServer, live: redis.Redis) -> None:
    """A dozen medals leave three notices; `?` says what each key does; locked rows are no tab stops."""
    async with visitor(game.url, **MOVING) as anna:
        await anna.keep_notices()
        page = await anna.cook_now()
        locked = page.locator(".item.locked button")
        assert await locked.count() > 0
        assert set(await locked.evaluate_all("buttons => buttons.map((each) => each.tabIndex)")) == {-1}
        for _again in range(3):
            await locked.first.dispatch_event("click")
        await expect(page.locator(".toast")).to_have_text(["Your rank is too low×3"])
        await late(page, live)
        await page.click("#cook")
        await expect(page.locator(".toast")).to_have_count(3)
        await page.keyboard.press("Shift+?")
        await expect(page.locator("#dialog-title")).to_have_text("Keys")
        await expect(page.locator("#dialog dd").first).to_have_text("C")
        await page.keyboard.press("Escape")
        await expect(page.locator("#dialog")).to_be_hidden()
        assert anna.complaints == []


async def test_a_held_cook_leaves_the_main_thread_free_and_keeps_nothing(
    game: GameServer, live: redis.Redis
) -> None:
    """With everything unlocked, ten clicks a second take under a quarter of the main thread's time.

    CPU of the thread by the time that passed: a busy machine takes longer, and the share is smaller. No
    click writes more than the few rows whose words changed, and twice the clicks leave no more behind.
    """
    async with visitor(game.url, **MOVING) as anna:
        page = await anna.cook_now()
        clicks = Clicks(page)
        browser = await anna.context.new_cdp_session(page)
        await browser.send("Performance.enable", {"timeDomain": "threadTicks"})

        async def measured() -> dict[str, float]:
            figures = await browser.send("Performance.getMetrics")
            return {each["name"]: each["value"] for each in figures["metrics"]}

        async def hold() -> None:
            await page.mouse.down()
            await clicks.until(CLICKS)
            await page.mouse.up()

        async def kept() -> dict[str, float]:
            await page.wait_for_function("() => !document.querySelector('.floater, .toast')")
            await browser.send("HeapProfiler.collectGarbage")
            return await measured()

        await late(page, live)
        await page.evaluate(WATCH_THE_ROWS)
        await page.hover("#cook")
        await hold()
        first = await kept()
        before_s, began_s = (await measured())["TaskDuration"], time.monotonic()
        await hold()
        share = ((await measured())["TaskDuration"] - before_s) / (time.monotonic() - began_s)
        assert 0 < share < 1 / 4
        assert await page.evaluate("globalThis.mostRows") <= MOST_ROWS
        second = await kept()
        assert second["Nodes"] - first["Nodes"] < CLICKS
        assert second["JSEventListeners"] - first["JSEventListeners"] < CLICKS / 4
        assert second["JSHeapUsedSize"] - first["JSHeapUsedSize"] < MOST_GROWTH_BYTES
        assert anna.complaints == []


async def test_the_menu_says_where_to_look_and_remembers(game: GameServer, live: redis.Redis) -> None:
    """Dots, one star and the reason for it; owned dishes are one row; shelf and money outlive a reload."""
    async with visitor(game.url, **MOVING) as anna:
        page = await anna.cook_now()
        await bring_to(page, live, rank=1, money=700, dishes=6240, bought="1:1,2:1,3:1,68:1")
        await expect(page.locator("[role=tab].best")).to_have_count(1)
        await expect(page.locator("#tab-equipment")).to_contain_class("affordable")
        await expect(page.locator("#tab-point")).not_to_contain_class("affordable")
        fold = page.locator(".fold button")
        await expect(fold).to_have_text("Your dishes: 3")
        await expect(page.locator(".item.owned")).to_have_count(0)
        await fold.click()
        await expect(page.locator(".item.owned")).to_have_count(3)
        await expect(fold).to_be_focused()
        await expect(page).to_have_title("700 · Click & Cook")
        await expect(page.locator("#next-place")).to_have_text("Rank 10: Food truck")
        await page.click("[role=tab].best")
        best = page.locator(".item:has(.badge:visible)")
        await expect(best.locator("h3")).to_have_text("New Cash Register")
        for said in (
            "Блюд у вас на 26 мин: продавайте больше за раз",
            "You have dishes for 26 min: sell more at once",
        ):
            await page.click("#language")
            await expect(best.locator(".badge")).to_contain_text(said)
        await page.click("#tab-equipment")
        await page.click("#count >> text=×10")
        stove = page.locator(".item.sale").first
        before = int((await stove.locator("h3").inner_text()).partition("×")[2] or 0)
        offered = (await stove.locator("button").inner_text()).partition(":")[0]
        assert offered.startswith("×")
        await stove.locator("button").click()
        await expect(stove.locator("h3")).to_contain_text(f"×{before + int(offered[1:])}")
        await page.wait_for_selector("#link.connected")
        await page.click("#tab-staff")
        await page.reload()
        await expect(page.locator("#count [aria-pressed=true]")).to_have_text("×10")
        await expect(page.locator("#tab-staff")).to_have_attribute("aria-selected", "true")
        await page.click("[data-opens=sums]")
        await expect(page.locator("#dialog-body")).to_contain_text("Dishes that you own: 3")
        await page.keyboard.press("Escape")
        loaded = "performance.getEntriesByType('resource').some(({ name }) => name.endsWith('/sounds.js'))"
        await page.click("#cook")
        assert not await page.evaluate(loaded)
        await page.click("[data-opens=account]")
        await page.check(".sounds-choice input")
        await page.wait_for_function(f"() => {loaded}")
        await page.keyboard.press("Escape")
        await page.click("#cook")
        assert anna.complaints == []


async def test_it_can_be_installed(game: GameServer) -> None:
    """The manifest names icons that are served; the page has a colour and a description."""
    async with httpx.AsyncClient(base_url=game.url, timeout=LIMIT_S) as client:
        manifest = (await client.get("/app.webmanifest")).json()
        assert manifest["display"] == "standalone"
        for icon in manifest["icons"]:
            answer = await client.get(icon["src"])
            assert (answer.status_code, answer.headers["content-type"].split(";")[0]) == (200, icon["type"])
        page = (await client.get("/")).text
    for name in ('name="description"', 'name="theme-color"', 'rel="manifest"', 'rel="apple-touch-icon"'):
        assert name in page
