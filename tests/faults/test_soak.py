"""A minute of the soak; its half hour is in docs/reliability.md."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

from tests.game_server import REPOSITORY

if TYPE_CHECKING:
    from pathlib import Path

WITHIN_S = 240


def test_a_minute_of_everything_at_once_loses_nothing_and_leaks_nothing(tmp_path: Path) -> None:
    """Players, second tabs, log-ins and dribblers on two workers: no fault, all flat, and a picture of it."""
    plot = tmp_path / "soak.svg"
    done = subprocess.run(
        [sys.executable, "-m", "scripts.soak", "--minutes", "1", "--players", "20", "--plot", str(plot)],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=WITHIN_S,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "lost, counted twice or out of order: 0; faults in all: 0" in done.stdout
    assert "GROWS" not in done.stdout
    assert plot.read_text().lstrip().startswith("<?xml")
