"""What operators changed of players: what is to be done, then what came of it, in the order of versions.

A change is one of PostgreSQL and one of Redis, and either may be lost in between. So its number is given, and
committed, before it is made; the session remembers the number (`game.adjusting.OPERATORS`). A number without
an outcome is made again before anything else is changed of the player: made earlier or now, it is made once.
"""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import orjson

from persistence.durable.translated import translated

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import asyncpg
    from asyncpg.pool import PoolConnectionProxy

    from game.session import UserId
    from persistence.durable.pool import Pool

    Connection: TypeAlias = PoolConnectionProxy[asyncpg.Record]

FORGOTTEN_AFTER_S: Final = 86_400
"""A number without an outcome is made again within a day: a session forgets it after a week at the latest."""
ABANDONED_AFTER_S: Final = 60
"""A deletion works on without its turn, for no longer than a statement may take."""
_ACQUIRE_TIMEOUT_S: Final = 5.0

_ADD_SUBJECT: Final = """
INSERT INTO operator_subjects (user_id)
SELECT id FROM accounts WHERE id = $1 FOR KEY SHARE ON CONFLICT DO NOTHING
"""
"""Waits for a deletion that is under way, and then finds no account."""
_LOCK_SUBJECT: Final = "SELECT subject FROM operator_subjects WHERE user_id = $1 FOR UPDATE"
_BEGIN: Final = """
INSERT INTO operator_intents (operator, reason, subject, what, amount, undoes, session_given)
VALUES ($1, $2, $3, $4, $5, $6, $7) RETURNING number
"""
_OPEN: Final = """
SELECT number, operator, reason, what, amount, undoes, session_given,
       begun_at < clock_timestamp() - make_interval(secs => $2) AS forgotten,
       begun_at < clock_timestamp() - make_interval(secs => $3) AS abandoned
FROM operator_intents AS intent
WHERE subject = $1 AND NOT EXISTS (SELECT FROM operator_log WHERE operator_log.number = intent.number)
ORDER BY number
"""
_FINISH: Final = """
INSERT INTO operator_log
    (number, operator, reason, subject, what, amount, undoes, outcome, before, after, version, session_found)
SELECT number, operator, reason, subject, what, amount, undoes, $2, $3, $4, $5, $6
FROM operator_intents WHERE number = $1
ON CONFLICT DO NOTHING
"""
_LOG: Final = """
SELECT number, made_at, operator, reason, subject, what, amount, undoes, outcome, before, after, version,
    (SELECT session_given FROM operator_intents WHERE operator_intents.number = operator_log.number),
    session_found
FROM operator_log WHERE subject = (SELECT subject FROM operator_subjects WHERE user_id = $1)
"""
_LATEST: Final = f"{_LOG} ORDER BY number DESC LIMIT $2"
_GET: Final = f"{_LOG} AND number = $2"
OF_PLAYER: Final = f"{_LOG} ORDER BY number"
"""What operators did to a player ($1), in order."""
_SAME: Final = """
SELECT max(done.number) FROM operator_log AS done
WHERE subject = $1 AND what = $2 AND amount = $3 AND reason = $4 AND undoes IS NOT DISTINCT FROM $5
AND outcome = 'done' AND NOT EXISTS (
    SELECT FROM operator_intents AS intent
    WHERE intent.number = done.number AND intent.session_given IS DISTINCT FROM $6
) AND NOT EXISTS (
    SELECT FROM operator_log AS undo WHERE undo.undoes = done.number AND undo.outcome = 'done'
)
"""
_LATEST_IMPORT: Final = """
SELECT max(number) FROM operator_intents JOIN operator_log USING (number)
WHERE operator_intents.subject = $1 AND session_given IS NOT NULL AND outcome = 'done'
"""
_UNDONE: Final = "SELECT number FROM operator_log WHERE undoes = $1 AND outcome = 'done'"


class Outcome(Enum):
    """What came of a change."""

    DONE = "done"
    REFUSED = "refused"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Wish:
    """What an operator wants changed: who asks, why, of what how much; `undoes`: the change it takes back.

    `session`: of an import, what is to be in the session, as JSON.
    """

    operator: str
    reason: str
    what: str
    amount: float = 0.0
    undoes: int | None = None
    session: str | None = None


