"""The commands for operators, as processes: flush, restore, audit, and a flusher alone."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import pytest

from persistence.durable.rows import row_of_session
from tests.support.commands import run_command
from tests.support.limits import LIMIT_S
from tests.support.saving_world import SavingWorld, player, saving_world, until

if TYPE_CHECKING:
    from asyncio.subprocess import Process
    from collections.abc import AsyncIterator

    from tests.support.servers import ValkeyServer

ROOT = Path(__file__).parents[2]


@pytest.fixture
async def world(own_valkey: ValkeyServer, postgres_dsn: str) -> AsyncIterator[SavingWorld]:
    """A Redis and a database of one test's own."""
    async with saving_world(own_valkey.url, postgres_dsn) as world:
        yield world


def environment_of(world: SavingWorld) -> dict[str, str]:
    """Return what a command of this world needs to know."""
    places = {"DB_CONNECTION": world.dsn, "REDIS_CONNECTION": world.url}
    return {"PATH": os.environ["PATH"], "FLUSH_INTERVAL_MS": "50", **places}


async def start(world: SavingWorld, module: str, *options: str) -> Process:
    """Start a command against the world."""
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        module,
        *options,
        cwd=ROOT,
        env=environment_of(world),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )


async def outcome(process: Process) -> tuple[int, str, str]:
    """Wait for a command; returns its exit code and what it printed."""
    async with asyncio.timeout(LIMIT_S):
        out, errors = await process.communicate()
    assert process.returncode is not None
    return process.returncode, out.decode(), errors.decode()


async def command(world: SavingWorld, *words: str) -> tuple[int, str, str]:
    """Run a command to its end; returns its exit code and what it printed."""
    done = await asyncio.to_thread(run_command, *words, environment=environment_of(world))
    return done.returncode, done.stdout, done.stderr


async def test_flush_writes_everything_and_says_how_many(world: SavingWorld) -> None:
    """Exit code 0; again there is nothing to write."""
    users = await world.accounts(120)
    await world.put(player(user) for user in users)
    code, out, _ = await command(world, "scripts.flush")
    assert (code, out.splitlines()[-1].partition(";")[0]) == (0, "wrote 120 sessions")
    assert await world.marks() == {}
    code, out, _ = await command(world, "scripts.flush")
    assert (code, out.splitlines()[-1].partition(";")[0]) == (0, "wrote 0 sessions")


async def test_flush_says_what_it_could_not_write(world: SavingWorld) -> None:
    """Exit code 1 and the reason; the others are written."""
    users = await world.accounts(3)
    await world.put(player(user) for user in users)
    await world.overwrite(users[0], money="nan")
    code, out, errors = await command(world, "scripts.flush")
    assert (code, out.splitlines()[-1].partition(";")[0]) == (1, "wrote 2 sessions")
    assert "1 could not be written" in errors


async def a_write_waits(world: SavingWorld) -> bool:
    """Tell whether PostgreSQL lets somebody wait for a table, in a write that takes at most ten seconds."""
    waiting = "SELECT count(*) > 0 FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
    return bool(await world.pool.fetchval(waiting))


async def test_flush_shares_the_work_with_helpers(world: SavingWorld) -> None:
    """Three processes write what one would, and say what none of them could."""
    users = await world.accounts(300)
    await world.put(player(user) for user in users)
    await world.overwrite(users[7], money="nan")
    code, out, errors = await command(world, "scripts.flush", "--processes", "3")
    assert (code, out.splitlines()[-1].partition(";")[0]) == (1, "wrote 299 sessions")
    assert "1 could not be written" in errors
    assert set(await world.marks()) == {users[7]}


async def test_an_interrupted_flush_leaves_no_helper(world: SavingWorld) -> None:
    """Exit code 130, though PostgreSQL does not answer; what is unsaved stays marked."""
    users = await world.accounts(300)
    await world.put(player(user) for user in users)
    async with world.pool.acquire() as connection, connection.transaction():
        await connection.execute("LOCK TABLE sessions")
        # Where the tests run in the background, they ignore the signal, and so would what they start.
        before = signal.signal(signal.SIGINT, signal.default_int_handler)
        process = await start(world, "scripts.flush", "--processes", "3")
        signal.signal(signal.SIGINT, before)
        await until(lambda: a_write_waits(world))
        helping = psutil.Process(process.pid).children(recursive=True)
        assert len(helping) >= 2
        process.send_signal(signal.SIGINT)
        code, _, errors = await outcome(process)
    assert (code, errors) == (130, "interrupted; what was done stays, start again for the rest\n")
    _, alive = await asyncio.to_thread(psutil.wait_procs, helping, LIMIT_S)
    assert alive == []
    assert len(await world.marks()) == 300


