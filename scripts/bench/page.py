"""The page while Cook is held down: the main thread's share of time, the heap and the frames, by minute.

A player with everything unlocked, in headless Chromium. The browser shares a core with the databases, the
server has the other one. The page itself cooks ten times a second for as long as the button is down.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import shutil
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import asyncpg
from playwright.async_api import ViewportSize, async_playwright

from game.catalogue import UpgradeType
from scripts.bench import frames, stacks
from scripts.bench.stage import prepared, stage
from seeds.files import read_catalogue

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from playwright.async_api import CDPSession, Page, WebSocket

    from game.session import UserId
    from scripts.bench.stage import Stage

_BROWSERS: Final = ("chromium", "chromium-browser", "google-chrome")
_OPTIONS: Final = ("--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu")
"""A browser as root has no sandbox; containers have a small /dev/shm."""
_WINDOW: Final = ViewportSize(width=1366, height=768)
_TIMES_BOUGHT: Final = 7
"""Of each upgrade that is no dish."""
_MINUTE_S: Final = 60
_FRAMES_S: Final = 5
"""So long its frames are watched after each minute: that takes time of the page, too."""
_TOASTS_GONE_MS: Final = 60_000
_COUNT_LONG_TASKS: Final = """
globalThis.longTasks = 0;
const count = (list) => { globalThis.longTasks += list.getEntries().length; };
new PerformanceObserver(count).observe({ type: "longtask" });
"""


class NoBrowserError(RuntimeError):
    """No Chromium is installed; the text names what was looked for."""


@dataclass(frozen=True, slots=True)
class _Reading:
    """What the tab had used by some moment; times in seconds, of the page's main thread alone."""

    at_s: float
    task_s: float
    script_s: float
    layout_s: float
    heap_kb: float
    nodes: float
    listeners: float
    clicks: int
    long_tasks: int


async def holding(minutes: int) -> list[dict[str, float]]:
    """Hold Cook for so many minutes; return a row of figures for each.

    `busy`, `script` and `layout` are shares of the main thread: CPU of the thread by the time that passed.
    A busy machine clicks less often; `ms_per_click`, all CPU of the thread by the clicks, shows that.
    `heap_kb`, `nodes` and `listeners` are those at the minute's end, after a collection of garbage; the first
    row holds those before it is held. `long_tasks` took the main thread for 50 ms or longer. The figures of
    frames are those of `frames.watched`, seen after each minute; the first row's with idle hands.
    """
    with stage() as built:
        await prepared(built)
        players = await built.players(1)
        await _bring_far(built, *players)
        with stacks.game(built) as server:
            async with _kitchen(built, f"http://127.0.0.1:{server.port}/", *players) as page:
                return await _held(page, minutes)


async def _bring_far(built: Stage, player: UserId) -> None:
    """Give a player the last rank, money for everything, the sandwich, and all upgrades that are no dish.

    The shelf of dishes is in front then, with all but one of its rows on sale.
    """
    catalogue = read_catalogue("en")
    upgrades = [one.id for one in catalogue.upgrades if one.upgrade_type is not UpgradeType.DISH]
    bought = ",".join(("1:1", *(f"{upgrade_id}:{_TIMES_BOUGHT}" for upgrade_id in upgrades)))
    connection = await asyncpg.connect(built.dsn)
    try:
        await connection.execute(
            "UPDATE sessions SET bought = $2, rank = $3, money = 1e18, dishes = 1e7 WHERE user_id = $1",
            player,
            bought,
            catalogue.last_rank,
        )
    finally:
        await connection.close()


@contextlib.asynccontextmanager
async def _kitchen(built: Stage, url: str, player: UserId) -> AsyncIterator[Page]:
    """Open the page as the player has it, connected and without notices."""
    found = next(filter(None, map(shutil.which, _BROWSERS)), None)
    if found is None:
        raise NoBrowserError(f"none of {', '.join(_BROWSERS)} is installed")
    (access,) = built.tokens([player])
    tokens = json.dumps({"access": access, "refresh": access, "sinceMs": int(time.time() * 1000)})
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=found, args=_OPTIONS)
        try:
            page = await browser.new_page(viewport=_WINDOW)
            await page.add_init_script(
                f"localStorage.setItem('click-and-cook.tokens', {json.dumps(tokens)}); {_COUNT_LONG_TASKS}"
            )
            await page.goto(url)
            await page.wait_for_selector("#link.connected")
            yield page
        finally:
            await browser.close()


async def _held(page: Page, minutes: int) -> list[dict[str, float]]:
    clicks = _Clicks(page)
    await page.reload()  # so that what the socket sends is counted
    await page.wait_for_selector("#link.connected")
    await page.click("#cook")  # the achievements of a late game are announced once
    await page.wait_for_function("() => !document.querySelector('.toast')", timeout=_TOASTS_GONE_MS)
    devtools = await page.context.new_cdp_session(page)
    await devtools.send("Performance.enable", {"timeDomain": "threadTicks"})
    await page.hover("#cook")
    before = await _read(page, devtools, clicks)
    rows = [_row(0, before, before) | await frames.watched(page, _FRAMES_S)]
    await page.mouse.down()
    before = await _read(page, devtools, clicks)
    for minute in range(1, minutes + 1):
        await asyncio.sleep(_MINUTE_S)
        after = await _read(page, devtools, clicks)
        rows.append(_row(minute, before, after) | await frames.watched(page, _FRAMES_S))
        before = await _read(page, devtools, clicks)
    await page.mouse.up()
    return rows


class _Clicks:
    """Counts the cooks that a page sends."""

    def __init__(self, page: Page) -> None:
        self.count = 0
        page.on("websocket", self._opened)

    def _opened(self, socket: WebSocket) -> None:
        socket.on("framesent", self._sent)

    def _sent(self, text: str | bytes) -> None:
        self.count += '"cook"' in str(text)


def _row(minute: int, before: _Reading, after: _Reading) -> dict[str, float]:
    """Name what a minute took, and what stands in memory at its end."""
    passed_s = max(after.at_s - before.at_s, 1)
    clicks = after.clicks - before.clicks
    return {
        "minute": float(minute),
        "clicks_per_s": clicks / passed_s,
        "ms_per_click": 1000 * (after.task_s - before.task_s) / max(clicks, 1),
        "busy": (after.task_s - before.task_s) / passed_s,
        "script": (after.script_s - before.script_s) / passed_s,
        "layout": (after.layout_s - before.layout_s) / passed_s,
        "long_tasks": float(after.long_tasks - before.long_tasks),
        "heap_kb": after.heap_kb,
        "nodes": after.nodes,
        "listeners": after.listeners,
    }


async def _read(page: Page, devtools: CDPSession, clicks: _Clicks) -> _Reading:
    """Collect garbage and read the figures."""
    await devtools.send("HeapProfiler.collectGarbage")
    measured = await devtools.send("Performance.getMetrics")
    figures: dict[str, float] = {each["name"]: each["value"] for each in measured["metrics"]}
    return _Reading(
        time.monotonic(),
        task_s=figures["TaskDuration"],
        script_s=figures["ScriptDuration"],
        layout_s=figures["LayoutDuration"] + figures["RecalcStyleDuration"],
        heap_kb=figures["JSHeapUsedSize"] / 1000,
        nodes=figures["Nodes"],
        listeners=figures["JSEventListeners"],
        clicks=clicks.count,
        long_tasks=int(await page.evaluate("globalThis.longTasks")),
    )
