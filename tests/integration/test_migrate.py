"""The schema comes up in order, once, whichever process starts and however often."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import asyncpg
import pytest

from persistence.durable.migrate import MIGRATIONS, migrate, read_migrations
from persistence.errors import DurableUnavailable, MigrationError

if TYPE_CHECKING:
    from pathlib import Path


def write(folder: Path, name: str, sql: str) -> None:
    """Put a migration into a folder."""
    (folder / name).write_text(sql)


async def fetch(dsn: str, sql: str) -> list[asyncpg.Record]:
    """Ask the database once."""
    connection = await asyncpg.connect(dsn)
    try:
        return await connection.fetch(sql)
    finally:
        await connection.close()


async def test_every_migration_is_applied_in_order_and_once(postgres_dsn: str) -> None:
    """The first start applies all files, the second none."""
    assert [migration.name for migration in read_migrations()] == await migrate(postgres_dsn)
    assert await migrate(postgres_dsn) == []
    numbers = [
        row["number"] for row in await fetch(postgres_dsn, "SELECT number FROM schema_migrations ORDER BY 1")
    ]
    assert numbers == sorted(migration.number for migration in read_migrations(MIGRATIONS))


async def test_processes_that_start_together_share_the_work(postgres_dsn: str, tmp_path: Path) -> None:
    """Of four at once each file is applied by exactly one, and all find the whole schema."""
    for number in range(1, 6):
        write(
            tmp_path, f"{number:04}_t{number}.sql", f"CREATE TABLE t{number} (id int); SELECT pg_sleep(0.02);"
        )
    applied = await asyncio.gather(*(migrate(postgres_dsn, tmp_path) for _ in range(4)))
    assert sorted(name for names in applied for name in names) == ["t1", "t2", "t3", "t4", "t5"]


async def test_a_file_that_fails_leaves_nothing_of_itself(postgres_dsn: str, tmp_path: Path) -> None:
    """What came before it stays, and after a repair the rest follows."""
    write(tmp_path, "0001_good.sql", "CREATE TABLE good (id int)")
    write(tmp_path, "0002_bad.sql", "CREATE TABLE half (id int); SELECT nonsense")
    with pytest.raises(MigrationError, match=r"0002_bad.*nonsense"):
        await migrate(postgres_dsn, tmp_path)
    tables = await fetch(
        postgres_dsn, "SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY 1"
    )
    assert [row["tablename"] for row in tables] == ["good", "schema_migrations"]
    write(tmp_path, "0002_bad.sql", "CREATE TABLE half (id int)")
    assert await migrate(postgres_dsn, tmp_path) == ["bad"]


async def test_a_database_newer_than_the_code_is_refused(postgres_dsn: str, tmp_path: Path) -> None:
    """An older release says in one line that a newer one is needed."""
    write(tmp_path, "0001_a.sql", "CREATE TABLE a (id int)")
    write(tmp_path, "0002_b.sql", "CREATE TABLE b (id int)")
    await migrate(postgres_dsn, tmp_path)
    (tmp_path / "0002_b.sql").unlink()
    with pytest.raises(MigrationError, match=r"newer than this code.*0002_b") as refusal:
        await migrate(postgres_dsn, tmp_path)
    assert "\n" not in str(refusal.value)


async def test_an_applied_file_that_was_edited_is_refused(postgres_dsn: str, tmp_path: Path) -> None:
    """The database would not be what the files say."""
    write(tmp_path, "0001_a.sql", "CREATE TABLE a (id int)")
    await migrate(postgres_dsn, tmp_path)
    write(tmp_path, "0001_a.sql", "CREATE TABLE a (id bigint)")
    with pytest.raises(MigrationError, match="0001_a is not the one"):
        await migrate(postgres_dsn, tmp_path)


async def test_a_file_below_an_applied_number_is_refused(postgres_dsn: str, tmp_path: Path) -> None:
    """A migration that came late gets a new number, it is not slipped in."""
    write(tmp_path, "0002_b.sql", "CREATE TABLE b (id int)")
    await migrate(postgres_dsn, tmp_path)
    write(tmp_path, "0001_a.sql", "CREATE TABLE a (id int)")
    with pytest.raises(MigrationError, match="0001_a was never applied"):
        await migrate(postgres_dsn, tmp_path)


@pytest.mark.parametrize("names", [["1_short.sql"], ["0001_a.sql", "0001_b.sql"]])
def test_names_that_leave_the_order_open_are_refused(tmp_path: Path, names: list[str]) -> None:
    """Each file has four digits of its own."""
    for name in names:
        write(tmp_path, name, "SELECT 1")
    with pytest.raises(MigrationError):
        read_migrations(tmp_path)


async def test_a_postgresql_that_is_away_is_said_so(tmp_path: Path) -> None:
    """Nothing listens there: the caller waits and tries again."""
    with pytest.raises(DurableUnavailable):
        await migrate(f"postgresql://postgres@/postgres?host={tmp_path}")
