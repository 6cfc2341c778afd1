"""The server as `python -m server` runs it, watched: how much CPU each pass of its event loop takes.

On SIGUSR1 it writes the passes since the last such signal to PASSES_FILE: seconds, as JSON, the longest last.
"""

from __future__ import annotations

import json
import os
import selectors
import signal
import sys
import time
from array import array
from pathlib import Path
from typing import Final

_PASSES: Final[array[float]] = array("d")


class _Watched(selectors.DefaultSelector):
    """Between two looks for events lies one pass. What it waits is no work."""

    _began_s = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """Note the pass that ended, and look for events."""
        _PASSES.append(time.thread_time() - self._began_s)
        found = super().select(timeout)
        self._began_s = time.thread_time()
        return found


def _tell(_number: int, _frame: object) -> None:
    """Write the passes whole: who reads sees the file at once or not at all."""
    path = Path(os.environ["PASSES_FILE"])
    written = path.with_suffix(".part")
    written.write_text(json.dumps(sorted(_PASSES)), encoding="ascii")
    written.rename(path)
    del _PASSES[:]


def main() -> int:
    """Serve."""
    selectors.DefaultSelector = _Watched  # type: ignore[misc]  # asyncio makes its selector by this name
    signal.signal(signal.SIGUSR1, _tell)
    from server.__main__ import main as serve  # noqa: PLC0415 - behind the change

    sys.argv = sys.argv[:1]
    return serve()


if __name__ == "__main__":
    sys.exit(main())
