"""Connections to PostgreSQL: the pool that requests share, and single ones for long work."""

from __future__ import annotations

import asyncio
import os
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final, TypeAlias

import asyncpg
from asyncpg.connect_utils import SessionAttribute

from persistence.durable.reasons import ENVIRONMENT, READ_ONLY
from persistence.durable.translated import translated
from persistence.errors import DurableRefused, DurableUnavailable
from runtime.connection_urls import PostgresUrl, parse_postgres_url

if TYPE_CHECKING:
    from collections.abc import Iterator

    from asyncpg.connection import LoggedQuery

    Pool: TypeAlias = asyncpg.Pool[asyncpg.Record]
    Connection: TypeAlias = asyncpg.Connection[asyncpg.Record]
    Record: TypeAlias = asyncpg.Record

CONNECT_TIMEOUT_S: Final = 5.0
COMMAND_TIMEOUT_S: Final = 10.0
APPLICATION_NAME: Final = "click-and-cook"


async def open_pool(dsn: str, *, min_size: int = 1, max_size: int = 8) -> Pool:
    """Open the pool for requests; close it with `await pool.close()`.

    A statement that takes 10 s is given up, and may have happened. Once one finds its server read-only, every
    connection of the pool is replaced at its next use. Raises DurableUnavailable when PostgreSQL cannot be
    reached within 5 s or is read-only: wait and try again.
    """
    watch = _ReadOnlyWatch()
    with _opening():
        address = parse_postgres_url(dsn)
        pool: Pool = await asyncpg.create_pool(
            address.dsn,
            min_size=min_size,
            max_size=max_size,
            timeout=CONNECT_TIMEOUT_S,
            command_timeout=COMMAND_TIMEOUT_S,
            server_settings={"application_name": APPLICATION_NAME},
            target_session_attrs=_wanted_server(address),
            init=watch.begin,
        )
        watch.pool = pool
        return pool


async def check_writable(pool: Pool) -> None:
    """Return where PostgreSQL takes writes; else have every connection replaced at its next use.

    Behind one address the server may have become a replica, or read-only. Raises DurableUnavailable.
    """
    with translated():
        read_only = await pool.fetchval("SELECT current_setting('transaction_read_only')::boolean")
    if read_only:
        await pool.expire_connections()
        raise DurableUnavailable(READ_ONLY)


class _ReadOnlyWatch:
    """Has a pool replace its connections when a statement of one finds its server read-only."""

    def __init__(self) -> None:
        self.pool: Pool | None = None
        self._expiring: asyncio.Task[None] | None = None

    async def begin(self, connection: Connection) -> None:
        """Look at each statement of a new connection."""
        connection.add_query_logger(self._look)

    def _look(self, query: LoggedQuery) -> None:
        if isinstance(query.exception, asyncpg.ReadOnlySQLTransactionError) and self.pool is not None:
            self._expiring = asyncio.get_running_loop().create_task(self.pool.expire_connections())


async def connect(
    dsn: str,
    *,
    application_name: str = APPLICATION_NAME,
    settings: dict[str, str] | None = None,
    command_timeout_s: float | None = COMMAND_TIMEOUT_S,
) -> Connection:
    """Open one connection with further settings of PostgreSQL. Raises DurableUnavailable as `open_pool` does.

    The settings are made once it is open: a pooler refuses most of those that come with the start.
    """
    with _opening():
        address = parse_postgres_url(dsn)
        connection: Connection = await asyncpg.connect(
            address.dsn,
            timeout=CONNECT_TIMEOUT_S,
            command_timeout=command_timeout_s,
            server_settings={"application_name": application_name},
            target_session_attrs=_wanted_server(address),
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


async def ping(pool: Pool) -> None:
    """Ask PostgreSQL for nothing, over a connection of the pool. Raises DurableUnavailable: try again."""
    with translated():
        await pool.fetchval("SELECT 1")


def _wanted_server(address: PostgresUrl) -> SessionAttribute:
    """Want a server that takes writes, unless the address or the environment says otherwise.

    A replica would refuse log-ins, and answer a cold load with what the player had some time ago.
    """
    named = address.options.get("target_session_attrs") or os.environ.get("PGTARGETSESSIONATTRS")
    return SessionAttribute(named or "read-write")


@contextmanager
def _opening() -> Iterator[None]:
    """Translate errors, and those of what asyncpg reads from the environment by itself."""
    try:
        with translated():
            yield
    except ValueError as error:
        raise DurableRefused(ENVIRONMENT) from error
