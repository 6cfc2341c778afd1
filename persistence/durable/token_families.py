"""Families of tokens in PostgreSQL: what descends from one log-in, used once each, revoked as a whole.

Time is PostgreSQL's, so that processes whose clocks differ agree on what "within 30 s" means.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Final, TypeAlias

from game.session import UserId
from persistence.durable.translated import translated

if TYPE_CHECKING:
    import asyncpg
    from asyncpg.pool import PoolConnectionProxy

    from persistence.durable.pool import Pool

    Connection: TypeAlias = PoolConnectionProxy[asyncpg.Record]

GRACE_S: Final = 30
REVOKED_FOR_S: Final = 900
"""How long an access token lives: a revoked family is known for as long, or the token would be good again."""
_ACQUIRE_TIMEOUT_S: Final = 5.0

_LOCK_ACCOUNT: Final = "SELECT FROM accounts WHERE id = $1 FOR UPDATE"
_LOCK_FAMILY: Final = "SELECT revoked_at IS NULL FROM families WHERE id = $1 AND user_id = $2 FOR UPDATE"
_FIND_REFRESH: Final = """
SELECT successor, used_at IS NULL AS unused,
       used_at > clock_timestamp() - make_interval(secs => $3) AS in_grace
FROM refresh_tokens WHERE jti = $1 AND family = $2
"""
_USE_REFRESH: Final = """
UPDATE refresh_tokens SET used_at = clock_timestamp(), successor = $2 WHERE family = $1 AND used_at IS NULL
"""
_ADD_REFRESH: Final = """
INSERT INTO refresh_tokens (jti, family, issued_at) VALUES ($1, $2, date_trunc('second', clock_timestamp()))
RETURNING extract(epoch FROM issued_at)::bigint
"""
_FORGET_USED: Final = """
DELETE FROM refresh_tokens WHERE family = $1 AND used_at < clock_timestamp() - make_interval(secs => $2)
"""
_PROLONG: Final = (
    "UPDATE families SET expires_at = clock_timestamp() + make_interval(secs => $2) WHERE id = $1"
)
_ADD_FAMILY: Final = """
INSERT INTO families (id, user_id, expires_at) VALUES ($1, $2, clock_timestamp() + make_interval(secs => $3))
"""
_REVOKE: Final = """
UPDATE families SET revoked_at = clock_timestamp() WHERE id = $1 AND user_id = $2 AND revoked_at IS NULL
"""
_REVOKE_ALL: Final = """
UPDATE families SET revoked_at = clock_timestamp() WHERE user_id = $1 AND revoked_at IS NULL RETURNING id
"""
_ISSUED_AT: Final = "SELECT extract(epoch FROM issued_at)::bigint FROM refresh_tokens WHERE jti = $1"
_REVOKED_LATELY: Final = """
SELECT user_id, id FROM families
WHERE revoked_at > clock_timestamp() - make_interval(secs => $1) ORDER BY revoked_at
"""
_FORGET_REFRESH: Final = """
DELETE FROM refresh_tokens WHERE family IN (SELECT id FROM families WHERE user_id = $1)
"""
_SHORTEN: Final = """
UPDATE families SET expires_at = clock_timestamp() + make_interval(secs => $2) WHERE user_id = $1
"""
_PRUNE: Final = """
DELETE FROM families WHERE id IN (SELECT id FROM families WHERE expires_at < clock_timestamp() LIMIT $1)
"""


class RotationOutcome(Enum):
    """What became of a refresh token that was shown."""

    ISSUED = "issued"
    INVALID = "invalid"
    STOLEN = "stolen"


@dataclass(frozen=True, slots=True)
class Rotation:
    """The answer to a refresh token: its successor where one is issued (`issued_at_s` is its `iat`)."""

    outcome: RotationOutcome
    jti: str = ""
    issued_at_s: int = 0

    @property
    def issued(self) -> bool:
        """Whether there is a successor."""
        return self.outcome is RotationOutcome.ISSUED

    @property
    def stolen(self) -> bool:
        """Whether the token was used before, so that its family is revoked now."""
        return self.outcome is RotationOutcome.STOLEN


@dataclass(frozen=True, slots=True)
class BegunAnew:
    """The `iat` of the first pair of a family, and the families that ended in its favour."""

    issued_at_s: int
    revoked: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class RevokedFamily:
    """A family whose access tokens must not be accepted."""

    user_id: UserId
    family: str


class TokenFamilies:
    """The families of all accounts. Every method raises DurableUnavailable when PostgreSQL is away.

    `refresh_ttl_s` is how long a refresh token lives: a family is kept that long after its newest.
    """

    def __init__(self, pool: Pool, refresh_ttl_s: int) -> None:
        self._pool = pool
        self._refresh_ttl_s = refresh_ttl_s

    async def rotate(self, user_id: UserId, family: str, jti: str, next_jti: str) -> Rotation:
        """Use a refresh token, atomically: `next_jti` becomes its successor.

        A token used within the last 30 s yields the successor that it yielded then. One used earlier (its row
        may be gone) means theft: the family is revoked. A family unknown or revoked is INVALID.
        """
        with translated():
            async with self._pool.acquire(timeout=_ACQUIRE_TIMEOUT_S) as connection, connection.transaction():
                live = await connection.fetchval(_LOCK_FAMILY, family, user_id)
                if not live:
                    return Rotation(RotationOutcome.INVALID)
                token = await connection.fetchrow(_FIND_REFRESH, jti, family, GRACE_S)
                if token is not None and token["unused"]:
                    return await _renew(connection, family, next_jti, self._refresh_ttl_s)
                if token is not None and token["in_grace"]:
                    successor: str = token["successor"]
                    return Rotation(
                        RotationOutcome.ISSUED, successor, await connection.fetchval(_ISSUED_AT, successor)
                    )
                await connection.execute(_REVOKE, family, user_id)
                return Rotation(RotationOutcome.STOLEN)

    async def revoke(self, user_id: UserId, family: str) -> bool:
        """Revoke a family for good; False when it is unknown or was revoked before."""
        with translated():
            status: str = await self._pool.execute(_REVOKE, family, user_id)
            return status == "UPDATE 1"

    async def revoke_all_of(self, user_id: UserId, family: str) -> tuple[str, ...] | None:
        """Revoke all of a user's families for good, and return them; None when `family` is none of the live.

        Waits for a log-in that is under way: it ends as well, or begins afterwards.
        """
        with translated():
            async with self._pool.acquire(timeout=_ACQUIRE_TIMEOUT_S) as connection, connection.transaction():
                await connection.execute(_LOCK_ACCOUNT, user_id)
                if not await hold_family(connection, user_id, family):
                    return None
                return await revoke_all(connection, user_id)

    async def revoked_lately(self, within_s: int) -> list[RevokedFamily]:
        """Return the families revoked in the last `within_s`, deleted accounts' too, the oldest first."""
        with translated():
            rows = await self._pool.fetch(_REVOKED_LATELY, within_s)
        return [RevokedFamily(UserId(row["user_id"]), row["id"]) for row in rows]

    async def prune(self, at_most: int = 10_000) -> int:
        """Delete families whose last refresh token has expired; returns how many, at most `at_most`."""
        with translated():
            status: str = await self._pool.execute(_PRUNE, at_most)
            return int(status.removeprefix("DELETE "))


