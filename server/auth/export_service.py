"""A player's own data: everything that is kept, for the player alone."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, Final

from server.auth.errors import Busy
from server.auth.tokens import TokenInvalid

if TYPE_CHECKING:
    from game.session import UserId
    from server.auth.account_service import AccountService

MOST_AT_ONCE: Final = 4
"""In a process: each reads six tables, and clicks come first."""
MOST_WAITING: Final = 32
"""And those being made. Of one player one: nobody keeps the others out by asking again and again."""
_RETRY_AFTER_S: Final = 5

ReadPlayer = Callable[["UserId"], Awaitable[dict[str, Any] | None]]


class ExportService:
    """The service behind `/export`. `read` returns all that is kept of a player, None where there is none."""

    def __init__(self, accounts: AccountService, read: ReadPlayer) -> None:
        self._accounts = accounts
        self._read = read
        self._asking: set[UserId] = set()
        self._places = asyncio.Semaphore(MOST_AT_ONCE)

    async def export(self, access_token: str) -> tuple[UserId, dict[str, Any]]:
        """Return whose token it is, and all that is kept of that player; raises TokenInvalid or Busy."""
        claims = await self._accounts.authenticate(access_token)
        if claims.user_id in self._asking or len(self._asking) >= MOST_WAITING:
            raise Busy(_RETRY_AFTER_S)
        self._asking.add(claims.user_id)
        try:
            async with self._places:
                kept = await self._read(claims.user_id)
        finally:
            self._asking.remove(claims.user_id)
        if kept is None:
            raise TokenInvalid
        return claims.user_id, kept
