"""The page where what the browser keeps for it was damaged, or put there by somebody else."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

from playwright.async_api import expect

from tests.support.browser import visitor

if TYPE_CHECKING:
    from tests.support.game_server import GameServer

TOKENS: Final = "click-and-cook.tokens"
KEPT: Final = "click-and-cook.conversation"
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


async def test_a_damaged_conversation_is_in_the_way_once(game: GameServer) -> None:
    """What cannot be read of unanswered requests is dropped: the next page in the tab plays on."""
    async with visitor(game.url) as anna:
        page = await anna.register("torn@example.com")
        # Set as the page is left: it keeps its own conversation then.
        await page.evaluate(
            "([key, text]) => addEventListener('pagehide', () => sessionStorage.setItem(key, text))",
            [KEPT, "{"],
        )
        await page.reload()
        await page.reload()
        await page.wait_for_selector("#link.connected")
