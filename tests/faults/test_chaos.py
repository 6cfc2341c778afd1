"""The short form of the chaos run; `make chaos` is the long one."""

from __future__ import annotations

import subprocess
import sys

from scripts.chaos.plan import Kind
from tests.game_server import REPOSITORY

DURATION_S = 60
ENDED_WITHIN_S = 240


def test_no_answered_request_is_lost_or_counted_twice() -> None:
    """Every kind of fault once, and some again, amid eighteen players: the book is what both databases have.

    The seed is drawn anew each time and stands in the output of a failure; `--seed` replays it.
    """
    faults = len(Kind) + 5
    command = [sys.executable, "-m", "scripts.chaos", "--for", str(DURATION_S), "--faults", str(faults)]
    ended = subprocess.run(
        command, cwd=REPOSITORY, capture_output=True, text=True, timeout=ENDED_WITHIN_S, check=False
    )
    assert ended.returncode == 0, f"{ended.stdout}\n{ended.stderr}"
    assert f"| **all** | **{faults}** |" in ended.stdout
