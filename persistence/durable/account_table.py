"""Accounts in PostgreSQL: who may log in, and everything that must change together with it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Final, NamedTuple

import asyncpg

from game.session import UserId
from persistence.durable.suspensions import Suspension, suspension_of
from persistence.durable.token_families import add_family, begin_anew, end_for_good, hold_family
from persistence.durable.translated import translated

if TYPE_CHECKING:
    from persistence.durable.pool import Pool
    from persistence.durable.token_families import BegunAnew, Connection

_ACQUIRE_TIMEOUT_S: Final = 5.0

_FIND: Final = "SELECT id, email, password_hash FROM accounts WHERE email = $1"
_GET: Final = "SELECT id, email, password_hash FROM accounts WHERE id = $1"
_ADD: Final = """
INSERT INTO accounts (email, password_hash) VALUES ($1, $2)
ON CONFLICT (email) DO NOTHING RETURNING id
"""
_HOLD: Final = "SELECT true FROM accounts WHERE id = $1 AND password_hash = $2 FOR SHARE"
_LOCK: Final = "SELECT true FROM accounts WHERE id = $1 AND password_hash = $2 FOR UPDATE"
_REHASH: Final = "UPDATE accounts SET password_hash = $3 WHERE id = $1 AND password_hash = $2"
_ADD_GUEST: Final = "INSERT INTO accounts (email, password_hash) VALUES (NULL, NULL) RETURNING id"
_GET_LOCKED: Final = "SELECT password_hash FROM accounts WHERE id = $1 FOR UPDATE"
_SET_EMAIL: Final = """
UPDATE accounts SET email = $2, password_hash = $3, email_changed_at = clock_timestamp() WHERE id = $1
"""
_FORGET_LINKS: Final = "DELETE FROM reset_links WHERE user_id = $1"
_EMAILS_CHANGED: Final = """
SELECT id, email FROM accounts WHERE email_changed_at > clock_timestamp() - make_interval(secs => $1)
"""
_DELETE: Final = """
DELETE FROM accounts WHERE id = $1 AND password_hash IS NOT DISTINCT FROM $2 RETURNING display_name
"""
_COUNT_DELETION: Final = "UPDATE leaderboard_state SET deletions = deletions + 1"


@dataclass(frozen=True, slots=True)
class Account:
    """One account. `email` is lower case; the hash is bcrypt's. A guest has "" and None."""

    user_id: UserId
    email: str
    password_hash: str | None

    @property
    def is_guest(self) -> bool:
        """Whether nobody has claimed it yet."""
        return self.password_hash is None


@dataclass(frozen=True, slots=True)
class Registered:
    """A new account and the `iat` of its first pair of tokens."""

    user_id: UserId
    issued_at_s: int


class _Tokens(NamedTuple):
    """The family that asks for a change, and the one that begins with it."""

    asking: str
    family: str
    jti: str


class NotChanged(Enum):
    """Why an account did not get an e-mail; nothing was changed."""

    GONE = "no such account, or the family that asked was revoked"
    CLAIMED = "the account has an e-mail already"
    OUTDATED = "the password is another now"
    TAKEN = "another account has this e-mail"


