"""Guests who stay away: found in bounded steps, deleted with all that is kept of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from game.session import UserId
from persistence.durable.account_table import delete_account
from persistence.durable.translated import translated

if TYPE_CHECKING:
    from persistence.durable.pool import Pool

_ACQUIRE_TIMEOUT_S: Final = 5.0

_CLOCK: Final = "SELECT extract(epoch FROM clock_timestamp())::double precision"
_NEXT: Final = "SELECT id FROM accounts WHERE email IS NULL AND id > $1 ORDER BY id LIMIT $2"
# What shows that a guest came: the first visit, a saved change, a renewed family. Rows that a claim or
# another process holds are left for the next time.
_AWAY: Final = """
SELECT id FROM accounts AS guest
WHERE id = ANY($1::bigint[]) AND email IS NULL AND created_at < clock_timestamp() - $2 * interval '1 day'
    AND NOT EXISTS (
        SELECT FROM sessions
        WHERE user_id = guest.id AND updated_at >= clock_timestamp() - $2 * interval '1 day'
    )
    AND NOT EXISTS (
        SELECT FROM families WHERE user_id = guest.id
            AND expires_at - make_interval(secs => $3) >= clock_timestamp() - $2 * interval '1 day'
    )
ORDER BY id FOR UPDATE SKIP LOCKED
"""


class DeletedGuest(NamedTuple):
    """A guest who is gone, with the families that were live until then."""

    user_id: UserId
    families: tuple[str, ...]


class GuestStep(NamedTuple):
    """One step through the guests: those deleted, and the id to go on after; None at the end."""

    deleted: list[DeletedGuest]
    after: UserId | None


class GuestTable:
    """All guests. Methods raise DurableUnavailable when PostgreSQL is away."""

    def __init__(self, pool: Pool, refresh_ttl_s: int) -> None:
        self._pool = pool
        self._refresh_ttl_s = refresh_ttl_s

    async def now_s(self) -> float:
        """Return PostgreSQL's time, Unix time: that by which guests stayed away."""
        with translated():
            now_s: float = await self._pool.fetchval(_CLOCK)
        return now_s

    async def delete_away(self, days: int, after: UserId, at_most: int) -> GuestStep:
        """Look at the next `at_most` guests after an id; delete who has not come for `days`, all in one step.

        Safe to repeat, and by several processes at once.
        """
        with translated():
            async with self._pool.acquire(timeout=_ACQUIRE_TIMEOUT_S) as connection, connection.transaction():
                looked = [row["id"] for row in await connection.fetch(_NEXT, after, at_most)]
                away = await connection.fetch(_AWAY, looked, days, self._refresh_ttl_s) if looked else []
                deleted = []
                for row in away:
                    user_id = UserId(row["id"])
                    families = await delete_account(connection, user_id, None)
                    if families is not None:
                        deleted.append(DeletedGuest(user_id, families))
        return GuestStep(deleted, UserId(max(looked)) if len(looked) == at_most else None)
