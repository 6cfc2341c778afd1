"""How much a desk takes at once: its requests share the pool of PostgreSQL with the players."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

ORDERS: Final = 2
"""An order takes two connections of the pool's eight: one for its turn with the player, one for what it does.
Where every connection were a turn's, all would wait for one more, and for good."""
LOOKS: Final = 2
WAIT_S: Final = 10.0


class BusyError(Exception):
    """So many requests wait already. Nothing was begun: the same again is safe."""


class Places:
    """So many requests at once; those that come then wait their turn, and not too long."""

    def __init__(self, count: int) -> None:
        self._free = asyncio.Semaphore(count)

    @asynccontextmanager
    async def taken(self) -> AsyncIterator[None]:
        """Take a place until the block ends; raises BusyError after ten seconds without one."""
        async with AsyncExitStack() as held:
            try:
                async with asyncio.timeout(WAIT_S):
                    await held.enter_async_context(self._free)
            except TimeoutError as error:
                raise BusyError from error
            yield
