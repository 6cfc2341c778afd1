"""A flusher that dies or stalls at any step loses nothing and is replaced."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from persistence.heartbeat import lives
from tests.support.faulty_flusher import STEPS
from tests.support.limits import LIMIT_S
from tests.support.saving_world import SavingWorld, changed, player, saving_world, until

if TYPE_CHECKING:
    from asyncio.subprocess import Process
    from collections.abc import AsyncIterator, Sequence

    from game.session import Session, UserId
    from tests.support.servers import ValkeyServer

ROOT = Path(__file__).parents[2]


@pytest.fixture
async def world(own_valkey: ValkeyServer, postgres_dsn: str) -> AsyncIterator[SavingWorld]:
    """A Redis and a database of one test's own."""
    async with saving_world(own_valkey.url, postgres_dsn) as world:
        yield world


async def start(world: SavingWorld, module: str, *arguments: str) -> Process:
    """Start a flusher as a process."""
    environment = {"PATH": os.environ["PATH"], "DB_CONNECTION": world.dsn, "REDIS_CONNECTION": world.url}
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        module,
        *arguments,
        cwd=ROOT,
        env=environment | {"FLUSH_INTERVAL_MS": "10", "LOG_LEVEL": "error"},
    )


async def faulty(world: SavingWorld, step: str, number: signal.Signals) -> Process:
    """Start a flusher that sends itself a signal at a step."""
    return await start(world, "tests.support.faulty_flusher", world.url, world.dsn, step, number.name)


async def ended(process: Process) -> int:
    """Wait for a process to end; returns its exit code, negative for a signal."""
    async with asyncio.timeout(LIMIT_S):
        return await process.wait()


async def stopped(process: Process) -> None:
    """Wait until a process stands still."""

    async def still() -> bool:
        return (Path("/proc") / str(process.pid) / "stat").read_text().rpartition(")")[2].split()[0] == "T"

    await until(still)


async def assert_saved(world: SavingWorld, sessions: Sequence[Session]) -> None:
    """Redis and PostgreSQL both hold exactly these, and nothing is marked."""
    assert await world.marks() == {}
    for session in sessions:
        assert session == await world.live(session.user_id)
        assert session == await world.saved(session.user_id)


async def players(world: SavingWorld, count: int) -> list[UserId]:
    """Make players with unsaved sessions of version 1000."""
    users = await world.accounts(count)
    await world.put(player(user) for user in users)
    return users


@pytest.mark.parametrize("step", STEPS)
async def test_a_flusher_killed_at_a_step_loses_nothing(world: SavingWorld, step: str) -> None:
    """Whatever it left half done, the next flush completes."""
    users = await players(world, 100)
    assert await ended(await faulty(world, step, signal.SIGKILL)) == -signal.SIGKILL
    await world.flusher().flush_once()
    await assert_saved(world, [player(user) for user in users])


@pytest.mark.parametrize("step", STEPS)
async def test_a_flusher_that_wakes_up_late_does_no_harm(world: SavingWorld, step: str) -> None:
    """It stood still while the players went on and another flusher saved that: nothing goes back."""
    users = await players(world, 60)
    stale = await faulty(world, step, signal.SIGSTOP)
    await stopped(stale)
    saved_since = [changed(player(user), 2000, 5) for user in users[:40]]
    await world.put(saved_since)
    await world.flusher().flush_once()
    unsaved = [changed(player(user), 3000, 9) for user in users[:20]]
    await world.put(unsaved, marked_ms=7777)
    stale.send_signal(signal.SIGCONT)
    assert await ended(stale) == 0
    for session in unsaved:
        assert session == await world.live(session.user_id)
        saved = await world.saved(session.user_id)
        assert saved is not None
        assert saved.version in {2000, 3000}
    await world.flusher().flush_once()
    await assert_saved(world, [*unsaved, *saved_since[20:], *(player(user) for user in users[40:])])


async def test_a_flusher_killed_inside_its_transaction_leaves_nothing_of_it(world: SavingWorld) -> None:
    """PostgreSQL rolls back what was not committed; the marks stand."""
    users = await players(world, 20)
    async with world.pool.acquire() as blocking, blocking.transaction():
        await blocking.execute("LOCK TABLE sessions IN EXCLUSIVE MODE")
        process = await faulty(world, "", signal.SIGKILL)
        await until(lambda: world.pool.fetchval("SELECT count(*) FROM pg_locks WHERE NOT granted"))
        process.kill()
        await ended(process)
    unblocked = "SELECT count(*) = 0 FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
    await until(lambda: world.pool.fetchval(unblocked))
    assert set(await world.marks()) == set(users)
    await world.flusher().flush_once()
    await assert_saved(world, [player(user) for user in users])


async def test_a_flusher_shows_that_it_lives(world: SavingWorld, tmp_path: Path) -> None:
    """It touches the file that it is given while it runs, and removes it at the end."""
    heartbeat = tmp_path / "heartbeat"

    async def beats() -> bool:
        return lives(heartbeat)

    process = await start(world, "persistence.flusher", "--heartbeat", str(heartbeat))
    try:
        await until(beats)
        process.terminate()
        assert await ended(process) == 0
    finally:
        if process.returncode is None:
            process.kill()
    assert not heartbeat.exists()


async def test_of_two_flushers_the_living_takes_over(world: SavingWorld) -> None:
    """They share the buckets while players change all the time; one is killed; all is saved."""
    users = await players(world, 200)
    processes = [await start(world, "persistence.flusher") for _ in range(2)]
    try:
        await until(lambda: world.pool.fetchval("SELECT count(*) = 200 FROM sessions"))
        for version in range(2000, 2030):
            await world.put(changed(player(user), version, version) for user in users)
            if version == 2010:
                processes[0].kill()
        final = [changed(player(user), 2029, 2029) for user in users]

        async def settled() -> bool:
            return await world.marks() == {}

        await until(settled)
        await assert_saved(world, final)
    finally:
        processes[1].terminate()
        codes = [await ended(process) for process in processes]
    assert codes == [-signal.SIGKILL, 0]