class AccountTable:
    """All accounts. Every method raises DurableUnavailable when PostgreSQL is away, and is one transaction.

    Where a method takes a `password_hash`, it does nothing unless that is still the account's: a password
    that was changed while it was being checked counts as wrong. Locks are taken on the account first.
    """

    def __init__(self, pool: Pool, refresh_ttl_s: int) -> None:
        self._pool = pool
        self._refresh_ttl_s = refresh_ttl_s

    async def find(self, email: str) -> Account | None:
        """Look an account up by its e-mail address, in lower case and without NUL."""
        with translated():
            row = await self._pool.fetchrow(_FIND, email)
        return None if row is None else _account(row)

    async def get(self, user_id: UserId) -> Account | None:
        """Look an account up by its id."""
        with translated():
            row = await self._pool.fetchrow(_GET, user_id)
        return None if row is None else _account(row)

    async def suspension(self, user_id: UserId) -> Suspension | None:
        """Return a player's suspension; None where the player may play."""
        return await suspension_of(self._pool, user_id)

    async def open_guest(self, family: str, jti: str) -> Registered:
        """Add an account without an e-mail, with its first family of tokens."""
        with translated():
            async with self._pool.acquire(timeout=_ACQUIRE_TIMEOUT_S) as connection, connection.transaction():
                user_id = await connection.fetchval(_ADD_GUEST)
                issued_at_s = await add_family(connection, user_id, family, jti, self._refresh_ttl_s)
                return Registered(UserId(user_id), issued_at_s)

    async def register(self, email: str, password_hash: str, family: str, jti: str) -> Registered | None:
        """Add an account with its first family of tokens; None when the address is taken."""
        with translated():
            async with self._pool.acquire(timeout=_ACQUIRE_TIMEOUT_S) as connection, connection.transaction():
                user_id = await connection.fetchval(_ADD, email, password_hash)
                if user_id is None:
                    return None
                issued_at_s = await add_family(connection, user_id, family, jti, self._refresh_ttl_s)
                return Registered(UserId(user_id), issued_at_s)

    async def log_in(self, user_id: UserId, password_hash: str, family: str, jti: str) -> int | None:
        """Begin a family of tokens; returns the `iat` of its first pair.

        None when the password changed, or the player was suspended meanwhile.
        """
        with translated():
            async with self._pool.acquire(timeout=_ACQUIRE_TIMEOUT_S) as connection, connection.transaction():
                if not await connection.fetchval(_HOLD, user_id, password_hash):
                    return None
                if await suspension_of(connection, user_id) is not None:
                    return None
                return await add_family(connection, user_id, family, jti, self._refresh_ttl_s)

    async def rehash(self, user_id: UserId, password_hash: str, new_hash: str) -> bool:
        """Replace the hash of an unchanged password; False when the password was changed meanwhile."""
        with translated():
            status: str = await self._pool.execute(_REHASH, user_id, password_hash, new_hash)
            return status == "UPDATE 1"

    async def change_password(
        self, user_id: UserId, password_hash: str, *, asking: str, new_hash: str, family: str, jti: str
    ) -> BegunAnew | None:
        """Change the password, revoke all the user's families, `asking` too, and begin another.

        None, and nothing changed, when the password is another now or the family `asking` was revoked.
        """
        with translated():
            async with self._pool.acquire(timeout=_ACQUIRE_TIMEOUT_S) as connection, connection.transaction():
                if not await connection.fetchval(_LOCK, user_id, password_hash):
                    return None
                if not await hold_family(connection, user_id, asking):
                    return None
                await connection.execute(_REHASH, user_id, password_hash, new_hash)
                await connection.execute(_FORGET_LINKS, user_id)
                return await begin_anew(connection, user_id, family, jti, self._refresh_ttl_s)

    async def claim(
        self, user_id: UserId, *, asking: str, email: str, new_hash: str, family: str, jti: str
    ) -> BegunAnew | NotChanged:
        """Give a guest an e-mail and a password, revoke all its families and begin another.

        The player stays the same: nothing of the session is touched. Of two claims at once one succeeds.
        """
        tokens = _Tokens(asking, family, jti)
        return await self._set_email(user_id, None, email, new_hash, tokens)

    async def change_email(
        self, user_id: UserId, password_hash: str, *, asking: str, email: str, family: str, jti: str
    ) -> BegunAnew | NotChanged:
        """Give an account another e-mail, revoke all its families and begin another; its links end too."""
        tokens = _Tokens(asking, family, jti)
        return await self._set_email(user_id, password_hash, email, password_hash, tokens)

    async def emails_changed(self, within_s: int) -> list[tuple[UserId, str]]:
        """Return whose e-mail changed in the last `within_s`, with the present one."""
        with translated():
            rows = await self._pool.fetch(_EMAILS_CHANGED, within_s)
        return [(UserId(row["id"]), row["email"]) for row in rows]

    async def delete(
        self, user_id: UserId, password_hash: str | None, *, asking: str | None = None
    ) -> tuple[str, ...] | None:
        """Delete an account with all that is kept of it; returns the families that were live until then.

        None, and nothing changed, when the password is another now (None: a guest that was claimed), or the
        family `asking` was revoked. Of the families their ids stay, as revoked, while an access token lives.
        """
        with translated():
            async with self._pool.acquire(timeout=_ACQUIRE_TIMEOUT_S) as connection, connection.transaction():
                await connection.execute(_GET_LOCKED, user_id)
                if asking is not None and not await hold_family(connection, user_id, asking):
                    return None
                return await delete_account(connection, user_id, password_hash)

    async def _set_email(
        self, user_id: UserId, password_hash: str | None, email: str, new_hash: str, tokens: _Tokens
    ) -> BegunAnew | NotChanged:
        """Set e-mail and hash of an account that has this password, or of a guest (None)."""
        try:
            with translated():
                async with (
                    self._pool.acquire(timeout=_ACQUIRE_TIMEOUT_S) as connection,
                    connection.transaction(),
                ):
                    row = await connection.fetchrow(_GET_LOCKED, user_id)
                    if row is None:
                        return NotChanged.GONE
                    if row["password_hash"] != password_hash:
                        return NotChanged.CLAIMED if password_hash is None else NotChanged.OUTDATED
                    if not await hold_family(connection, user_id, tokens.asking):
                        return NotChanged.GONE
                    await connection.execute(_SET_EMAIL, user_id, email, new_hash)
                    await connection.execute(_FORGET_LINKS, user_id)
                    return await begin_anew(
                        connection, user_id, tokens.family, tokens.jti, self._refresh_ttl_s
                    )
        except asyncpg.UniqueViolationError:
            return NotChanged.TAKEN


async def delete_account(
    connection: Connection, user_id: UserId, password_hash: str | None
) -> tuple[str, ...] | None:
    """Delete an account within the caller's transaction; see AccountTable.delete."""
    deleted = await connection.fetch(_DELETE, user_id, password_hash)
    if not deleted:
        return None
    if any(row["display_name"] is not None for row in deleted):
        await connection.execute(_COUNT_DELETION)
    return await end_for_good(connection, user_id)


def _account(row: asyncpg.Record) -> Account:
    return Account(UserId(row["id"]), row["email"] or "", row["password_hash"])
