"""How a process without a port shows that it lives: it touches a file, and a check looks at its age.

`python -m persistence.heartbeat FILE` is that check; its exit code is 0 while the process lives, else 1.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

from runtime.stopping import end_tasks

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

BEAT_EVERY_S: Final = 1.0
SILENT_AFTER_S: Final = 15.0
"""Older than this, the process is taken for stuck. Many beats long, since a busy machine delays some."""


@contextlib.asynccontextmanager
async def beating(file: Path | None) -> AsyncIterator[None]:
    """Touch `file` once a second for as long as the event loop turns; None touches nothing.

    The file is gone at the end. Raises OSError where it cannot be made.
    """
    if file is None:
        yield
        return
    _touch(file)
    beats = asyncio.create_task(_beat(file), name="heartbeat")
    try:
        yield
    finally:
        await end_tasks([beats])
        with contextlib.suppress(OSError):
            _remove(file)


def lives(file: Path) -> bool:
    """Say whether `file` was touched within the last 15 s."""
    try:
        return time.time() - file.stat().st_mtime < SILENT_AFTER_S
    except FileNotFoundError:
        return False


async def _beat(file: Path) -> None:
    while True:
        await asyncio.sleep(BEAT_EVERY_S)
        with contextlib.suppress(OSError):  # the check sees the file's age; the next beat tries again
            _touch(file)


def _touch(file: Path) -> None:
    file.touch()


def _remove(file: Path) -> None:
    file.unlink(missing_ok=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        prog="python -m persistence.heartbeat",
        description="Look whether a process still touches its file. Exit code 0: it lives, 1: it does not.",
    )
    parser.add_argument("file", type=Path, metavar="FILE", help="what the process was started with")
    sys.exit(not lives(parser.parse_args().file))
