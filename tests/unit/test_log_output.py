"""A log that cannot be written: nobody who logs notices, the lines are counted, and it goes on by itself."""

from __future__ import annotations

import io
import json
import logging
import os
import threading
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

import pytest
import structlog

from runtime.log_output import LOG_OUTPUT, LogOutput
from runtime.logs import configure_logs, tend_logs
from runtime.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Iterator

JSON = Settings(log_format="json")
FULL = Path("/dev/full")
"""A device whose disk is always full."""

WAIT_S = 20.0
on_linux = pytest.mark.skipif(not FULL.exists(), reason="only Linux has /dev/full")


@pytest.fixture(autouse=True)
def _restored_logs() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    configure_logs(JSON, io.StringIO())
    tend_logs()  # what other tests lost is said
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()


def log_everything() -> None:
    """Log in every way that the server has: ours, with a trace, and a library's."""
    log = structlog.get_logger()
    log.warning("lane_lost", lane="redis")
    try:
        int("failed")
    except ValueError:
        log.exception("reply_handler_failed")
    logging.getLogger("asyncio").error("socket.accept() out of system resource")


def test_a_reader_that_died_is_nobodys_error() -> None:
    """Where the reader of standard error has gone (EPIPE), lines are counted; none raises."""
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "w") as stream:
        configure_logs(JSON, stream)
        before = LOG_OUTPUT.lost

        log_everything()

    assert LOG_OUTPUT.lost - before == 3
    assert "Broken pipe" in LOG_OUTPUT.trouble


@on_linux
def test_a_full_disk_is_nobodys_error() -> None:
    """The same for a log whose disk is full (ENOSPC)."""
    with FULL.open("w") as stream:
        configure_logs(JSON, stream)
        before = LOG_OUTPUT.lost

        log_everything()

    assert LOG_OUTPUT.lost - before == 3
    assert "No space left" in LOG_OUTPUT.trouble


@pytest.mark.parametrize("stream", [None, io.StringIO()])
def test_a_log_that_was_closed_is_nobodys_error(stream: TextIO | None) -> None:
    """A process that was started without standard error, or whose stream was closed, plays on."""
    if stream is not None:
        stream.close()
    before = LOG_OUTPUT.lost
    LOG_OUTPUT.use(stream)

    LOG_OUTPUT.write("line\n")

    assert LOG_OUTPUT.lost - before == 1
    assert "closed" in LOG_OUTPUT.trouble


@on_linux
def test_what_was_lost_is_said_once_it_can_be(tmp_path: Path) -> None:
    """The first line that is written again is followed by how many were not."""
    with FULL.open("w") as full, (tmp_path / "log").open("w") as good:
        configure_logs(JSON, full)
        log_everything()
        LOG_OUTPUT.use(good)

        structlog.get_logger().info("lane_opened")

    lines = [json.loads(line) for line in (tmp_path / "log").read_text().splitlines()]
    assert [line["event"] for line in lines] == ["lane_opened", "log_lines_lost"]
    assert lines[1]["lines"] == 3
    assert LOG_OUTPUT.trouble == ""


@on_linux
def test_a_quiet_log_recovers_too(tmp_path: Path) -> None:
    """Where nothing else is logged the loss is said all the same; its own line never counts as lost."""
    with FULL.open("w") as full, (tmp_path / "log").open("w") as good:
        configure_logs(JSON, full)
        log_everything()
        before = LOG_OUTPUT.lost
        tend_logs()
        tend_logs()
        assert LOG_OUTPUT.lost == before
        assert LOG_OUTPUT.trouble != ""
        LOG_OUTPUT.use(good)

        tend_logs()
        tend_logs()

    [line] = [json.loads(each) for each in (tmp_path / "log").read_text().splitlines()]
    assert (line["event"], line["lines"]) == ("log_lines_lost", 3)
    assert LOG_OUTPUT.trouble == ""


def test_a_reader_that_stands_still_stops_nobody() -> None:
    """Lines that a full pipe does not take are counted, and the log goes on once it is read again."""
    reading, writing = os.pipe()
    with os.fdopen(writing, "w") as stream:
        output = LogOutput(stream)

        def fill() -> None:
            while not output.lost:
                output.write("x" * 1000 + "\n")

        filling = threading.Thread(target=fill, daemon=True)
        filling.start()
        filling.join(WAIT_S)
        assert not filling.is_alive(), "a line waits for its reader"
        os.read(reading, 1 << 20)
        lost = output.lost
        output.write("after\n")
        assert (output.lost, output.trouble) == (lost, "")
    os.close(reading)


def test_a_line_after_a_torn_one_begins_anew() -> None:
    """Half a line that fitted into the pipe is not glued to the next."""
    reading, writing = os.pipe()
    with os.fdopen(writing, "w") as stream:
        output = LogOutput(stream)
        output.write("x" * (1 << 20) + "\n")
        assert output.lost == 1
        os.read(reading, 1 << 20)
        output.write("after\n")
        assert os.read(reading, 100) == b"\nafter\n"
    os.close(reading)


class _NotShown:
    def __repr__(self) -> str:
        raise RuntimeError


@pytest.mark.parametrize("log_format", ["console", "json"])
def test_what_cannot_be_rendered_is_nobodys_error(log_format: str) -> None:
    """A value without a text gives a line that says so; so does a library's line with wrong arguments."""
    stream = io.StringIO()
    logging.getLogger().handlers.clear()  # pytest's own raises
    configure_logs(Settings(log_format=log_format), stream)

    structlog.get_logger().warning("lane_lost", reason=_NotShown())
    logging.getLogger("asyncio").warning("%d", "no number")

    lines = stream.getvalue().splitlines()
    assert json.loads(lines[0]) == {"event": "lane_lost", "level": "warning", "not_rendered": "RuntimeError"}
    assert "not formatted: TypeError" in lines[1]


def test_signs_without_an_encoding_are_written_escaped() -> None:
    """Half a surrogate pair, as an exception's text may hold, is no reason to lose a line."""
    reading, writing = os.pipe()
    with os.fdopen(writing, "w") as stream:
        output = LogOutput(stream)
        output.write("\ud800\n")
        assert os.read(reading, 100) == b"\\ud800\n"
    os.close(reading)
