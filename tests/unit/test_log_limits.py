"""Errors that come a hundred times a second: a few lines and a count."""

from __future__ import annotations

import io
import json
import logging
from typing import TYPE_CHECKING, Any

import pytest
import structlog

from runtime import log_limits
from runtime.logs import configure_logs, tend_logs
from runtime.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Iterator


class Clock:
    """Time in place of the module's."""

    def __init__(self) -> None:
        self.now_s = 1000.0

    def monotonic(self) -> float:
        """Return the moment that the test chose."""
        return self.now_s


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """Decides when lines are written."""
    clock = Clock()
    monkeypatch.setattr(log_limits, "time", clock)
    return clock


@pytest.fixture
def stream() -> Iterator[io.StringIO]:
    """Where the log goes."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    stream = io.StringIO()
    configure_logs(Settings(log_format="json"), stream)
    yield stream
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()


def lines_of(stream: io.StringIO) -> list[dict[str, Any]]:
    """Read what was written."""
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def fail_often(times: int) -> None:
    """Log the same error with its trace."""
    for _ in range(times):
        try:
            int("failed")
        except ValueError:
            structlog.get_logger().exception("request_failed")


def test_a_hundred_traces_of_one_kind_are_one(clock: Clock, stream: io.StringIO) -> None:
    """The first has its trace; the first of the next ten seconds says how many were left out."""
    fail_often(100)
    [line] = lines_of(stream)
    assert "ValueError" in line["exception"]

    clock.now_s += 10
    fail_often(1)
    assert lines_of(stream)[1]["left_out"] == 99


def test_errors_at_other_places_are_of_another_kind(clock: Clock, stream: io.StringIO) -> None:
    """A second fault is not hidden by the storm of the first."""
    assert clock.now_s
    fail_often(100)
    try:
        float("another")
    except ValueError:
        structlog.get_logger().exception("request_failed")
    assert len(lines_of(stream)) == 2


def test_a_hundred_lines_of_a_library_are_ten_and_a_count(clock: Clock, stream: io.StringIO) -> None:
    """What follows them says the count; where nothing follows, a line of its own does, once."""
    for number in range(100):
        logging.getLogger("asyncio").warning("cannot\nsocket: %d", number)
    assert len(lines_of(stream)) == 10

    tend_logs()
    assert len(lines_of(stream)) == 10
    clock.now_s += 10
    tend_logs()
    tend_logs()
    [told] = lines_of(stream)[10:]
    assert (told["event"], told["of"], told["lines"]) == ("lines_left_out", "library_reported", 90)


def test_lines_that_name_players_are_all_written(clock: Clock, stream: io.StringIO) -> None:
    """Whom PostgreSQL had newer, an operator must be able to read for each player; and what is no warning."""
    assert clock.now_s
    for user_id in range(100):
        structlog.get_logger().warning("session_replaced_by_newer", user=user_id)
        structlog.get_logger().info("connection_ended", user=user_id)
    assert len(lines_of(stream)) == 200
