"""Accounts in PostgreSQL: who may log in, and everything that must change together with it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from game.session import UserId
from persistence.durable.token_families import add_family, begin_anew, hold_family, revoke_all
from persistence.durable.translated import translated

if TYPE_CHECKING:
    from persistence.durable.pool import Pool
    from persistence.durable.token_families import BegunAnew

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
_DELETE: Final = "DELETE FROM accounts WHERE id = $1 AND password_hash = $2"


@dataclass(frozen=True, slots=True)
class Account:
    """One account. `email` is lower case; the hash is bcrypt's."""

    user_id: UserId
    email: str
    password_hash: str


@dataclass(frozen=True, slots=True)
class Registered:
    """A new account and the `iat` of its first pair of tokens."""

    user_id: UserId
    issued_at_s: int


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
        return None if row is None else Account(UserId(row["id"]), row["email"], row["password_hash"])

    async def get(self, user_id: UserId) -> Account | None:
        """Look an account up by its id."""
        with translated():
            row = await self._pool.fetchrow(_GET, user_id)
        return None if row is None else Account(UserId(row["id"]), row["email"], row["password_hash"])

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
        """Begin a family of tokens; returns the `iat` of its first pair, None when the password changed."""
        with translated():
            async with self._pool.acquire(timeout=_ACQUIRE_TIMEOUT_S) as connection, connection.transaction():
                if not await connection.fetchval(_HOLD, user_id, password_hash):
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
                return await begin_anew(connection, user_id, family, jti, self._refresh_ttl_s)

    async def delete(self, user_id: UserId, password_hash: str) -> tuple[str, ...] | None:
        """Delete an account with its saved session; returns the families that were live until then.

        None, and nothing changed, when the password is another now. The families stay behind as revoked.
        """
        with translated():
            async with self._pool.acquire(timeout=_ACQUIRE_TIMEOUT_S) as connection, connection.transaction():
                if await connection.execute(_DELETE, user_id, password_hash) != "DELETE 1":
                    return None
                return await revoke_all(connection, user_id)
