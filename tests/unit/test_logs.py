"""What the log lines look like and what they never show."""

from __future__ import annotations

import ast
import io
import json
import logging
import re
from typing import TYPE_CHECKING

import pytest
import structlog

from runtime.log_limits import EVERY_LINE, LogLimiter
from runtime.logs import ROUTINE_EVENTS, configure_logs
from runtime.settings import Settings
from tests.support.game_server import REPOSITORY

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(autouse=True)
def _restored_logs() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()


def test_json_lines_hold_the_event_and_its_keys() -> None:
    """A line is one JSON object with the event, its level, its moment and what the caller gave."""
    stream = io.StringIO()
    configure_logs(Settings(log_format="json", worker_index=3), stream)

    structlog.get_logger().info("session loaded", user=7, ms=12)

    line = json.loads(stream.getvalue())
    assert line.pop("timestamp").endswith("Z")
    assert line == {"event": "session loaded", "level": "info", "user": 7, "ms": 12, "worker": 3}


@pytest.mark.parametrize("log_format", ["console", "json"])
def test_no_line_shows_a_secret(log_format: str) -> None:
    """A secret is covered where a caller passes it and not shown among a trace's locals."""
    stream = io.StringIO()
    configure_logs(Settings(log_format=log_format), stream)

    password = "pep" + "per"
    try:
        int("failed")
    except ValueError:
        structlog.get_logger().exception("log-in failed", password=password, email=password, token=password)

    assert "log-in failed" in stream.getvalue()
    assert "ValueError: invalid literal" in stream.getvalue()
    assert password not in stream.getvalue()


def test_lines_below_the_level_are_left_out() -> None:
    """LOG_LEVEL decides which events are written."""
    stream = io.StringIO()
    configure_logs(Settings(log_level="warning"), stream)

    structlog.get_logger().info("quiet")
    structlog.get_logger().warning("loud")

    assert "quiet" not in stream.getvalue()
    assert "loud" in stream.getvalue()


def test_a_crowd_writes_few_lines() -> None:
    """In each while some lines pass; the next that does says how many did not."""
    limiter = LogLimiter(most=2, window_s=5)

    assert [limiter.left_out(5.0 + n) for n in range(5)] == [0, 0, None, None, None]
    assert [limiter.left_out(12.5) for _ in range(3)] == [3, 0, None]
    assert limiter.left_out(20.0) == 1


def _events() -> Iterator[tuple[str, str]]:
    """Find the level and the event of each line that the server can write."""
    for folder in ("server", "persistence", "seeds", "runtime"):
        for path in sorted((REPOSITORY / folder).rglob("*.py")):
            for node in ast.walk(ast.parse(path.read_text())):
                match node:
                    case ast.Call(
                        func=ast.Attribute(value=ast.Name(id="_log"), attr=level),
                        args=[ast.Constant(value=str(event))],
                    ):
                        yield level, event


def test_events_have_one_style() -> None:
    """An event is named in snake_case and in the past tense; a state ends with the word for the state."""
    irregular = {"began", "found", "left", "lost", "read"}
    states = {"durable", "ready", "suspicious", "unavailable", "unknown"}

    for _, event in _events():
        words = event.split("_")
        assert all(word.isalpha() and word.islower() for word in words), event
        assert any(word.endswith("ed") or word in irregular for word in words) or words[-1] in states, event


def test_what_is_never_left_out_is_logged() -> None:
    """Each event whose every line is written exists."""
    assert {event for _, event in _events()} >= EVERY_LINE


def test_a_pool_whose_database_is_away_is_no_news() -> None:
    """The traces of asyncpg at every attempt are left out; what it calls an error is not."""
    stream = io.StringIO()
    configure_logs(Settings(log_format="json"), stream)

    logging.getLogger("asyncpg.pool").warning("Failed to restore")
    logging.getLogger("asyncpg.pool").error("lost")

    assert [json.loads(line)["text"] for line in stream.getvalue().splitlines()] == ["lost"]


def test_libraries_are_heard_from_warning_on() -> None:
    """What a library reports comes out in the same form, once however often the logs are set up."""
    stream = io.StringIO()
    configure_logs(Settings(log_format="json"), stream)
    configure_logs(Settings(log_format="json"), stream)

    logging.getLogger("asyncio").info("ignored")
    logging.getLogger("asyncio").warning("slow %s", "callback")

    [line] = [json.loads(each) for each in stream.getvalue().splitlines()]
    assert (line["event"], line["library"], line["text"]) == ("library_reported", "asyncio", "slow callback")


@pytest.mark.parametrize(
    ("settings", "shown"),
    [
        (Settings(), ["lane_opened again=True", "server_ready"]),
        (Settings(worker_index=1), ["lane_opened again=True"]),
        (Settings(log_level="debug"), ["lane_opened", "lane_opened again=True", "server_ready"]),
        (Settings(log_format="json"), ["lane_opened", "lane_opened again=True", "server_ready"]),
    ],
)
def test_a_person_is_spared_routine(settings: Settings, shown: list[str]) -> None:
    """The console leaves out what goes as it should, unless LOG_LEVEL=debug; machines get every line."""
    stream = io.StringIO()
    configure_logs(settings, stream)
    log = structlog.get_logger()

    log.info("lane_opened")
    log.info("lane_opened", again=True)
    log.info("server_ready")

    lines = stream.getvalue().splitlines()
    assert len(lines) == len(shown)
    for line, text in zip(lines, shown, strict=True):
        assert text.partition(" ")[0] in line
        assert ("again" in line) == ("again" in text)


def test_routine_is_what_the_code_logs() -> None:
    """Each event that the console leaves out exists, and none of them is a warning."""
    folders = ("persistence", "runtime", "seeds", "server")
    code = "".join(path.read_text() for name in folders for path in (REPOSITORY / name).rglob("*.py"))
    for event in ROUTINE_EVENTS:
        assert set(re.findall(rf'_log\.(\w+)\(\s*"{event}"', code)) == {"info"}, event
