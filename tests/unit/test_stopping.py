"""A stop ends, whatever became of a cancellation."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from structlog.testing import capture_logs

from runtime.stopping import end_tasks, is_cancelled, run_to_end
from tests.support.game_server import REPOSITORY

if TYPE_CHECKING:
    from pathlib import Path

LIMIT_S = 20.0

_LEFT_BEHIND = """
import asyncio
from runtime.stopping import run_to_end

async def never_ends():
    while True:
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            continue

async def main():
    asyncio.create_task(never_ends())
    await asyncio.sleep(0)

run_to_end(main(), 0.1)
"""

_SIGNALLED_IN_EXEC = """
import signal, sys
from runtime.stopping import Interrupted

def interrupt(number, frame):
    raise Interrupted

signal.signal(signal.SIGTERM, interrupt)
try:
    exec("signal.raise_signal(signal.SIGTERM)")
except KeyboardInterrupt:
    sys.exit(130)
"""


async def loses_cancellations(times: int) -> None:
    """Go on after so many cancellations, as `asyncio.wait_for` of Python 3.11 makes its callers do."""
    while True:
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            times -= 1
            if times < 0:
                raise


async def test_a_task_that_lost_its_cancellation_is_cancelled_again() -> None:
    """However often it has to be."""
    task = asyncio.create_task(loses_cancellations(3))
    await asyncio.sleep(0)
    async with asyncio.timeout(LIMIT_S):
        await end_tasks([task])
    assert task.cancelled()


async def test_a_task_that_never_ends_is_named_and_left_alone() -> None:
    """The stop goes on after its limit."""
    task = asyncio.create_task(loses_cancellations(3), name="stubborn")
    await asyncio.sleep(0)
    with capture_logs() as lines:
        async with asyncio.timeout(LIMIT_S):
            await end_tasks([task], within_s=0)
    assert [(line["event"], line["tasks"]) for line in lines] == [("tasks_not_ended", ["stubborn"])]
    await end_tasks([task])


async def test_errors_of_ended_tasks_are_nobodys() -> None:
    """A task that dies of an error as it is stopped is an ended task."""

    async def dies() -> None:
        try:
            await asyncio.sleep(3600)
        finally:
            raise ValueError

    task = asyncio.create_task(dies())
    await asyncio.sleep(0)
    await end_tasks([task])
    assert task.done()


async def test_a_lost_cancellation_is_still_known() -> None:
    """A loop can see that it was to end; a time-out that passed is no cancellation."""
    seen: list[bool] = []
    timed_out = asyncio.Event()

    async def work() -> None:
        try:
            async with asyncio.timeout(0):
                await asyncio.sleep(3600)
        except TimeoutError:
            seen.append(is_cancelled())
            timed_out.set()
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            seen.append(is_cancelled())

    task = asyncio.create_task(work())
    await timed_out.wait()
    task.cancel()
    await task
    assert seen == [False, True]


def test_a_program_returns_what_its_main_returns() -> None:
    """As with `asyncio.run`, errors included."""

    async def main(number: int) -> int:
        return 7 // number

    assert run_to_end(main(1)) == 7
    with pytest.raises(ZeroDivisionError):
        run_to_end(main(0))


def test_an_interrupted_import_keeps_the_exit_code(tmp_path: Path) -> None:
    """Data classes are made by `exec`: a signal that comes there ends `python -m` with code 130 as well."""
    (tmp_path / "program.py").write_text(_SIGNALLED_IN_EXEC, encoding="utf-8")
    ended = subprocess.run(
        [sys.executable, "-m", "program"],
        cwd=tmp_path,
        env={"PYTHONPATH": str(REPOSITORY)},
        timeout=LIMIT_S,
        check=False,
    )
    assert ended.returncode == 130


def test_a_program_ends_though_a_task_does_not() -> None:
    """A task that takes no cancellation would keep `asyncio.run` for ever: the process ends with 1."""
    ended = subprocess.run(
        [sys.executable, "-c", _LEFT_BEHIND],
        cwd=REPOSITORY,
        timeout=LIMIT_S,
        capture_output=True,
        check=False,
    )
    assert ended.returncode == 1
    assert b"end_forced" in ended.stdout + ended.stderr
