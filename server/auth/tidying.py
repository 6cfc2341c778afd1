"""Tidying: guests who stayed away and what is left of deleted players goes, a little at a time."""

from __future__ import annotations

import asyncio
from random import uniform
from typing import TYPE_CHECKING, Final, Protocol

import structlog

from persistence.errors import StorageUnavailable, one_line

if TYPE_CHECKING:
    from server.auth.guest_service import GuestService
    from server.auth.recovery_service import RecoveryService

_log = structlog.get_logger(__name__)

_EVERY_S: Final = 60.0
_GUESTS_A_STEP: Final = 100
_MOST_STEPS: Final = 50
"""A round looks at so many steps of guests at most: all of a million get their turn in 3.5 hours."""
_REST_S: Final = 0.05
"""Between two steps: clicks and flushes of others come first."""


class Leaderboard(Protocol):
    """Shows names of players; see persistence.durable.community."""

    async def forget_deleted(self) -> bool:
        """Compute the places again where a deleted player's name may stand in them."""


async def tidy(guests: GuestService, recovery: RecoveryService, leaderboard: Leaderboard) -> None:
    """Tidy about once a minute, until cancelled. What is away is waited for."""
    while True:
        await asyncio.sleep(_EVERY_S * uniform(0.8, 1.2))  # noqa: S311 - jitter, not a secret
        try:
            await tidy_once(guests, recovery, leaderboard)
        except StorageUnavailable as error:
            _log.info("tidying_delayed", error=one_line(error))


async def tidy_once(guests: GuestService, recovery: RecoveryService, leaderboard: Leaderboard) -> None:
    """Make one round; raises StorageUnavailable. What it did not come to waits for the next."""
    await leaderboard.forget_deleted()
    await recovery.prune()
    for _ in range(_MOST_STEPS):
        if not await guests.delete_away(_GUESTS_A_STEP):
            return
        await asyncio.sleep(_REST_S)
