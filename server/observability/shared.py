"""One rendering for all who ask at the same time, and not one right after the other."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

EVERY_S: Final = 0.5


class SharedRendering:
    """Renders when it is asked, at most once in `every_s`; all who ask meanwhile wait for the next.

    Nobody gets what was rendered before they asked. All figures take some milliseconds of the event loop:
    without this, players would notice a client that asks for them in a loop.
    """

    def __init__(self, render: Callable[[], Awaitable[bytes]], every_s: float = EVERY_S) -> None:
        self._render = render
        self._every_s = every_s
        self._not_before_s = 0.0
        self._next: asyncio.Task[bytes] | None = None

    async def __call__(self) -> bytes:
        """Return what is rendered next; raises what rendering raises."""
        if self._next is None:
            self._next = asyncio.get_running_loop().create_task(self._render_next())
        return await asyncio.shield(self._next)

    async def _render_next(self) -> bytes:
        loop = asyncio.get_running_loop()
        await asyncio.sleep(max(0.0, self._not_before_s - loop.time()))
        self._next = None
        self._not_before_s = loop.time() + self._every_s
        return await self._render()
