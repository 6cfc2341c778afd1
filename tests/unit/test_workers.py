"""What a supervisor does about a worker that ended."""

from __future__ import annotations

import asyncio

import pytest

from runtime.settings import StartupError, read_settings
from server import workers

SETTINGS = read_settings(
    {
        "ACCESS_TOKEN_SECRET": "a" * 64,
        "REFRESH_TOKEN_SECRET": "b" * 64,
        "DB_CONNECTION": "postgresql://nobody@127.0.0.1:9/nothing",
        "REDIS_CONNECTION": "redis://127.0.0.1:9",
    },
    dotenv=None,
)


async def test_a_database_that_goes_between_two_workers_starts_ends_no_server() -> None:
    """What is wrong for all the first worker says; where another one could not start the first serves on."""
    supervisor = workers._Supervisor(SETTINGS, asyncio.Event())
    supervisor.stopping.set()  # no pause before the next start
    first, second = (workers._Worker(supervisor, index) for index in range(2))
    await second._judge(workers.STARTUP_ERROR_CODE, 1.0)
    with pytest.raises(StartupError):
        await first._judge(workers.STARTUP_ERROR_CODE, 1.0)