async def test_the_share_of_a_helper_that_dies_is_written_all_the_same(world: SavingWorld) -> None:
    """Exit code 0 and a line."""
    users = await world.accounts(300)
    await world.put(player(user) for user in users)
    async with world.pool.acquire() as connection, connection.transaction():
        await connection.execute("LOCK TABLE sessions")
        process = await start(world, "scripts.flush", "--processes", "2")
        await until(lambda: a_write_waits(world))
        for each in psutil.Process(process.pid).children(recursive=True):
            each.kill()
    code, out, errors = await outcome(process)
    assert (code, out.splitlines()[-1].partition(";")[0]) == (0, "wrote 300 sessions")
    assert errors == "a helper could not go on, so its share was written without it: it has ended\n"
    assert await world.marks() == {}
    for user in users:
        assert player(user) == await world.saved(user)


async def test_restore_loads_all_or_some(world: SavingWorld) -> None:
    """All, a single user, or those saved since; a moment that makes no sense is refused."""
    users = await world.accounts(30)
    await world.writer().write([row_of_session(player(user)) for user in users])
    code, out, _ = await command(world, "scripts.restore", "--user", str(users[3]))
    assert (code, out) == (0, "loaded 1 sessions; 0 in Redis were as new or newer\n")
    code, out, _ = await command(world, "scripts.restore", "--active-since", "1h")
    assert (code, out) == (0, "loaded 29 sessions; 1 in Redis were as new or newer\n")
    assert player(users[9]) == await world.live(users[9])
    code, _, errors = await command(world, "scripts.restore", "--active-since", "yesterday")
    assert code == 2
    assert "24h" in errors


async def test_audit_names_differences_and_repairs_them(world: SavingWorld) -> None:
    """Exit code 1 while anything differs, 0 once it was repaired and flushed."""
    [user] = await world.accounts(1)
    await world.put([player(user)], marked_ms=None, saved=1000)
    code, out, _ = await command(world, "scripts.audit")
    assert code == 1
    assert f"user {user}: clean, but not in PostgreSQL" in out
    assert (await command(world, "scripts.audit", "--repair"))[0] == 1
    assert (await command(world, "scripts.flush"))[0] == 0
    code, out, _ = await command(world, "scripts.audit", "--max-lag-s", "0")
    assert (code, out) == (0, "1 sessions in Redis, 0 of them dirty, 1 in PostgreSQL: 0 differences\n")


@pytest.mark.parametrize("module", ["scripts.flush", "scripts.restore", "scripts.audit"])
async def test_a_database_that_is_away_is_one_line(world: SavingWorld, module: str, tmp_path: Path) -> None:
    """Exit code 2, no trace, and the line says which."""
    world.dsn = f"postgresql://postgres@/postgres?host={tmp_path}"
    code, _, errors = await command(world, module)
    assert code == 2
    assert errors.startswith("DB_CONNECTION: PostgreSQL does not answer: ")
    assert errors.count("\n") == 1


async def test_a_flusher_alone_follows_the_game_and_drains_at_the_end(world: SavingWorld) -> None:
    """SIGTERM: what is dirty by then is saved, its leases are free, exit code 0."""
    users = await world.accounts(20)
    process = await start(world, "persistence.flusher")
    await world.put(player(user) for user in users[:10])

    async def saved(count: int) -> bool:
        return bool(await world.pool.fetchval("SELECT count(*) = $1 FROM sessions", count))

    await until(lambda: saved(10))
    await world.put(player(user) for user in users[10:])
    process.send_signal(signal.SIGTERM)
    code, _, _ = await outcome(process)
    assert code == 0
    assert await saved(20)
    assert await world.redis.keys("lease:*") == []
