"""The wait for a database at the start: said once for each reason, ended by what waiting does not help."""

from __future__ import annotations

from contextlib import AsyncExitStack

import pytest
from structlog.testing import capture_logs

from persistence.errors import DurableUnavailable, LiveUnavailable
from persistence.live.reasons import LiveRefused
from runtime.settings import StartupError, read_settings
from server import app
from server.app import databases, storage
from server.app.tracing import open_tracing

_SETTINGS = read_settings(
    {
        "ACCESS_TOKEN_SECRET": "a" * 64,
        "REFRESH_TOKEN_SECRET": "b" * 64,
        "DB_CONNECTION": "postgresql://nobody@127.0.0.1:9/nothing",
        "REDIS_CONNECTION": "redis://127.0.0.1:9",
    },
    dotenv=None,
)


@pytest.fixture(autouse=True)
def _no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(databases, "_LOOK_AGAIN_S", 0)


async def test_a_wait_is_said_once_for_each_reason() -> None:
    """A line for each look would bury the one that counts; another reason is news."""
    reasons = iter(["refused", "refused", "refused", "loading", "loading", "refused"])

    async def attempt() -> str:
        if (reason := next(reasons, "")) != "":
            raise LiveUnavailable(reason)
        return "reached"

    with capture_logs() as lines:
        assert await databases.within("Redis", attempt) == "reached"

    assert [line["error"] for line in lines] == ["refused", "loading", "refused"]
    assert {"database_unavailable"} == {line["event"] for line in lines}


async def test_what_waiting_does_not_help_is_refused_at_once() -> None:
    """The line that the process ends with is the only one."""

    async def attempt() -> None:
        raise LiveRefused("its password is wrong: correct it")

    with capture_logs() as lines, pytest.raises(StartupError) as refused:
        await databases.within("Redis", attempt)

    assert str(refused.value) == "REDIS_CONNECTION: its password is wrong: correct it"
    assert lines == []


async def test_postgresql_may_be_lost_between_two_steps_of_a_start(monkeypatch: pytest.MonkeyPatch) -> None:
    """The catalogue is read again, where it was migrated and seeded a moment ago and then was away."""
    looks = 0

    async def opened(_dsn: str) -> None:
        """Reach it."""

    async def read(*_arguments: object) -> None:
        nonlocal looks
        looks += 1
        if looks == 1:
            raise DurableUnavailable("connection lost")

    async def closed(_pool: object) -> None:
        """Let it be."""

    async def refused(*_arguments: object, **_more: object) -> None:
        raise LiveRefused("the start ends here")

    monkeypatch.setattr(storage, "open_database", opened)
    monkeypatch.setattr(storage, "open_catalogues", read)
    monkeypatch.setattr(storage, "close_database", closed)
    monkeypatch.setattr(storage, "reach_redis", refused)
    async with AsyncExitStack() as stack:
        with pytest.raises(StartupError, match="the start ends here"):
            await storage.build_storage(_SETTINGS, open_tracing(_SETTINGS, stack), stack)

    assert looks == 2


async def test_a_database_lost_in_a_start_ends_it_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whichever step it is: what a process ends with is the reason, and no traceback."""

    async def lost(*_arguments: object) -> None:
        raise DurableUnavailable("connection lost")

    monkeypatch.setattr(app, "_build", lost)
    with pytest.raises(StartupError, match="connection lost"):
        await app.serve(_SETTINGS)
