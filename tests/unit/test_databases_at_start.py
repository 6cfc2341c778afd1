"""The wait for a database at the start: said once for each reason, ended by what waiting does not help."""

from __future__ import annotations

import pytest
from structlog.testing import capture_logs

from persistence.errors import LiveUnavailable
from persistence.live.reasons import LiveRefused
from runtime.settings import StartupError
from server.app import databases


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
