"""Connections to PostgreSQL: the pool that requests share, and single ones for long work."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Final, TypeAlias

import asyncpg

from persistence.durable.reasons import ENVIRONMENT
from persistence.durable.translated import translated
from persistence.errors import DurableRefused
from runtime.connection_urls import parse_postgres_url

if TYPE_CHECKING:
    from collections.abc import Iterator

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
    with _opening():
        pool: Pool = await asyncpg.create_pool(
            parse_postgres_url(dsn).dsn,
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
    """Open one connection with further settings of PostgreSQL. Raises DurableUnavailable as `open_pool`.

    The settings are made once it is open: a pooler refuses most of those that come with the start.
    """
    with _opening():
        connection: Connection = await asyncpg.connect(
            parse_postgres_url(dsn).dsn,
            timeout=CONNECT_TIMEOUT_S,
            command_timeout=command_timeout_s,
            server_settings={"application_name": application_name},
        )
        if settings:
            try:
                await connection.execute(
                    "; ".join(f"SET {name} = {value}" for name, value in settings.items())
                )
            except BaseException:
                connection.terminate()
                raise
        return connection


@contextmanager
def _opening() -> Iterator[None]:
    """Translate errors, and those of what asyncpg reads from the environment by itself."""
    try:
        with translated():
            yield
    except ValueError as error:
        raise DurableRefused(ENVIRONMENT) from error
