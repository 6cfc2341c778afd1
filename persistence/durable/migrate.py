"""Bring the schema to what this code needs: numbered SQL files, in order, each once.

Migrations only add, so that an older process goes on working beside a newer one while a release rolls out.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import asyncpg
import structlog

from persistence.durable.pool import connect
from persistence.durable.translated import translated
from persistence.errors import DurableUnavailable, MigrationError, one_line

if TYPE_CHECKING:
    from persistence.durable.pool import Connection

_log = structlog.get_logger(__name__)

MIGRATIONS: Final = Path(__file__).parent / "migrations"
_FILE_NAME: Final = re.compile(r"(?P<number>\d{4})_(?P<name>[a-z0-9_]+)\.sql")
_LOCK: Final = (
    0x436C_6963_6B43_6F6F  # "ClickCoo": one number for all processes, unlikely to be anybody else's
)
_LOCK_TIMEOUT_S: Final = 60
_RECORDS: Final = """
CREATE TABLE IF NOT EXISTS schema_migrations (
    number     integer PRIMARY KEY,
    name       text NOT NULL,
    checksum   text NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT now()
)
"""


@dataclass(frozen=True, slots=True)
class Migration:
    """One file: its number, its name and what it does."""

    number: int
    name: str
    sql: str

    @property
    def checksum(self) -> str:
        """The SHA-256 of its text: an applied file that was edited later is noticed."""
        return hashlib.sha256(self.sql.encode()).hexdigest()


def read_migrations(folder: Path = MIGRATIONS) -> list[Migration]:
    """Read the files `NNNN_name.sql` of a folder in order.

    Raises MigrationError for a wrong name or a number that stands twice.
    """
    found: dict[int, Migration] = {}
    for path in sorted(folder.glob("*.sql")):
        match = _FILE_NAME.fullmatch(path.name)
        if match is None:
            raise MigrationError(f"{path.name}: a migration is named like 0001_accounts.sql")
        migration = Migration(int(match["number"]), match["name"], path.read_text(encoding="utf-8"))
        if migration.number in found:
            raise MigrationError(f"{path.name}: there are two migrations with number {migration.number}")
        found[migration.number] = migration
    return list(found.values())


async def migrate(dsn: str, folder: Path = MIGRATIONS) -> list[str]:
    """Apply the missing migrations and return their names; safe to repeat and to run twice at once.

    Each file is one transaction, under an advisory lock: a second process waits up to 60 s and then finds
    nothing to do. Raises MigrationError when the database is newer than this code, an applied file was
    changed, or a file fails; DurableUnavailable when PostgreSQL is away: what was applied stays, call again.
    """
    migrations = read_migrations(folder)
    connection = await connect(dsn, application_name="click-and-cook migrate", command_timeout_s=None)
    try:
        with translated():
            await connection.execute(f"SET lock_timeout = '{_LOCK_TIMEOUT_S}s'")
            try:
                await connection.execute("SELECT pg_advisory_lock($1)", _LOCK)
            except asyncpg.LockNotAvailableError as error:
                raise DurableUnavailable(f"another process migrates for over {_LOCK_TIMEOUT_S} s") from error
            return await _apply_missing(connection, migrations)
    finally:
        # The lock goes with the connection; a graceful close could wait for a dead server.
        connection.terminate()


async def _apply_missing(connection: Connection, migrations: list[Migration]) -> list[str]:
    await connection.execute(_RECORDS)
    rows = await connection.fetch("SELECT number, name, checksum FROM schema_migrations ORDER BY number")
    applied = {int(row["number"]): row for row in rows}
    known = {migration.number: migration for migration in migrations}
    newest = max(applied, default=0)
    if newest > max(known, default=0):
        raise MigrationError(
            f"the database is newer than this code: it has migration {newest:04}_{applied[newest]['name']}, "
            f"this code knows up to {max(known, default=0):04}; start a newer release"
        )
    for number, row in applied.items():
        if number not in known or known[number].checksum != row["checksum"]:
            raise MigrationError(
                f"migration {number:04}_{row['name']} is not the one that was applied to this database; "
                "restore the file and put the change into a new one"
            )
    done = []
    for migration in migrations:
        if migration.number in applied:
            continue
        if migration.number < newest:
            raise MigrationError(
                f"migration {migration.number:04}_{migration.name} was never applied, but {newest:04} was; "
                "give it a number above"
            )
        await _apply(connection, migration)
        done.append(migration.name)
        _log.info("migration_applied", number=migration.number, name=migration.name)
    return done


async def _apply(connection: Connection, migration: Migration) -> None:
    try:
        async with connection.transaction():
            await connection.execute(migration.sql)
            await connection.execute(
                "INSERT INTO schema_migrations (number, name, checksum) VALUES ($1, $2, $3)",
                migration.number,
                migration.name,
                migration.checksum,
            )
    except (asyncpg.PostgresConnectionError, asyncpg.InsufficientPrivilegeError):
        raise
    except asyncpg.PostgresError as error:
        raise MigrationError(
            f"migration {migration.number:04}_{migration.name}: {one_line(error)}"
        ) from error
