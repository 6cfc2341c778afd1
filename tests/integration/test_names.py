"""Names that players choose: one for each player, whatever their case and PostgreSQL's locale."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import pytest

from game.errors import NameTaken
from game.session import UserId
from persistence.durable.community import Community
from persistence.durable.migrate import MIGRATIONS, migrate
from persistence.durable.name_skeletons import fill_skeletons
from persistence.durable.pool import open_pool

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

LOCALES = {
    "C": "LOCALE_PROVIDER libc LOCALE 'C'",
    "builtin": "LOCALE_PROVIDER builtin BUILTIN_LOCALE 'C.UTF-8' LOCALE 'C'",
    "ICU": "LOCALE_PROVIDER icu ICU_LOCALE 'tr-TR' LOCALE 'C'",
}
SAME = [("Анна", "АННА"), ("Zoë", "ZOË"), ("Σίσυφος", "ΣΊΣΥΦΟΣ"), ("ILIAS", "ilias"), ("Ğül", "ğÜL")]


@pytest.fixture(params=sorted(LOCALES))
async def dsn(request: pytest.FixtureRequest, postgres_dsn: str) -> AsyncIterator[str]:
    """An empty database of each kind of locale that this PostgreSQL has."""
    name = f"names_{request.param.lower()}"
    connection = await asyncpg.connect(postgres_dsn)
    try:
        await connection.execute(f"DROP DATABASE IF EXISTS {name}")
        try:
            await connection.execute(
                f"CREATE DATABASE {name} TEMPLATE template0 ENCODING 'UTF8' {LOCALES[request.param]}"
            )
        except asyncpg.PostgresError as error:
            pytest.skip(f"no such locale here: {error}")
        parts = urlsplit(postgres_dsn)
        yield urlunsplit(parts._replace(path=f"/{name}"))
        await connection.execute(f"DROP DATABASE {name} WITH (FORCE)")
    finally:
        await connection.close()


async def account(pool: asyncpg.Pool, email: str) -> UserId:
    """Add an account."""
    return UserId(
        await pool.fetchval(
            "INSERT INTO accounts (email, password_hash) VALUES ($1, 'h') RETURNING id", email
        )
    )


@pytest.mark.parametrize(("name", "other"), SAME)
async def test_a_name_is_taken_in_any_case(dsn: str, name: str, other: str) -> None:
    """Letters of every script are compared without regard to case, under every locale."""
    await migrate(dsn)
    pool = await open_pool(dsn, max_size=1)
    try:
        anna, boris = await account(pool, "a@b.c"), await account(pool, "b@b.c")
        community = Community(pool)
        assert await community.set_name(anna, name) == f'{{"name":"{name}"}}'
        assert isinstance(await community.set_name(boris, other), NameTaken)
        assert isinstance(await community.set_name(anna, other), str)
    finally:
        await pool.close()


@pytest.mark.parametrize("dsn", ["C"], indirect=True)
async def test_names_taken_before_stay(dsn: str, tmp_path: Path) -> None:
    """Two that were one all along are kept, also when set again; nobody else gets either."""
    for path in sorted(MIGRATIONS.glob("000[1-5]_*.sql")):
        shutil.copy(path, tmp_path)
    await migrate(dsn, tmp_path)
    pool = await open_pool(dsn, max_size=1)
    try:
        users = [await account(pool, f"{number}@b.c") for number in range(3)]
        await pool.execute("UPDATE accounts SET display_name = 'Анна' WHERE id = $1", users[0])
        await pool.execute("UPDATE accounts SET display_name = 'АННА' WHERE id = $1", users[1])
        await migrate(dsn)
        community = Community(pool)
        assert await community.set_name(users[1], "АННА") == '{"name":"АННА"}'
        assert isinstance(await community.set_name(users[2], "анна"), NameTaken)
        assert isinstance(await community.set_name(users[1], "Борис"), str)
        names = await pool.fetch("SELECT display_name FROM accounts ORDER BY id")
        assert [row["display_name"] for row in names] == ["Анна", "Борис", None]
    finally:
        await pool.close()


@pytest.mark.parametrize("dsn", ["C"], indirect=True)
async def test_names_that_look_alike_stay(dsn: str, tmp_path: Path) -> None:
    """Those chosen before looks were compared are kept, the oldest with its look; nobody new gets it."""
    for path in sorted(MIGRATIONS.glob("000[1-6]_*.sql")):
        shutil.copy(path, tmp_path)
    await migrate(dsn, tmp_path)
    pool = await open_pool(dsn, max_size=1)
    try:
        users = [await account(pool, f"{number}@b.c") for number in range(5)]
        before = ["admin", "adm\u0456n", "\uff21\uff44\uff4d\uff49\uff4e", "\u3164\u3164\u3164"]
        for user, name in zip(users, before, strict=False):
            await pool.execute("UPDATE accounts SET display_name = $2 WHERE id = $1", user, name)
        await migrate(dsn)
        assert await fill_skeletons(pool) == 4
        assert await fill_skeletons(pool) == 0
        looks = await pool.fetch("SELECT skeleton_typed, skeleton_capitals FROM accounts ORDER BY id LIMIT 3")
        assert [tuple(row) for row in looks] == [("adrnin", "admln"), (None, None), (None, None)]
        community = Community(pool)
        assert await community.set_name(users[1], before[1]) == f'{{"name":"{before[1]}"}}'
        assert isinstance(await community.set_name(users[4], "Admin"), NameTaken)
        names = await pool.fetch("SELECT display_name FROM accounts ORDER BY id")
        assert [row["display_name"] for row in names] == [*before, None]
        assert isinstance(await community.set_name(users[0], "Boris"), str)
        assert isinstance(await community.set_name(users[4], "ADMIN"), str)
    finally:
        await pool.close()


@pytest.mark.parametrize("dsn", ["C"], indirect=True)
async def test_an_older_release_writes_names_as_well(dsn: str) -> None:
    """What it wrote lets go of the look before, and gets its own at the next start."""
    await migrate(dsn)
    pool = await open_pool(dsn, max_size=1)
    try:
        anna, boris = await account(pool, "a@b.c"), await account(pool, "b@b.c")
        community = Community(pool)
        assert isinstance(await community.set_name(anna, "Anna"), str)
        await pool.execute("UPDATE accounts SET display_name = 'Boris' WHERE id = $1", anna)
        assert isinstance(await community.set_name(boris, "\u0410nna"), str)
        assert await fill_skeletons(pool) == 1
        assert isinstance(await community.set_name(boris, "B\u043eris"), NameTaken)
    finally:
        await pool.close()
