"""Leaderboard and public names: what players see of each other, answered by PostgreSQL."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final

import asyncpg
import orjson
import structlog

from game.errors import NameInvalid, NameTaken, Refusal
from persistence.durable.names import acceptable, skeletons
from persistence.durable.translated import translated
from persistence.errors import DurableUnavailable, one_line
from runtime.stopping import end_tasks

if TYPE_CHECKING:
    from game.session import UserId
    from persistence.durable.pool import Pool

_log = structlog.get_logger(__name__)

TOP: Final = 100
REFRESH_EVERY_S: Final = 10.0
_WAIT_FOR_REFRESH_S: Final = 1.0
_REFRESH_LOCK: Final = 0x1EADE4B0A4D
_STARS_SCALE: Final = 10_000

_CHOOSE: Final = """
UPDATE accounts SET display_name = $2, skeleton_of = $2, skeleton_typed = $3, skeleton_capitals = $4
WHERE id = $1 AND display_name IS DISTINCT FROM $2
"""
_DUE: Final = """
SELECT deletions FROM leaderboard_state
WHERE (refreshed_at <= now() - make_interval(secs => $1) OR ($3 AND deletions > deletions_shown))
    AND pg_try_advisory_xact_lock($2)
"""
_REFRESHED: Final = "UPDATE leaderboard_state SET refreshed_at = now(), deletions_shown = $1"
_OWED: Final = "SELECT deletions > deletions_shown FROM leaderboard_state"
_COLUMNS: Final = {"money": ("earned", "place_by_money"), "stars": ("stars", "place_by_stars")}


class Community:
    """Answers `leaderboard` and `name_set`."""

    def __init__(self, pool: Pool, *, refresh_every_s: float = REFRESH_EVERY_S) -> None:
        self._pool = pool
        self._refresh_every_s = refresh_every_s
        self._refreshing: asyncio.Task[None] | None = None

    async def leaderboard(self, user_id: UserId, by: str) -> str:
        """Return the data of `leaderboard`, with braces: the first hundred and the player's own place.

        At most `refresh_every_s` old where PostgreSQL keeps up. Raises DurableUnavailable when it does not
        answer.
        """
        value, place = _COLUMNS[by]
        await self._refresh_when_stale()
        with translated():
            async with self._pool.acquire() as connection:
                top = await connection.fetch(
                    f"SELECT {place} AS place, name, {value} AS value FROM leaderboard"  # noqa: S608 - constants
                    f" WHERE {place} <= $1 ORDER BY {place}, user_id LIMIT $1",
                    TOP,
                )
                mine = await connection.fetchrow(
                    f"SELECT {place} AS place, display_name AS name,"  # noqa: S608 - constants
                    f" coalesce(leaderboard.{value}, sessions.{value}, 0) AS value"
                    " FROM accounts LEFT JOIN sessions ON sessions.user_id = accounts.id"
                    " LEFT JOIN leaderboard ON leaderboard.user_id = accounts.id WHERE accounts.id = $1",
                    user_id,
                )
        scale = _STARS_SCALE if by == "stars" else 1
        data = {
            "by": by,
            "entries": [_entry(record, scale) for record in top],
            "me": _entry(mine, scale) if mine is not None else None,
        }
        return orjson.dumps(data).decode()

    async def set_name(self, user_id: UserId, name: str) -> str | Refusal:
        """Choose the name a player appears under; returns the data of `name_set`, with braces, or why not.

        Names are compared by what they look like, without regard to case. Raises DurableUnavailable when
        PostgreSQL does not answer: then it may have happened; choosing the same name again does no harm.
        """
        chosen = acceptable(name)
        if chosen is None:
            return NameInvalid()
        try:
            with translated(maybe_applied=True):
                await self._pool.execute(_CHOOSE, user_id, chosen, *skeletons(chosen))
        except asyncpg.UniqueViolationError:
            return NameTaken()
        return orjson.dumps({"name": chosen}).decode()

    async def forget_deleted(self) -> bool:
        """Have the places computed again where a deleted player's name may stand in them; says whether so.

        Raises DurableUnavailable: call again.
        """
        with translated():
            owed: bool = await self._pool.fetchval(_OWED)
            if owed:
                await self._compute(even_if_fresh=True)
        return owed

    async def _refresh_when_stale(self) -> None:
        """Have the places computed again where they are old; wait a moment for it, and no longer."""
        if self._refreshing is None or self._refreshing.done():
            self._refreshing = asyncio.get_running_loop().create_task(self._refresh())
        await asyncio.wait({self._refreshing}, timeout=_WAIT_FOR_REFRESH_S)

    async def _refresh(self) -> None:
        try:
            with translated():
                await self._compute(even_if_fresh=False)
        except DurableUnavailable as error:
            _log.warning("leaderboard_refresh_failed", error=one_line(error))

    async def _compute(self, *, even_if_fresh: bool) -> None:
        """Compute the places where they are old, or lack deletions; one process at a time.

        Deletions are counted before the places are computed: one that comes meanwhile stays to be shown.
        """
        async with self._pool.acquire() as connection, connection.transaction():
            deletions = await connection.fetchval(_DUE, self._refresh_every_s, _REFRESH_LOCK, even_if_fresh)
            if deletions is not None:
                await connection.execute("REFRESH MATERIALIZED VIEW CONCURRENTLY leaderboard", timeout=60)
                await connection.execute(_REFRESHED, deletions)

    async def stop(self) -> None:
        """Give up a refresh that is under way."""
        if self._refreshing is not None:
            await end_tasks([self._refreshing])


def _entry(record: asyncpg.Record, scale: int) -> dict[str, Any]:
    value = record["value"] / scale
    whole = value.is_integer() and value <= 2**53
    return {"place": record["place"], "name": record["name"], "value": int(value) if whole else value}
