"""Accounts and families of tokens in PostgreSQL: what belongs together happens as one, at whatever moment."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import asyncpg
import pytest

from game.session import UserId
from persistence.durable.account_table import Account, AccountTable
from persistence.durable.migrate import migrate
from persistence.durable.pool import open_pool
from persistence.durable.token_families import RevokedFamily, Rotation, RotationOutcome, TokenFamilies
from persistence.errors import DurableUnavailable
from tests.support.limits import LIMIT_S

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from persistence.durable.pool import Pool
    from tests.support.servers import PostgresServer

REFRESH_TTL_S = 604_800


@pytest.fixture
async def pool(postgres_dsn: str) -> AsyncIterator[Pool]:
    """Connections to a migrated database of the test's own."""
    await migrate(postgres_dsn)
    opened = await open_pool(postgres_dsn, max_size=5)
    try:
        yield opened
    finally:
        await opened.close()


@pytest.fixture
def accounts(pool: Pool) -> AccountTable:
    """The accounts under test."""
    return AccountTable(pool, REFRESH_TTL_S)


@pytest.fixture
def families(pool: Pool) -> TokenFamilies:
    """The families under test."""
    return TokenFamilies(pool, REFRESH_TTL_S)


async def registered(accounts: AccountTable, email: str = "a@b.c") -> UserId:
    """Register an account whose password's hash is "hash", with family "f1" and its token "t1"."""
    new = await accounts.register(email, "hash", f"f1{email}", f"t1{email}")
    assert new is not None
    return new.user_id


async def found_again(accounts: AccountTable) -> Account | None:
    """Look the account up until PostgreSQL answers."""
    async with asyncio.timeout(LIMIT_S):
        while True:
            try:
                return await accounts.find("a@b.c")
            except DurableUnavailable:
                await asyncio.sleep(0.05)


async def age(pool: Pool, seconds: int) -> None:
    """Let time pass for every token and family."""
    await pool.execute("UPDATE refresh_tokens SET used_at = used_at - make_interval(secs => $1)", seconds)
    await pool.execute(
        "UPDATE families SET revoked_at = revoked_at - make_interval(secs => $1), "
        "expires_at = expires_at - make_interval(secs => $1)",
        seconds,
    )


async def test_register_and_find(accounts: AccountTable) -> None:
    """A new account is found by its address and by its id."""
    new = await accounts.register("a@b.c", "hash", "f", "t")
    assert new is not None
    assert await accounts.find("a@b.c") == Account(new.user_id, "a@b.c", "hash")
    assert await accounts.get(new.user_id) == Account(new.user_id, "a@b.c", "hash")
    assert await accounts.find("b@b.c") is None
    assert await accounts.get(UserId(new.user_id + 1)) is None


async def test_one_address_one_account(accounts: AccountTable, pool: Pool) -> None:
    """Of many registrations of an address at once one succeeds; the others leave nothing behind."""
    made = await asyncio.gather(*(accounts.register("a@b.c", f"h{n}", f"f{n}", f"t{n}") for n in range(10)))
    assert len([new for new in made if new is not None]) == 1
    assert await pool.fetchval("SELECT count(*) FROM families") == 1
    assert await pool.fetchval("SELECT count(*) FROM refresh_tokens") == 1


async def test_upper_case_never_gets_in(pool: Pool) -> None:
    """The database itself refuses an address that could be there twice in two spellings."""
    with pytest.raises(asyncpg.CheckViolationError):
        await pool.execute("INSERT INTO accounts (email, password_hash) VALUES ('A@b.c', 'h')")


async def test_log_in_needs_the_password_that_was_checked(accounts: AccountTable) -> None:
    """A log-in whose password was changed while it was being checked begins nothing."""
    user = await registered(accounts)
    assert isinstance(await accounts.log_in(user, "hash", "f2", "t2"), int)
    assert await accounts.log_in(user, "another", "f3", "t3") is None


async def test_rehash(accounts: AccountTable) -> None:
    """A hash is replaced only while it is the one that was checked."""
    user = await registered(accounts)
    assert await accounts.rehash(user, "hash", "newer")
    assert not await accounts.rehash(user, "hash", "newest")
    account = await accounts.get(user)
    assert account is not None
    assert account.password_hash == "newer"


