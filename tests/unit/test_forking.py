"""How a forked program ends."""

from __future__ import annotations

import subprocess
import sys

from tests.support.game_server import REPOSITORY
from tests.support.limits import LIMIT_S

_ENDS = """
import atexit, threading, time
from scripts.forking import end_process

atexit.register(print, "registered")
threading.Thread(target=lambda: (time.sleep(0.1), print("thread"))).start()
print("said")
end_process(7)
"""


def test_an_end_waits_for_threads_and_lets_out_what_was_written() -> None:
    """As the interpreter's own end does: threads first, then what is registered, then the exit code."""
    ended = subprocess.run(
        [sys.executable, "-c", _ENDS],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        check=False,
    )
    assert (ended.returncode, ended.stdout, ended.stderr) == (7, "said\nthread\nregistered\n", "")