async def add_family(
    connection: Connection, user_id: UserId, family: str, jti: str, refresh_ttl_s: int
) -> int:
    """Begin a family with its first refresh token, within the caller's transaction; returns its `iat`."""
    await connection.execute(_ADD_FAMILY, family, user_id, refresh_ttl_s)
    issued_at_s: int = await connection.fetchval(_ADD_REFRESH, jti, family)
    return issued_at_s


async def begin_anew(
    connection: Connection, user_id: UserId, family: str, jti: str, refresh_ttl_s: int
) -> BegunAnew:
    """Revoke all of a user's families and begin another, within the caller's transaction.

    No token from before is good afterwards, and none has a grace: use it wherever a password is set. The
    caller has locked the account's row, so that no log-in comes between.
    """
    revoked = await revoke_all(connection, user_id)
    return BegunAnew(await add_family(connection, user_id, family, jti, refresh_ttl_s), revoked)


async def _renew(connection: Connection, family: str, next_jti: str, refresh_ttl_s: int) -> Rotation:
    """Let `next_jti` follow whatever token of the family is in use, within the caller's transaction.

    The caller holds the family's row. Tokens whose grace is over are forgotten: none is needed to tell theft.
    """
    await connection.execute(_USE_REFRESH, family, next_jti)
    await connection.execute(_FORGET_USED, family, GRACE_S)
    await connection.execute(_PROLONG, family, refresh_ttl_s)
    return Rotation(
        RotationOutcome.ISSUED, next_jti, await connection.fetchval(_ADD_REFRESH, next_jti, family)
    )


async def hold_family(connection: Connection, user_id: UserId, family: str) -> bool:
    """Lock a family's row within the caller's transaction; False when it is unknown or revoked."""
    return bool(await connection.fetchval(_LOCK_FAMILY, family, user_id))


async def revoke_all(connection: Connection, user_id: UserId) -> tuple[str, ...]:
    """Revoke all of a user's families, within the caller's transaction; returns those that were live."""
    rows = await connection.fetch(_REVOKE_ALL, user_id)
    return tuple(row["id"] for row in rows)


async def end_for_good(connection: Connection, user_id: UserId) -> tuple[str, ...]:
    """Revoke all of a deleted user's families, within the caller's transaction; returns those that were live.

    Their ids stay for as long as an access token lives, the refresh tokens go at once.
    """
    live = await revoke_all(connection, user_id)
    await connection.execute(_FORGET_REFRESH, user_id)
    await connection.execute(_SHORTEN, user_id, REVOKED_FOR_S)
    return live