@dataclass(frozen=True, slots=True)
class Intent:
    """A wish that has its number.

    `forgotten`: too old to be made again. `abandoned`: so old that nobody works on it any more.
    """

    number: int
    wish: Wish
    forgotten: bool = False
    abandoned: bool = False


class Turn:
    """One operator's turn with a player; ends, and is kept, with the block of `OperatorLog.turn`."""

    def __init__(self, pool: Pool, connection: Connection, subject: int) -> None:
        self._pool = pool
        self._connection = connection
        self._subject = subject

    async def open(self) -> list[Intent]:
        """Return what was begun and has no outcome, the oldest first."""
        rows = await self._connection.fetch(_OPEN, self._subject, FORGOTTEN_AFTER_S, ABANDONED_AFTER_S)
        return [Intent(row["number"], _wish(row), row["forgotten"], row["abandoned"]) for row in rows]

    async def same(self, wish: Wish) -> int | None:
        """Return the number under which the very same was done before and not taken back."""
        number: int | None = await self._connection.fetchval(
            _SAME, self._subject, wish.what, wish.amount, wish.reason, wish.undoes, wish.session
        )
        return number

    async def latest_import(self) -> int | None:
        """Return the number of the latest import that was done."""
        number: int | None = await self._connection.fetchval(_LATEST_IMPORT, self._subject)
        return number

    async def undone_by(self, number: int) -> int | None:
        """Return the number of the change that took this one back."""
        undo: int | None = await self._connection.fetchval(_UNDONE, number)
        return undo

    async def begin(self, wish: Wish) -> Intent:
        """Give a wish its number, kept from now on whatever becomes of this turn."""
        asked = (wish.operator, wish.reason, self._subject, wish.what, wish.amount, wish.undoes, wish.session)
        number = await self._pool.fetchval(_BEGIN, *asked)
        return Intent(number, wish)

    async def finish(  # noqa: PLR0917 - in the order of the log's columns
        self,
        intent: Intent,
        outcome: Outcome,
        before: float | None = None,
        after: float | None = None,
        version: int | None = None,
        found: str | None = None,
    ) -> None:
        """Write what came of a change; `found`: what was in the session before an import."""
        await self._connection.execute(_FINISH, intent.number, outcome.value, before, after, version, found)


class OperatorLog:
    """The log. Methods raise DurableUnavailable when PostgreSQL is away."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    @asynccontextmanager
    async def turn(self, user_id: UserId) -> AsyncIterator[Turn | None]:
        """Wait for one's turn with a player; None where there is no such account."""
        with translated():
            await self._pool.execute(_ADD_SUBJECT, user_id)
            async with self._pool.acquire(timeout=_ACQUIRE_TIMEOUT_S) as connection, connection.transaction():
                subject = await connection.fetchval(_LOCK_SUBJECT, user_id)
                yield None if subject is None else Turn(self._pool, connection, subject)

    async def finish(self, intent: Intent, outcome: Outcome) -> None:
        """Write what came of a change after whose turn no player is left to take turns with."""
        with translated():
            await self._pool.execute(_FINISH, intent.number, outcome.value, None, None, None, None)

    async def latest(self, user_id: UserId, at_most: int) -> list[dict[str, Any]]:
        """Return the latest changes of a player, the newest first."""
        with translated():
            return [plain_entry(row) for row in await self._pool.fetch(_LATEST, user_id, at_most)]

    async def get(self, user_id: UserId, number: int) -> dict[str, Any] | None:
        """Return one change of a player."""
        with translated():
            row = await self._pool.fetchrow(_GET, user_id, number)
        return None if row is None else plain_entry(row)


def plain_entry(row: asyncpg.Record) -> dict[str, Any]:
    """Return an entry of the log with its sessions as values, not as JSON."""
    sessions = ("session_given", "session_found")
    return {**row, **{name: row[name] and orjson.loads(row[name]) for name in sessions}}


def _wish(row: asyncpg.Record) -> Wish:
    return Wish(
        row["operator"], row["reason"], row["what"], row["amount"], row["undoes"], row["session_given"]
    )
