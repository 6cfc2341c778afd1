"""A PostgreSQL that takes no writes: not used for anything, and left for one that does."""

from __future__ import annotations

import asyncio
import random
from typing import TYPE_CHECKING

import asyncpg
import pytest

from persistence.durable.migrate import migrate
from persistence.durable.pool import check_writable, connect, open_pool
from persistence.durable.sessions import SessionWriter
from persistence.errors import DurableUnavailable
from scripts.chaos.links import Link
from tests.support.limits import LIMIT_S

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.support.servers import PostgresServer

CONNECTIONS = 3
TRIED_EVERY_S = 0.05


async def set_read_only(server: PostgresServer, is_read_only: bool) -> None:
    """Let a whole server take no writes, connections that are open included, or take them again."""
    connection = await asyncpg.connect(server.dsn())
    try:
        await connection.execute("SET default_transaction_read_only = off")
        await connection.execute(f"ALTER SYSTEM SET default_transaction_read_only = {is_read_only}")
        await connection.execute("SELECT pg_reload_conf()")
    finally:
        await connection.close()
    async with asyncio.timeout(LIMIT_S):
        while True:
            if await answers(server) == is_read_only:
                return
            await asyncio.sleep(TRIED_EVERY_S)


async def answers(server: PostgresServer) -> bool:
    """Tell over a new connection whether the server is read-only."""
    connection = await asyncpg.connect(server.dsn())
    try:
        read_only: bool = await connection.fetchval(
            "SELECT current_setting('transaction_read_only')::boolean"
        )
        return read_only
    finally:
        await connection.close()


@pytest.fixture
async def address(own_postgres: PostgresServer) -> AsyncIterator[Link]:
    """One address that leads to the test's own PostgreSQL, or wherever the test moves it."""
    link = Link("postgresql", [own_postgres.folder / ".s.PGSQL.5432"], random.Random(1))
    await link.open()
    yield link
    await link.close()


def dsn_of(link: Link, database: str = "postgres") -> str:
    """Write the address as DB_CONNECTION."""
    return f"postgresql://postgres@127.0.0.1:{link.port}/{database}?sslmode=disable"


async def test_a_pool_leaves_a_server_that_became_read_only(
    address: Link, own_postgres: PostgresServer, postgres_server: PostgresServer, postgres_dsn: str
) -> None:
    """Its connections stay up; once the address leads to a server that takes writes, all are replaced."""
    name = postgres_dsn.rpartition("?")[0].rpartition("/")[2]
    admin = await asyncpg.connect(own_postgres.dsn())
    await admin.execute(f"CREATE DATABASE {name}")
    await admin.close()
    pool = await open_pool(dsn_of(address, name), min_size=CONNECTIONS, max_size=CONNECTIONS)
    try:
        await pool.execute("CREATE TABLE places (id int)")
        await set_read_only(own_postgres, True)
        address.targets = [postgres_server.folder / ".s.PGSQL.5432"]

        async with asyncio.timeout(LIMIT_S):
            while True:
                if await created(pool):
                    break
                await asyncio.sleep(TRIED_EVERY_S)
        connections = [await pool.acquire() for _ in range(CONNECTIONS)]
        for connection in connections:
            await connection.execute("INSERT INTO places VALUES (1)")
            await pool.release(connection)
    finally:
        pool.terminate()


async def created(pool: asyncpg.Pool[asyncpg.Record]) -> bool:
    """Try to write."""
    try:
        await pool.execute("CREATE TABLE IF NOT EXISTS places (id int)")
        await pool.execute("INSERT INTO places VALUES (1)")
    except asyncpg.ReadOnlySQLTransactionError:
        return False
    return True


async def test_the_look_at_postgresql_finds_it_read_only(own_postgres: PostgresServer) -> None:
    """It says so in words, and is content as soon as writes are taken again."""
    pool = await open_pool(own_postgres.dsn())
    try:
        await check_writable(pool)
        await set_read_only(own_postgres, True)
        with pytest.raises(DurableUnavailable, match="read-only"):
            await check_writable(pool)
        await set_read_only(own_postgres, False)
        await check_writable(pool)
    finally:
        pool.terminate()


async def test_no_connection_to_a_read_only_server_is_opened(own_postgres: PostgresServer) -> None:
    """A replica would answer with what was; only an address that asks for any server gets one."""
    await set_read_only(own_postgres, True)
    with pytest.raises(DurableUnavailable, match="read-only"):
        await open_pool(own_postgres.dsn())
    with pytest.raises(DurableUnavailable, match="read-only"):
        await connect(own_postgres.dsn())

    connection = await connect(own_postgres.dsn() + "&target_session_attrs=any")
    connection.terminate()


async def test_the_flushers_connection_leaves_it_too(
    address: Link, own_postgres: PostgresServer, postgres_server: PostgresServer, postgres_dsn: str
) -> None:
    """A writer opens no connection to a server that became read-only, and goes on at the next."""
    name = postgres_dsn.rpartition("?")[0].rpartition("/")[2]
    admin = await asyncpg.connect(own_postgres.dsn())
    await admin.execute(f"CREATE DATABASE {name}")
    await admin.close()
    for dsn in (postgres_dsn, own_postgres.dsn(name)):
        await migrate(dsn)
    await set_read_only(own_postgres, True)
    writer = SessionWriter(dsn_of(address, name))
    try:
        with pytest.raises(DurableUnavailable, match="read-only"):
            await writer.read([])
        address.targets = [postgres_server.folder / ".s.PGSQL.5432"]
        assert await writer.read([]) == []
    finally:
        writer.close()