async def test_rotation_is_single_use(accounts: AccountTable, families: TokenFamilies, pool: Pool) -> None:
    """A token yields its successor, the same one for 30 s, and after that the family's end."""
    user = await registered(accounts, "a@b.c")
    first = await families.rotate(user, "f1a@b.c", "t1a@b.c", "t2")
    assert (first.outcome, first.jti) == (RotationOutcome.ISSUED, "t2")
    assert first == await families.rotate(user, "f1a@b.c", "t1a@b.c", "never")
    await age(pool, 29)
    assert first == await families.rotate(user, "f1a@b.c", "t1a@b.c", "never")
    await age(pool, 2)
    assert Rotation(RotationOutcome.STOLEN) == await families.rotate(user, "f1a@b.c", "t1a@b.c", "never")
    assert Rotation(RotationOutcome.INVALID) == await families.rotate(user, "f1a@b.c", "t2", "never")


async def test_grace_outlives_the_successor(accounts: AccountTable, families: TokenFamilies) -> None:
    """A slow tab gets the successor of its token although another tab has used that one already."""
    user = await registered(accounts)
    second = await families.rotate(user, "f1a@b.c", "t1a@b.c", "t2")
    await families.rotate(user, "f1a@b.c", "t2", "t3")
    assert second == await families.rotate(user, "f1a@b.c", "t1a@b.c", "never")


async def test_a_token_used_long_ago_is_theft(
    accounts: AccountTable, families: TokenFamilies, pool: Pool
) -> None:
    """Tokens forgotten since still tell theft, and what is kept of a family stays small."""
    user = await registered(accounts)
    await families.rotate(user, "f1a@b.c", "t1a@b.c", "t2")
    for number in range(2, 6):
        await age(pool, 31)
        assert (await families.rotate(user, "f1a@b.c", f"t{number}", f"t{number + 1}")).issued
    assert await pool.fetchval("SELECT count(*) FROM refresh_tokens") <= 3
    assert (await families.rotate(user, "f1a@b.c", "t1a@b.c", "never")).stolen
    assert [RevokedFamily(user, "f1a@b.c")] == await families.revoked_lately(900)


async def test_many_tabs_at_once(accounts: AccountTable, families: TokenFamilies) -> None:
    """Tabs that show one token at the same moment get one successor."""
    user = await registered(accounts)
    rotations = await asyncio.gather(
        *(families.rotate(user, "f1a@b.c", "t1a@b.c", f"next{number}") for number in range(20))
    )
    assert len(set(rotations)) == 1
    assert rotations[0].issued


async def test_rotation_of_what_is_not_there(accounts: AccountTable, families: TokenFamilies) -> None:
    """A family unknown or another user's is refused and nothing is revoked for it."""
    user = await registered(accounts)
    assert Rotation(RotationOutcome.INVALID) == await families.rotate(user, "unknown", "t1a@b.c", "n")
    assert Rotation(RotationOutcome.INVALID) == await families.rotate(
        UserId(user + 1), "f1a@b.c", "t1a@b.c", "n"
    )
    assert await families.revoked_lately(900) == []


async def test_revoke(accounts: AccountTable, families: TokenFamilies) -> None:
    """A family ends once; its tokens are refused from then on, the user's other families live."""
    user = await registered(accounts)
    await accounts.log_in(user, "hash", "f2", "t2")
    assert await families.revoke(user, "f1a@b.c")
    assert not await families.revoke(user, "f1a@b.c")
    assert not await families.revoke(UserId(user + 1), "f2")
    assert not (await families.rotate(user, "f1a@b.c", "t1a@b.c", "n")).issued
    assert (await families.rotate(user, "f2", "t2", "n")).issued


async def test_change_password(accounts: AccountTable, families: TokenFamilies) -> None:
    """A changed password ends every family, the one that asked too, and begins another, in one step."""
    user = await registered(accounts)
    await accounts.log_in(user, "hash", "f2", "t2")
    await accounts.log_in(user, "hash", "f3", "t3")
    assert (await families.rotate(user, "f2", "t2", "t22")).issued
    changed = await accounts.change_password(user, "hash", asking="f2", new_hash="new", family="f4", jti="t4")
    assert changed is not None
    assert {"f1a@b.c", "f2", "f3"} == set(changed.revoked)
    for family, jti in (("f3", "t3"), ("f2", "t2"), ("f2", "t22")):
        assert Rotation(RotationOutcome.INVALID) == await families.rotate(user, family, jti, "n")
    assert (await families.rotate(user, "f4", "t4", "t5")).issued
    again = await accounts.change_password(user, "hash", asking="f4", new_hash="x", family="f5", jti="t6")
    assert again is None


