"""A player's log-in, kept good: renewed before it ends and when the server no longer takes it."""

from __future__ import annotations

import asyncio
import contextlib
import time
from typing import TYPE_CHECKING, Final

from scripts.clicker.failures import LoggedOutError

if TYPE_CHECKING:
    from collections.abc import Callable

    from scripts.clicker.accounts import Account, Tokens

_RENEW_BEFORE_S: Final = 60.0
_LEAST_BETWEEN_S: Final = 0.25


class LogIn:
    """The tokens of one player. Call `keep` in a supervised task."""

    def __init__(self, account: Account) -> None:
        self.tokens: Tokens | None = None
        self.renewals = 0
        self._account = account
        self._due = asyncio.Event()
        self._one_at_a_time = asyncio.Lock()

    @property
    def access(self) -> str:
        """The access token to send now, empty before the first log-in."""
        return self.tokens.access if self.tokens is not None else ""

    async def begin(self) -> None:
        """Log in where there are no tokens yet, or none any more. Raises what `Account.log_in` does."""
        async with self._one_at_a_time:
            if self.tokens is None:
                self.tokens = await self._account.log_in()

    def revoked(self) -> None:
        """Take note that the whole family is dead: only e-mail and password help."""
        self.tokens = None

    def refused(self, access: str) -> bool:
        """Take note that the server refused a token; False when a newer one is here already: send again."""
        if self.tokens is not None and access != self.tokens.access:
            return False
        self._due.set()
        return True

    async def keep(self, on_renewed: Callable[[], None]) -> None:
        """Renew the tokens whenever it is due, until cancelled; raises what ends the log-in for good."""
        while True:
            await asyncio.sleep(_LEAST_BETWEEN_S)
            wait_s = 1.0
            if self.tokens is not None:
                wait_s = max(0.0, self.tokens.expires_at_s - time.time() - _RENEW_BEFORE_S)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(wait_s):
                    await self._due.wait()
            async with self._one_at_a_time:
                if self.tokens is None:
                    continue
                try:
                    self.tokens = await self._account.refresh(self.tokens)
                except LoggedOutError:
                    self.tokens = await self._account.log_in()
            self.renewals += 1
            self._due.clear()
            on_renewed()
