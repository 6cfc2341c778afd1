"""Suspended players: who may not log in, until when, and why."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from persistence.durable.token_families import REVOKED_FOR_S, revoke_all
from persistence.durable.translated import translated

if TYPE_CHECKING:
    from datetime import datetime

    from game.session import UserId
    from persistence.durable.pool import Pool
    from persistence.durable.token_families import Connection

_ACQUIRE_TIMEOUT_S: Final = 5.0

_FIND: Final = """
SELECT ends_at, because FROM suspensions
WHERE user_id = $1 AND (ends_at IS NULL OR ends_at > clock_timestamp())
"""
_LOCK: Final = "SELECT true FROM accounts WHERE id = $1 FOR UPDATE"
_SUSPEND: Final = """
INSERT INTO suspensions (user_id, ends_at, because)
VALUES ($1, clock_timestamp() + make_interval(secs => $2), $3)
ON CONFLICT (user_id) DO UPDATE
SET since = excluded.since, ends_at = excluded.ends_at, because = excluded.because
"""
_END: Final = "DELETE FROM suspensions WHERE user_id = $1"
_ENDED_LATELY: Final = """
SELECT id FROM families
WHERE user_id = $1 AND revoked_at > clock_timestamp() - make_interval(secs => $2)
"""


class Suspension(NamedTuple):
    """Until when a player is suspended (None: without an end), and the reason that the player reads."""

    ends_at: datetime | None
    because: str


class Suspensions:
    """All suspensions. Every method raises DurableUnavailable when PostgreSQL is away; safe to repeat."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def suspend(self, user_id: UserId, for_s: float | None, because: str) -> tuple[str, ...]:
        """Suspend a player for so long (None: without an end), and end all log-ins.

        Returns the families whose access tokens are to be refused. A log-in that is under way ends as well.
        """
        with translated():
            async with self._pool.acquire(timeout=_ACQUIRE_TIMEOUT_S) as connection, connection.transaction():
                if await connection.fetchval(_LOCK, user_id):
                    await connection.execute(_SUSPEND, user_id, for_s, because)
                return await _end_log_ins(connection, user_id)

    async def end(self, user_id: UserId) -> bool:
        """End a suspension; False where there is none."""
        with translated():
            status: str = await self._pool.execute(_END, user_id)
        return status == "DELETE 1"

    async def log_out(self, user_id: UserId) -> tuple[str, ...]:
        """End all log-ins; returns the families whose access tokens are to be refused."""
        with translated():
            async with self._pool.acquire(timeout=_ACQUIRE_TIMEOUT_S) as connection, connection.transaction():
                await connection.fetchval(_LOCK, user_id)
                return await _end_log_ins(connection, user_id)


async def suspension_of(connection: Pool | Connection, user_id: UserId) -> Suspension | None:
    """Return a player's suspension; None where the player may play.

    Within a transaction: ask after the account's row is locked. Raises DurableUnavailable.
    """
    with translated():
        row = await connection.fetchrow(_FIND, user_id)
    return None if row is None else Suspension(row["ends_at"], row["because"])


async def _end_log_ins(connection: Connection, user_id: UserId) -> tuple[str, ...]:
    """Revoke all families; returns those ended lately too, which Redis may not know of yet."""
    await revoke_all(connection, user_id)
    rows = await connection.fetch(_ENDED_LATELY, user_id, REVOKED_FOR_S)
    return tuple(row["id"] for row in rows)
