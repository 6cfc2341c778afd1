"""Housekeeping of log-ins: puts back revocations that Redis lost, removes families that expired."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

import structlog

from persistence.errors import StorageUnavailable, one_line

if TYPE_CHECKING:
    from persistence.durable.token_families import TokenFamilies
    from server.auth.account_service import AccountService

_log = structlog.get_logger(__name__)

_PRUNE_EVERY_S: Final = 3600.0
_TRY_AGAIN_S: Final = 1.0


async def keep_log_ins(accounts: AccountService, families: TokenFamilies, redis_back: asyncio.Event) -> None:
    """Put revocations back whenever Redis came back, and prune expired families every hour; until cancelled.

    Redis may have come back without the marks of families revoked lately: PostgreSQL has them all. It begins
    with one round. What is away is waited for.
    """
    while True:
        redis_back.clear()
        try:
            await accounts.restore_revocations()
            await families.prune()
        except StorageUnavailable as error:
            _log.info("housekeeping_delayed", error=one_line(error))
            await asyncio.sleep(_TRY_AGAIN_S)
            continue
        try:
            async with asyncio.timeout(_PRUNE_EVERY_S):
                await redis_back.wait()
        except TimeoutError:
            continue
