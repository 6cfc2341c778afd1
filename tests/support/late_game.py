"""Players far into the game in no time: their live sessions are changed where they lie."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, cast

from game.session import UserId
from tests.support.game_server import POLL_S
from tests.support.limits import LIMIT_S
from tests.support.live_hash import by_name, change_values
from tests.support.plain_keys import session_key

if TYPE_CHECKING:
    import redis
    from playwright.async_api import Page


async def bring_to(page: Page, live: redis.Redis, **fields: str | int) -> None:
    """Change the live session of the tab's player, and show it.

    An empty stamp makes the server derive what follows from `bought`. The tab joins first: what its first
    `session` showed would be gone with the reload.
    """
    await page.wait_for_selector("#link.connected")
    change_values(live, await _key_of(page), {"stamp": "", **fields})
    await page.reload()
    await page.wait_for_selector("#link.connected")


async def until_ranked(page: Page, live: redis.Redis, rank: int) -> None:
    """Wait until the server has the rank of the tab's player, which the page shows before."""
    key = await _key_of(page)
    async with asyncio.timeout(LIMIT_S):
        while float(by_name(cast("dict[bytes, bytes]", live.hgetall(key)))["rank"]) != rank:  # noqa: ASYNC110 - of Redis
            await asyncio.sleep(POLL_S)


async def _key_of(page: Page) -> str:
    user_id = await page.evaluate(
        "JSON.parse(atob(JSON.parse(localStorage['click-and-cook.tokens']).access.split('.')[1])).id"
    )
    return session_key(UserId(int(user_id)))
