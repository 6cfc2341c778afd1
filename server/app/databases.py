"""The databases at the server's start: reached soon, migrated, seeded; or the reason why not."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Final, TypeVar

import structlog

from persistence.durable.migrate import migrate
from persistence.durable.name_skeletons import fill_skeletons
from persistence.durable.pool import open_pool
from persistence.durable.reach import reach_postgres
from persistence.errors import MigrationError, StorageUnavailable
from persistence.outages import line_of, waiting_helps
from runtime.settings import StartupError
from seeds.start import seed_if_empty

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from persistence.durable.pool import Pool

T = TypeVar("T")

_log = structlog.get_logger(__name__)

WITHIN_S: Final = 10.0
_LOOK_AGAIN_S: Final = 0.5
_CLOSE_WITHIN_S: Final = 2.0


async def open_database(dsn: str) -> Pool:
    """Connect, migrate, seed where nothing is seeded."""
    await reach_postgres(dsn)
    await migrate(dsn)
    pool = await open_pool(dsn)
    await fill_skeletons(pool)
    await seed_if_empty(pool)
    return pool


async def within(name: str, attempt: Callable[[], Awaitable[T]]) -> T:
    """Try to reach a database for a short while, saying so; raises StartupError in one line.

    What waiting does not help is refused at once.
    """
    end_s = time.monotonic() + WITHIN_S
    said = ""
    while True:
        try:
            return await attempt()
        except MigrationError as error:
            raise StartupError(str(error)) from error
        except StorageUnavailable as error:
            if time.monotonic() > end_s or not waiting_helps(error):
                raise StartupError(line_of(error)) from error
            if str(error) != said:  # each look would say the same
                said = str(error)
                _log.warning("database_unavailable", name=name, error=said)
            await asyncio.sleep(_LOOK_AGAIN_S)


async def close_database(pool: Pool) -> None:
    """Close the pool; what does not come back in time is cut off."""
    try:
        async with asyncio.timeout(_CLOSE_WITHIN_S):
            await pool.close()
    except TimeoutError:
        pool.terminate()
