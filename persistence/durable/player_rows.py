"""All that PostgreSQL keeps of one player, as of one moment: for the player's own eyes.

A test compares this with every table and column of the schema that has something of a player.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

from persistence.durable.operator_log import OF_PLAYER, plain_entry
from persistence.durable.sessions import load_records
from persistence.durable.translated import translated

if TYPE_CHECKING:
    from collections.abc import Callable

    import asyncpg

    from game.session import UserId
    from persistence.durable.pool import Pool

_ACQUIRE_TIMEOUT_S: Final = 5.0

_ACCOUNT: Final = """
SELECT id AS user_id, email, display_name, created_at, email_changed_at,
       name_key, skeleton_of, skeleton_typed, skeleton_capitals
FROM accounts WHERE id = $1
"""
_UPDATED_AT: Final = "SELECT updated_at FROM sessions WHERE user_id = $1"
# More log-ins within a week are no person's; what is asked for is bounded.
_FAMILIES: Final = """
SELECT id, created_at, expires_at, revoked_at FROM families
WHERE user_id = $1 ORDER BY created_at DESC, id LIMIT 1000
"""
_TOKENS: Final = """
SELECT jti, family, issued_at, used_at, successor FROM refresh_tokens
WHERE family IN (SELECT id FROM families WHERE user_id = $1 ORDER BY created_at DESC, id LIMIT 1000)
ORDER BY issued_at, jti
"""
_LINKS: Final = "SELECT created_at, expires_at FROM reset_links WHERE user_id = $1 ORDER BY created_at"
_PLACES: Final = """
SELECT name, earned, stars, place_by_money, place_by_stars FROM leaderboard WHERE user_id = $1
"""

_SUSPENSIONS: Final = "SELECT since, ends_at, because FROM suspensions WHERE user_id = $1"

_LISTS: Final[tuple[tuple[str, Callable[[asyncpg.Record], dict[str, Any]]], ...]] = (
    (_FAMILIES, dict),
    (_TOKENS, dict),
    (_LINKS, dict),
    (_PLACES, dict),
    (OF_PLAYER, plain_entry),
    (_SUSPENSIONS, dict),
)
"""What there may be several rows of, in the order of PlayerRows."""

LEFT_OUT: Final = {
    "operator_log.operator": "the name of somebody else: who answers letters",
    "accounts.password_hash": "made of the password by bcrypt; a copy would let others guess it",
    "reset_links.digest": "made of the token of a link that sets a new password; good for nothing else",
}
"""Columns of a player's rows that are kept and not shown, with the reason."""


class PlayerRows(NamedTuple):
    """A player's rows. `session` is as `load_records` reads it, without a version where none was saved."""

    account: dict[str, Any]
    session: asyncpg.Record
    updated_at: Any
    families: list[dict[str, Any]]
    tokens: list[dict[str, Any]]
    links: list[dict[str, Any]]
    places: list[dict[str, Any]]
    changes: list[dict[str, Any]]
    suspensions: list[dict[str, Any]]


async def read_player(pool: Pool, user_id: UserId) -> PlayerRows | None:
    """Read what is kept of a player; None where there is no such account. Raises DurableUnavailable."""
    with translated():
        async with (
            pool.acquire(timeout=_ACQUIRE_TIMEOUT_S) as connection,
            connection.transaction(isolation="repeatable_read", readonly=True),
        ):
            account = await connection.fetchrow(_ACCOUNT, user_id)
            if account is None:
                return None
            [session] = await load_records(connection, [user_id])
            return PlayerRows(
                dict(account),
                session,
                await connection.fetchval(_UPDATED_AT, user_id),
                *[
                    [plain(row) for row in await connection.fetch(statement, user_id)]
                    for statement, plain in _LISTS
                ],
            )
