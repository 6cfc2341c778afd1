"""bcrypt in threads, bounded: log-ins wait for each other, never a click for a log-in."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Final, TypeVar

import bcrypt

from server.auth.acceptable import MAX_PASSWORD_BYTES
from server.auth.errors import Busy

if TYPE_CHECKING:
    from collections.abc import Callable

Result = TypeVar("Result")

_LEAST_COST: Final = 4
_RETRY_AFTER_S: Final = 2
_NICENESS: Final = 10


class PasswordHasher:
    """Hashes and checks passwords, `threads` at a time; up to `max_waiting` more wait, the next is refused.

    `refused` counts those. `check` is bcrypt's own; a test passes one that counts. Call `close` at the end.
    """

    def __init__(
        self,
        cost: int,
        *,
        threads: int = 1,
        max_waiting: int = 32,
        check: Callable[[bytes, bytes], bool] = bcrypt.checkpw,
    ) -> None:
        self._cost = cost
        self._check = check
        self._bound = threads + max_waiting
        self._occupied = 0
        self.refused = 0
        self._pool = ThreadPoolExecutor(threads, "bcrypt", initializer=_yield_to_clicks)

    @property
    def occupied(self) -> int:
        """How many passwords are being worked on or wait."""
        return self._occupied

    async def hash(self, password: str) -> str:
        """Hash an acceptable password; raises Busy, and ValueError past 72 bytes."""
        return await self._run(lambda: bcrypt.hashpw(password.encode(), bcrypt.gensalt(self._cost)).decode())

    async def verify(self, password: str, stored_hash: str | None) -> bool:
        """Say whether a password is the one that was hashed; raises Busy.

        Takes the same work in every case: for no hash at all (an unknown e-mail), a password that no account
        can have, and a hash of an older, lower cost, for which the difference in work is done as well.
        """
        return await self._run(lambda: self._verify_evenly(password.encode(errors="replace"), stored_hash))

    def is_outdated(self, stored_hash: str) -> bool:
        """Say whether a hash costs less than one would today: hash the password again while it is known."""
        return _cost_of(stored_hash.encode()) < self._cost

    def close(self) -> None:
        """End the threads; checks that have not begun are cancelled."""
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _verify_evenly(self, password: bytes, stored_hash: str | None) -> bool:
        if stored_hash is None or len(password) > MAX_PASSWORD_BYTES:
            self._check(b"", _nobodys_hash(self._cost))
            return False
        known = stored_hash.encode()
        matches = self._check(password, known)
        # 2^c + 2^c + 2^(c+1) + … + 2^(C-1) rounds are the 2^C of today's cost.
        for cost in range(max(_cost_of(known), _LEAST_COST), self._cost):
            self._check(b"", _nobodys_hash(cost))
        return matches

    async def _run(self, work: Callable[[], Result]) -> Result:
        if self._occupied >= self._bound:
            self.refused += 1
            raise Busy(_RETRY_AFTER_S)
        self._occupied += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._pool, work)
        finally:
            self._occupied -= 1


def _cost_of(stored_hash: bytes) -> int:
    """Read the cost of `$2b$12$…`."""
    _, _version, cost, _ = stored_hash.split(b"$")
    return int(cost)


def _nobodys_hash(cost: int) -> bytes:
    """Return a well-formed hash of `cost` that no password is known for: a salt and a digest of zeros."""
    return b"$2b$%02d$" % cost + b"." * 53


def _yield_to_clicks() -> None:
    """Lower this thread's priority: hashing takes what the event loop leaves.

    Only Linux has it for single threads; where it is forbidden, things go on as they are.
    """
    if sys.platform == "linux":
        with contextlib.suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICENESS)
