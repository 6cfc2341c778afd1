"""Housekeeping of log-ins: puts back revocations that Redis lost, removes families that expired."""

from __future__ import annotations

import asyncio
from random import uniform
from typing import TYPE_CHECKING, Final

import structlog

from persistence.errors import StorageUnavailable, one_line
from server.auth.tokens import ACCESS_TTL_S

if TYPE_CHECKING:
    from collections.abc import Sequence

    from persistence.durable.token_families import TokenFamilies
    from server.auth.account_service import AccountService

_log = structlog.get_logger(__name__)

_PRUNE_EVERY_S: Final = 3600.0
_LOOK_AGAIN_EVERY_S: Final = 60.0
_LOOK_BACK_S: Final = 150
"""A process may end between PostgreSQL and Redis. The others put its marks back: they look so far back."""
_TRY_AGAIN_S: Final = 1.0


async def keep_log_ins(accounts: AccountService, families: TokenFamilies, *redis_back: asyncio.Event) -> None:
    """Put revocations back whenever Redis came back or was not told, and prune families; until cancelled.

    Redis may have come back without the marks of families revoked lately: PostgreSQL has them all. One event
    says so for each kind of connection: while a master is replaced, those that marks are written over may
    leave the old one last. It begins with one round. What is away is waited for.
    """
    loop = asyncio.get_running_loop()
    within_s, prune_at_s = ACCESS_TTL_S, loop.time()
    while True:
        for event in (*redis_back, accounts.marks_owed):
            event.clear()
        try:
            await accounts.restore_revocations(within_s)
            if loop.time() >= prune_at_s:
                await families.prune()
                prune_at_s = loop.time() + _PRUNE_EVERY_S
        except StorageUnavailable as error:
            _log.info("housekeeping_delayed", error=one_line(error))
            within_s = ACCESS_TTL_S
            await asyncio.sleep(_TRY_AGAIN_S)
            continue
        woken = await _any_set((*redis_back, accounts.marks_owed), _LOOK_AGAIN_EVERY_S * uniform(0.8, 1.2))  # noqa: S311 - jitter, not a secret
        within_s = ACCESS_TTL_S if woken else _LOOK_BACK_S


async def _any_set(events: Sequence[asyncio.Event], timeout_s: float) -> bool:
    """Wait until one of the events is set; False when none is within the time."""
    waits = [asyncio.ensure_future(event.wait()) for event in events]
    try:
        done, _ = await asyncio.wait(waits, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)
        return bool(done)
    finally:
        for wait in waits:
            wait.cancel()
