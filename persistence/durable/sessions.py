"""The saved sessions: one set-based write fenced by version, and the ways to read them back."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from operator import attrgetter
from typing import TYPE_CHECKING, Final

import asyncpg
import structlog

from game.session import Session, UserId
from persistence.durable.copied import HASH_COLUMNS, PackedHash, hashes_of_copy
from persistence.durable.pool import connect
from persistence.durable.rows import (
    COLUMNS,
    COPY_HEAD,
    COPY_TAIL,
    Row,
    derived_fields,
    session_of_record,
)
from persistence.durable.translated import translated
from persistence.errors import one_line
from persistence.live.hashes import MalformedSessionError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Sequence
    from datetime import datetime

    from asyncpg.pool import PoolConnectionProxy

    from persistence.durable.pool import Connection, Pool

_log = structlog.get_logger(__name__)

WRITE_TIMEOUT_S: Final = 10.0
_RETRIES_OF_A_RACE: Final = 3
_RACES_AND_BAD_ROWS: Final = (
    asyncpg.DataError,
    asyncpg.IntegrityConstraintViolationError,
    asyncpg.DeadlockDetectedError,
)
_NAMES: Final = ", ".join(COLUMNS)
_VALUES: Final = [name for name in COLUMNS if name != "user_id"]
_INCOMING: Final = "CREATE TEMP TABLE incoming (LIKE sessions INCLUDING DEFAULTS) ON COMMIT DELETE ROWS"
# What has a row already. An upsert of it costs PostgreSQL 2 µs of 10 more: it looks for the account, and
# makes a row to insert before it finds the one that is there.
_UPDATE: Final = f"""
UPDATE sessions AS saved
SET {", ".join(f"{name} = incoming.{name}" for name in _VALUES)}, updated_at = now()
FROM incoming
WHERE saved.user_id = incoming.user_id AND saved.version < incoming.version
"""  # noqa: S608 - made of constants
# What has no row yet, or one that another writer made since the update. The join keeps the sessions of
# deleted accounts out.
_INSERT: Final = f"""
INSERT INTO sessions AS saved ({_NAMES}, updated_at)
SELECT {", ".join("incoming." + name for name in COLUMNS)}, now()
FROM incoming JOIN accounts ON accounts.id = incoming.user_id
WHERE NOT EXISTS (
    SELECT FROM sessions
    WHERE sessions.user_id = incoming.user_id AND sessions.version >= incoming.version
)
ORDER BY incoming.user_id
ON CONFLICT (user_id) DO UPDATE
SET {", ".join(f"{name} = excluded.{name}" for name in (*_VALUES, "updated_at"))}
WHERE saved.version < excluded.version
"""  # noqa: S608 - made of constants
# A statement of its own: it sees what those before ran into, which their own snapshots may not.
_WHY_NOT: Final = """
SELECT accounts.id, sessions.version
FROM accounts LEFT JOIN sessions ON sessions.user_id = accounts.id
WHERE accounts.id = ANY($1::bigint[])
"""
_SELECT: Final = (
    f"SELECT {', '.join('sessions.' + name for name in COLUMNS)}, coalesce(accounts.email, '') AS email"
)
_COPY: Final = (
    f"SELECT {', '.join(HASH_COLUMNS)} FROM sessions JOIN accounts ON id = user_id "  # noqa: S608 - constants
    "WHERE user_id > $1::bigint AND ($2::timestamptz IS NULL OR updated_at >= $2::timestamptz) "
    "ORDER BY user_id LIMIT $3::bigint"
)
# The batch is small beside the tables, but an empty temporary table has no statistics: without these
# settings the planner may read all accounts to write a few sessions.
_WRITER_SETTINGS: Final = {
    "synchronous_commit": "on",
    "enable_hashjoin": "off",
    "enable_mergejoin": "off",
    "jit": "off",
}


@dataclass(frozen=True, slots=True)
class WriteResult:
    """What became of each row of a write.

    `saved`: PostgreSQL has exactly this version, written now or before. `ahead`: the fence refused it,
    PostgreSQL has the newer version given. `gone`: the account no longer exists. `bad`: PostgreSQL refused
    the values, for the reason given. A row in none of them was not written: try it again.
    """

    saved: set[UserId] = field(default_factory=set)
    ahead: dict[UserId, int] = field(default_factory=dict)
    gone: set[UserId] = field(default_factory=set)
    bad: dict[UserId, str] = field(default_factory=dict)


class SessionWriter:
    """Writes sessions over one connection of its own, which it opens when needed and drops when in doubt.

    One write at a time. Close it with `close`.
    """

    def __init__(self, dsn: str, *, write_timeout_s: float = WRITE_TIMEOUT_S) -> None:
        self._dsn = dsn
        self._write_timeout_s = write_timeout_s
        self._connection: Connection | None = None

    async def write(self, rows: Sequence[Row]) -> WriteResult:
        """Write each row whose version is above the saved one: in one transaction, unless some are bad.

        A user may stand in `rows` once. Raises DurableUnavailable when PostgreSQL is away, full or slower
        than the limit: the rows may have been written; write them again, the fence makes that harmless.
        """
        result = WriteResult()
        if rows:
            try:
                with translated():
                    await self._write(rows, result)
            except BaseException:
                self.close()
                raise
        return result

    def close(self) -> None:
        """Drop the connection without waiting for PostgreSQL; a write under way happens as a whole or not."""
        if self._connection is not None:
            self._connection.terminate()
            self._connection = None

    async def read(self, user_ids: Iterable[UserId]) -> list[asyncpg.Record]:
        """Read saved sessions as `load_records` does. Raises DurableUnavailable."""
        try:
            with translated():
                async with asyncio.timeout(self._write_timeout_s):
                    return await load_records(await self._connected(), user_ids)
        except BaseException:
            self.close()
            raise

    async def _write(self, rows: Sequence[Row], result: WriteResult) -> None:
        for _ in range(_RETRIES_OF_A_RACE):
            try:
                await self._write_together(rows, result)
            except asyncpg.ForeignKeyViolationError:
                continue  # an account was deleted between the join and the insert; the next join knows
            except asyncpg.DeadlockDetectedError:
                continue  # PostgreSQL chose this writer of two, and the other one goes on
            except (asyncpg.DataError, asyncpg.IntegrityConstraintViolationError) as error:
                if len(rows) == 1:
                    result.bad.update((row.user_id, one_line(error)) for row in rows)
                    return
                middle = len(rows) // 2
                await self._write(rows[:middle], result)
                await self._write(rows[middle:], result)
            return

    async def _write_together(self, rows: Sequence[Row], result: WriteResult) -> None:
        # Most plans lock rows in the order in which they come: two writers seldom lock each other out.
        ordered = sorted(rows, key=attrgetter("user_id"))
        found: dict[UserId, int | None] | None = None
        async with asyncio.timeout(self._write_timeout_s):
            connection = await self._connected()
            await connection.execute("BEGIN")
            try:
                await connection.copy_to_table(
                    "incoming", source=_chunks(ordered), columns=COLUMNS, format="binary"
                )
                written = _count(await connection.execute(_UPDATE))
                if written < len(rows):
                    written += _count(await connection.execute(_INSERT))
                if written < len(rows):
                    found = await self._saved_versions(connection, rows)
                await connection.execute("COMMIT")
            except _RACES_AND_BAD_ROWS:
                await connection.execute("ROLLBACK")
                raise
        if found is None:
            result.saved.update(row.user_id for row in rows)
            return
        for row in rows:
            if row.user_id not in found:
                result.gone.add(row.user_id)
                continue
            version = found[row.user_id]
            if version == row.version:
                result.saved.add(row.user_id)
            elif version is not None and version > row.version:
                result.ahead[row.user_id] = version

    @staticmethod
    async def _saved_versions(connection: Connection, rows: Sequence[Row]) -> dict[UserId, int | None]:
        records = await connection.fetch(_WHY_NOT, [row.user_id for row in rows])
        return {UserId(record["id"]): record["version"] for record in records}

    async def _connected(self) -> Connection:
        if self._connection is None or self._connection.is_closed():
            self._connection = await connect(
                self._dsn, application_name="click-and-cook flusher", settings=_WRITER_SETTINGS
            )
            await self._connection.execute(_INCOMING)
        return self._connection


def _count(status: str) -> int:
    """Read how many rows a statement wrote from what PostgreSQL says of it: `UPDATE 3`, `INSERT 0 3`."""
    return int(status.rpartition(" ")[2])


async def _chunks(rows: Sequence[Row]) -> AsyncIterator[bytes]:
    yield b"".join([COPY_HEAD, *[row.line for row in rows], COPY_TAIL])


@dataclass(frozen=True, slots=True)
class Saved:
    """What PostgreSQL has of a player: an address, and the session, None where there never was one.

    A guest's address is "". `derived`: fields of the hash for the rates that the session was last paid at.
    """

    email: str
    session: Session | None
    derived: list[bytes]


async def load_rows(pool: Pool, user_ids: Iterable[UserId]) -> dict[UserId, Saved]:
    """Read accounts' e-mail addresses and saved sessions.

    A user that is missing from the answer has no account, or a row that cannot be read: that is logged, and
    the row stays as it is. Raises DurableUnavailable: try again later.
    """
    found: dict[UserId, Saved] = {}
    for record in await load_records(pool, user_ids):
        try:
            session = None if record["version"] is None else session_of_record(record)
        except MalformedSessionError as error:
            _log.error("saved_session_unreadable", user=error.user_id, reason=error.reason)
            continue
        found[UserId(record["id"])] = Saved(record["email"], session, derived_fields(record))
    return found


async def load_records(
    source: Pool | Connection | PoolConnectionProxy[asyncpg.Record], user_ids: Iterable[UserId]
) -> list[asyncpg.Record]:
    """Read what `load_rows` reads: records with `id`, `email` and a session's columns, None without one."""
    sql = f"{_SELECT}, id FROM accounts LEFT JOIN sessions ON user_id = id WHERE id = ANY($1::bigint[])"
    with translated():
        return await source.fetch(sql, list(user_ids))


