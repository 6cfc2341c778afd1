"""Helpers of a flush that cannot help."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from runtime.settings import Secret, Settings
from scripts.databases import open_databases
from scripts.flush_helpers import flush_together, helpers, shares
from tests.support.saving_world import SavingWorld, player, saving_world

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.support.servers import ValkeyServer


@pytest.fixture
async def world(own_valkey: ValkeyServer, postgres_dsn: str) -> AsyncIterator[SavingWorld]:
    """A Redis and a database of one test's own."""
    async with saving_world(own_valkey.url, postgres_dsn) as world:
        yield world


async def test_a_helper_without_a_database_says_why(world: SavingWorld, tmp_path: Path) -> None:
    """What it should have written is written without it, also where nobody else is at work any more."""
    users = await world.accounts(50)
    await world.put(player(user) for user in users)
    settings = Settings(db_connection=Secret(world.dsn), redis_connection=Secret(world.url))
    away = replace(settings, db_connection=Secret(f"postgresql://postgres@/postgres?host={tmp_path}"))
    written: list[int] = []
    with helpers(away, 1) as started:
        async with open_databases(settings) as databases:
            done = await flush_together(databases, started, shares(0, 2), written.append)
    assert (done.written, sum(written)) == (50, 50)
    [reason] = done.lost
    assert reason.startswith("DB_CONNECTION: PostgreSQL does not answer: ")
    assert await world.marks() == {}
