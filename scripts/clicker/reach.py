"""Whether anybody answers at an address, and accounts that do not all log in at once."""

from __future__ import annotations

import asyncio
import http.client
import urllib.error
import urllib.request
from typing import Final

from clients.python.clickcook import Account, MemoryStore, Tokens, Unreachable

_FIRST_ANSWER_WITHIN_S: Final = 5.0


class PacedAccount(Account):
    """An account by e-mail and password, opened where it does not exist, that waits for its turn."""

    def __init__(self, url: str, email: str, password: str, turns: asyncio.Semaphore) -> None:
        super().__init__(url, MemoryStore())
        self.remember(email, password)
        self._turns = turns

    async def renewed(self, refused: str | None) -> Tokens:
        """Log in or renew once few others do."""
        async with self._turns:
            return await super().renewed(refused)


async def require_answer(url: str) -> None:
    """Raise Unreachable unless something speaks HTTP there: a mistyped address is not waited for."""
    url = url.rstrip("/")
    try:
        await asyncio.to_thread(_ask_once, f"{url}/healthz")
    except OSError as error:
        reason = getattr(error, "reason", error)
        raise Unreachable(f"nobody answers at {url}: {reason or type(reason).__name__}") from error


def _ask_once(url: str) -> None:
    """Raise OSError unless there is an answer, whatever it says."""
    try:
        with urllib.request.urlopen(url, timeout=_FIRST_ANSWER_WITHIN_S):  # noqa: S310 - the user's own URL
            pass
    except urllib.error.HTTPError as error:
        error.close()
    except (ValueError, http.client.HTTPException) as error:
        raise OSError(str(error)) from error