async def test_change_password_of_an_ended_family(accounts: AccountTable, families: TokenFamilies) -> None:
    """A user who was logged out meanwhile changes nothing."""
    user = await registered(accounts)
    await families.revoke(user, "f1a@b.c")
    late = await accounts.change_password(user, "hash", asking="f1a@b.c", new_hash="x", family="f2", jti="n")
    assert late is None
    account = await accounts.get(user)
    assert account is not None
    assert account.password_hash == "hash"


async def test_changes_at_once(accounts: AccountTable, families: TokenFamilies) -> None:
    """Of two changes of a password at once one counts, and a log-in with the old one does not survive it."""
    user = await registered(accounts)
    await accounts.log_in(user, "hash", "f2", "t2")
    results = await asyncio.gather(
        accounts.change_password(user, "hash", asking="f1a@b.c", new_hash="x", family="new1", jti="n1"),
        accounts.change_password(user, "hash", asking="f2", new_hash="y", family="new2", jti="n2"),
        accounts.log_in(user, "hash", "f3", "t3"),
    )
    winners = [
        family for family, result in zip(("new1", "new2"), results, strict=False) if result is not None
    ]
    assert len(winners) == 1
    revoked = {entry.family for entry in await families.revoked_lately(900)}
    assert results[2] is None or "f3" in revoked
    assert {"f1a@b.c", "f2"} <= revoked
    assert not revoked & {*winners}


async def test_delete(accounts: AccountTable, families: TokenFamilies, pool: Pool) -> None:
    """A deleted account is gone with its session; its families stay known as revoked until they expire."""
    user = await registered(accounts)
    other = await registered(accounts, "other@b.c")
    await pool.execute("INSERT INTO sessions (user_id, version, accrued_at) VALUES ($1, 1, 0)", user)
    assert await accounts.delete(user, "wrong") is None
    assert await accounts.delete(user, "hash") == ("f1a@b.c",)
    assert await accounts.delete(user, "hash") is None
    assert await accounts.find("a@b.c") is None
    assert await pool.fetchval("SELECT count(*) FROM sessions") == 0
    assert not (await families.rotate(user, "f1a@b.c", "t1a@b.c", "n")).issued
    assert [RevokedFamily(user, "f1a@b.c")] == await families.revoked_lately(900)
    assert (await families.rotate(other, "f1other@b.c", "t1other@b.c", "n")).issued
    again = await accounts.register("a@b.c", "hash", "f9", "t9")
    assert again is not None
    assert again.user_id > other


async def test_revoked_lately_and_prune(accounts: AccountTable, families: TokenFamilies, pool: Pool) -> None:
    """A family is forgotten when its last token has expired, its revocation after the time asked for."""
    user = await registered(accounts)
    await accounts.log_in(user, "hash", "f2", "t2")
    await families.revoke(user, "f1a@b.c")
    await age(pool, 901)
    assert await families.revoked_lately(900) == []
    assert await families.prune() == 0
    await age(pool, REFRESH_TTL_S)
    assert await families.prune(at_most=1) == 1
    assert await families.prune() == 1
    assert await pool.fetchval("SELECT count(*) FROM refresh_tokens") == 0


async def test_postgresql_away(own_postgres: PostgresServer) -> None:
    """Without PostgreSQL every method says so, and works again when it is back."""
    await migrate(own_postgres.dsn())
    pool = await open_pool(own_postgres.dsn())
    try:
        accounts, families = AccountTable(pool, REFRESH_TTL_S), TokenFamilies(pool, REFRESH_TTL_S)
        user = await registered(accounts)
        await asyncio.to_thread(own_postgres.kill)
        for attempt in (
            lambda: accounts.find("a@b.c"),
            lambda: accounts.register("x@b.c", "h", "f", "t"),
            lambda: accounts.log_in(user, "hash", "f", "t"),
            lambda: accounts.delete(user, "hash"),
            lambda: families.rotate(user, "f1a@b.c", "t1a@b.c", "t2"),
            lambda: families.revoke(user, "f1a@b.c"),
        ):
            with pytest.raises(DurableUnavailable):
                await attempt()
        await asyncio.to_thread(own_postgres.start)
        assert await found_again(accounts) == Account(user, "a@b.c", "hash")
    finally:
        pool.terminate()
