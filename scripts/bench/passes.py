"""The server, whose event loop notes what its long passes took: everybody waits for the one that runs.

    PASSES=FILE python -m scripts.bench.passes

They are counted in CPU of the loop's thread: by the clock a pass also takes as long as the machine does
other work meanwhile, or nobody asks. At its end the server writes a line for each pass of a millisecond and
more, and for each such look of the garbage collector.
"""

from __future__ import annotations

import asyncio
import gc
import json
import os
import sys
import time
from asyncio import base_events
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from server.__main__ import main

if TYPE_CHECKING:
    from collections.abc import Mapping

FILE: Final = "PASSES"
TURN: Final = "turn"
COLLECTION: Final = "collection"
LEAST_S: Final = 0.001


class Pass(NamedTuple):
    """A TURN of the loop or a COLLECTION: when it ended, by the system's monotonic clock, and its CPU."""

    kind: str
    ended_s: float
    cpu_s: float


def read(path: Path) -> list[Pass]:
    """Read what a server wrote at its end."""
    return [Pass(*json.loads(line)) for line in path.read_text().splitlines()]


class _Watch:
    """Measures stretches of one thread."""

    def __init__(self, kind: str, found: list[Pass]) -> None:
        self._kind = kind
        self._found = found
        self._began_s = 0.0

    def start(self) -> None:
        """Begin a stretch."""
        self._began_s = time.thread_time()

    def stop(self) -> None:
        """End it, and keep it where it was long."""
        cpu_s = time.thread_time() - self._began_s
        if cpu_s >= LEAST_S:
            self._found.append(Pass(self._kind, time.monotonic(), cpu_s))


def _watched() -> list[Pass]:
    """Have every pass of every loop of this process measured from now on."""
    found: list[Pass] = []
    loop, collector = _Watch(TURN, found), _Watch(COLLECTION, found)
    base: Any = base_events.BaseEventLoop
    run_once = base._run_once  # noqa: SLF001 - nothing else knows where a pass begins

    def measured(self: asyncio.AbstractEventLoop) -> None:
        loop.start()
        run_once(self)
        loop.stop()

    def looked(phase: str, _info: Mapping[str, Any]) -> None:
        (collector.start if phase == "start" else collector.stop)()

    base._run_once = measured  # noqa: SLF001 - as above
    gc.callbacks.append(looked)
    return found


if __name__ == "__main__":
    passes = _watched()
    code = main()
    Path(os.environ[FILE]).write_text("".join(json.dumps(each) + "\n" for each in passes))
    sys.exit(code)
