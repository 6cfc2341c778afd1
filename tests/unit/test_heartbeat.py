"""A process without a port shows that it lives."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Final

import pytest

from persistence.heartbeat import SILENT_AFTER_S, beating, lives
from tests.support.saving_world import until

ROOT: Final = Path(__file__).parent.parent.parent
LIMIT_S: Final = 30


async def test_a_file_is_touched_while_the_loop_turns(tmp_path: Path) -> None:
    """An old file becomes young again by itself; at the end it is gone."""
    file = tmp_path / "heartbeat"

    async def young() -> bool:
        return lives(file)

    async with beating(file):
        assert lives(file)
        os.utime(file, (0, 0))
        assert not lives(file)
        async with asyncio.timeout(LIMIT_S):
            await until(young)
    assert not file.exists()


async def test_without_a_file_nothing_is_touched() -> None:
    """A flusher outside a container has no heartbeat."""
    async with beating(None):
        pass


@pytest.mark.parametrize(("age_s", "code"), [(0, 0), (SILENT_AFTER_S + 60, 1), (None, 1)])
def test_the_check_tells_a_silent_process(tmp_path: Path, age_s: float | None, code: int) -> None:
    """Exit code 0 for a file touched just now, 1 for one that is old or not there."""
    file = tmp_path / "heartbeat"
    if age_s is not None:
        file.touch()
        touched_s = time.time() - age_s
        os.utime(file, (touched_s, touched_s))
    done = subprocess.run(
        [sys.executable, "-m", "persistence.heartbeat", str(file)],
        cwd=ROOT,
        capture_output=True,
        timeout=LIMIT_S,
        check=False,
    )
    assert (done.returncode, done.stderr) == (code, b"")
