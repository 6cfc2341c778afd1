"""Connections to PostgreSQL: the pool that requests share, and single ones for long work."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeAlias

import asyncpg

from persistence.durable.errors import translated

if TYPE_CHECKING:
    Pool: TypeAlias = asyncpg.Pool[asyncpg.Record]
    Connection: TypeAlias = asyncpg.Connection[asyncpg.Record]

CONNECT_TIMEOUT_S: Final = 5.0
COMMAND_TIMEOUT_S: Final = 10.0
APPLICATION_NAME: Final = "click-and-cook"


async def open_pool(dsn: str, *, min_size: int = 1, max_size: int = 8) -> Pool:
    """Open the pool for requests; close it with `await pool.close()`.

    A statement that takes 10 s is given up, and may have happened. Raises DurableUnavailable when PostgreSQL
    cannot be reached within 5 s: wait and try again.
    """
    with translated():
        pool: Pool = await asyncpg.create_pool(
            dsn,
            min_size=min_size,
            max_size=max_size,
            timeout=CONNECT_TIMEOUT_S,
            command_timeout=COMMAND_TIMEOUT_S,
            server_settings={"application_name": APPLICATION_NAME},
        )
        return pool


async def connect(
    dsn: str,
    *,
    application_name: str = APPLICATION_NAME,
    settings: dict[str, str] | None = None,
    command_timeout_s: float | None = COMMAND_TIMEOUT_S,
) -> Connection:
    """Open one connection with further settings of PostgreSQL. Raises DurableUnavailable as `open_pool`."""
    with translated():
        connection: Connection = await asyncpg.connect(
            dsn,
            timeout=CONNECT_TIMEOUT_S,
            command_timeout=command_timeout_s,
            server_settings={"application_name": application_name, **(settings or {})},
        )
        return connection
