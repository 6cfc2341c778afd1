"""Links that set a new password, in PostgreSQL: a digest of each token, good once and for a time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from game.session import UserId
from persistence.durable.suspensions import suspension_of
from persistence.durable.token_families import begin_anew
from persistence.durable.translated import translated

if TYPE_CHECKING:
    from persistence.durable.pool import Pool
    from persistence.durable.token_families import BegunAnew

_ACQUIRE_TIMEOUT_S: Final = 5.0

_LOCK_BY_EMAIL: Final = "SELECT id FROM accounts WHERE email = $1 FOR UPDATE"
_LOCK: Final = "SELECT true FROM accounts WHERE id = $1 FOR UPDATE"
_MADE_LATELY: Final = """
SELECT count(*) FROM reset_links
WHERE user_id = $1 AND created_at > clock_timestamp() - make_interval(secs => $2)
"""
_ADD: Final = """
INSERT INTO reset_links (digest, user_id, expires_at)
VALUES ($1, $2, clock_timestamp() + make_interval(secs => $3))
"""
_OWNER: Final = "SELECT user_id FROM reset_links WHERE digest = $1 AND expires_at > clock_timestamp()"
_SET_PASSWORD: Final = "UPDATE accounts SET password_hash = $2 WHERE id = $1"  # noqa: S105 - a statement
_FORGET: Final = "DELETE FROM reset_links WHERE user_id = $1"
_PRUNE: Final = """
DELETE FROM reset_links
WHERE digest IN (SELECT digest FROM reset_links WHERE expires_at < clock_timestamp() LIMIT $1)
"""


class PasswordReset(NamedTuple):
    """Whose password was set, and the log-in that began with it."""

    user_id: UserId
    begun: BegunAnew


class ResetLinks:
    """All links. Every method raises DurableUnavailable when PostgreSQL is away, and is one transaction.

    Locks are taken on the account first. A changed password or e-mail ends the account's links.
    """

    def __init__(self, pool: Pool, refresh_ttl_s: int) -> None:
        self._pool = pool
        self._refresh_ttl_s = refresh_ttl_s

    async def add(self, email: str, digest: bytes, ttl_s: int, *, most: int, within_s: int) -> bool:
        """Add a link for the account of an e-mail address, in lower case.

        False, and nothing added, where there is no such account, or it got `most` within the last `within_s`.
        """
        with translated():
            async with self._pool.acquire(timeout=_ACQUIRE_TIMEOUT_S) as connection, connection.transaction():
                user_id = await connection.fetchval(_LOCK_BY_EMAIL, email)
                if user_id is None or await connection.fetchval(_MADE_LATELY, user_id, within_s) >= most:
                    return False
                await connection.execute(_ADD, digest, user_id, ttl_s)
                return True

    async def owner(self, digest: bytes) -> UserId | None:
        """Return whose link this is; None where it could not be used now."""
        with translated():
            owner: int | None = await self._pool.fetchval(_OWNER, digest)
        return None if owner is None else UserId(owner)

    async def use(self, digest: bytes, new_hash: str, family: str, jti: str) -> PasswordReset | None:
        """Set the password of a link's account, end its links and families, and begin another family.

        None, and nothing changed, when the link is unknown, used or too old, or its player was suspended
        meanwhile. Of two uses at once one counts.
        """
        with translated():
            async with self._pool.acquire(timeout=_ACQUIRE_TIMEOUT_S) as connection, connection.transaction():
                owner = await connection.fetchval(_OWNER, digest)
                if owner is None or not await connection.fetchval(_LOCK, owner):
                    return None
                # Asked again behind the lock: who held it may have used the link, or ended it.
                if await connection.fetchval(_OWNER, digest) is None:
                    return None
                if await suspension_of(connection, owner) is not None:
                    return None
                await connection.execute(_SET_PASSWORD, owner, new_hash)
                await connection.execute(_FORGET, owner)
                begun = await begin_anew(connection, owner, family, jti, self._refresh_ttl_s)
                return PasswordReset(UserId(owner), begun)

    async def prune(self, at_most: int = 10_000) -> int:
        """Delete links that are too old; returns how many, at most `at_most`."""
        with translated():
            status: str = await self._pool.execute(_PRUNE, at_most)
            return int(status.removeprefix("DELETE "))