async def load_versions(pool: Pool, user_ids: Iterable[UserId]) -> dict[UserId, int]:
    """Read the version of each session that is saved. Raises DurableUnavailable: try again."""
    sql = "SELECT user_id, version FROM sessions WHERE user_id = ANY($1::bigint[])"
    with translated():
        rows = await pool.fetch(sql, list(user_ids))
    return {UserId(row["user_id"]): row["version"] for row in rows}


async def iterate_hashes(
    pool: Pool,
    *,
    active_since: datetime | None = None,
    batch: int = 2000,
) -> AsyncIterator[list[PackedHash]]:
    """Read saved sessions in batches by ascending user id; with `active_since` only those written since.

    Each batch is a statement of its own, so nothing is held open meanwhile. Raises DurableUnavailable: go on
    later from the last user id seen, or from the start.
    """
    after = -1
    while True:
        copied = bytearray()

        async def keep(data: bytes, copied: bytearray = copied) -> None:
            copied.extend(data)

        with translated():
            async with pool.acquire() as connection:
                # COPY takes no arguments: asyncpg writes a number and a time into its text.
                await connection.copy_from_query(
                    _COPY, after, active_since, batch, output=keep, format="binary"
                )
        hashes = hashes_of_copy(bytes(copied))
        if hashes:
            after = max(saved.user_id for saved in hashes)
            yield hashes
        if len(hashes) < batch:
            return


async def count_sessions(pool: Pool, *, active_since: datetime | None = None) -> int:
    """Count the saved sessions, for a progress bar. Raises DurableUnavailable."""
    with translated():
        sql = "SELECT count(*) FROM sessions WHERE $1::timestamptz IS NULL OR updated_at >= $1"
        count: int = await pool.fetchval(sql, active_since)
        return count
