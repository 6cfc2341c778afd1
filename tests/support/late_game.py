"""Players far into the game in no time: their live sessions are changed where they lie."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from game.session import UserId
from tests.support.live_hash import with_values
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
    user_id = int(
        await page.evaluate(
            "JSON.parse(atob(JSON.parse(localStorage['click-and-cook.tokens']).access.split('.')[1])).id"
        )
    )
    key = session_key(UserId(user_id))
    held = cast("dict[bytes, bytes]", live.hgetall(key))
    live.hset(key, mapping=with_values(held, {"stamp": "", **fields}))  # type: ignore[arg-type] # invariant
    await page.reload()
    await page.wait_for_selector("#link.connected")
