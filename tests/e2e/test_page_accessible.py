"""What axe-core and the browser find on the page: nothing, in any window, language and look."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import pytest
import redis

from tests.support.accessible import AXE, found
from tests.support.browser import LAPTOP, visitor
from tests.support.late_game import bring_to

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.game_server import GameServer

LOOKS: Final[dict[str, dict[str, Any]]] = {
    "light": {"color_scheme": "light", "forced_colors": "none"},
    "dark": {"color_scheme": "dark", "forced_colors": "none"},
    "forced": {"color_scheme": "dark", "forced_colors": "active"},
}
VIEWS: Final = (
    (320, 640, "light"),
    (390, 844, "dark"),
    (820, 1180, "forced"),
    (844, 390, "light"),
    (1280, 800, "dark"),
    (1920, 1080, "light"),
)
"""Windows, each in one look; the languages take turns."""
DIALOGS: Final = ("stars", "medals", "board", "account", "sums")

GUEST_STAYS: Final = """{
    const guest = golden.cloneNode(true);
    guest.hidden = false;
    golden.replaceWith(guest);
}"""
"""Put a golden guest into the scene whom the page does not see off."""


@pytest.fixture(scope="module")
def live(module_databases: dict[str, str]) -> Iterator[redis.Redis]:
    """The module's Valkey, to bring a player far in no time."""
    with redis.Redis.from_url(module_databases["REDIS_CONNECTION"]) as client:
        yield client


async def test_nothing_keeps_anybody_out(game: GameServer, live: redis.Redis) -> None:
    """The entrance, the kitchen early and late: six sizes, both languages, three looks.

    Every dialog in the narrowest window, in which nothing sticks out. The browser finds no issue either.
    """
    async with visitor(game.url, **LAPTOP) as anna:
        page = await anna.open()
        issues: list[str] = []
        browser = await anna.context.new_cdp_session(page)
        browser.on("Audits.issueAdded", lambda event: issues.append(str(event["issue"])))
        await browser.send("Audits.enable")
        await page.evaluate(AXE)
        await page.click("[data-mode=register]")
        assert await found(page) == []
        await page.click("#other-ways button")
        await page.click("#entrance .primary")
        await page.wait_for_selector(".item")
        assert await found(page) == []
        far = {"rank": 42, "money": 10**18, "dishes": 10**7, "xp": 10**9}
        await bring_to(page, live, bought="1:1,2:1,64:9,68:2,45:3", stars=25_000, accumulated=17_300, **far)
        await page.evaluate(AXE)
        await page.evaluate(GUEST_STAYS)
        for width, height, look in VIEWS:
            await page.set_viewport_size({"width": width, "height": height})
            await page.emulate_media(**LOOKS[look])
            await page.click("#language")
            assert await found(page) == [], (width, look)
        await page.set_viewport_size({"width": 320, "height": 640})
        await page.click("#language")
        for opens, look in zip(DIALOGS, ("dark", "light") * 3, strict=False):
            await page.emulate_media(**LOOKS[look])
            await page.click(f"[data-opens={opens}]")
            await page.wait_for_function("() => document.getElementById('dialog-body').textContent !== '…'")
            assert await found(page) == [], (opens, look)
            assert await page.evaluate("(one => one.scrollWidth <= one.clientWidth)(dialog)"), opens
            await page.keyboard.press("Escape")
        await page.click("[data-opens=stars]")
        await page.click("#dialog .primary")
        assert await found(page) == []
        assert issues == anna.complaints == []
