"""The short forms of `make chaos` and `make soak`, side by side: each waits most of its minute.

Their long forms are in docs/reliability.md.
"""

from __future__ import annotations

import contextlib
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from scripts.chaos.plan import Kind
from tests.support.game_server import REPOSITORY

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

ENDED_WITHIN_S = 600
PATIENCE = 10
DURATION_S = 60
FAULTS = len(Kind) + 5


@pytest.fixture(scope="module")
def plot(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the soak draws."""
    return tmp_path_factory.mktemp("soak") / "soak.svg"


@pytest.fixture(scope="module")
def running(plot: Path) -> Iterator[Mapping[str, subprocess.Popen[str]]]:
    """Both, started together."""
    commands = {
        "chaos": ["--for", str(DURATION_S), "--faults", str(FAULTS)],
        "soak": ["--minutes", str(DURATION_S / 60), "--players", "20", "--plot", str(plot)],
    }
    for options in commands.values():
        options += ["--patience", str(PATIENCE)]
    with contextlib.ExitStack() as stack:
        started = {}
        for name, options in commands.items():
            started[name] = stack.enter_context(
                subprocess.Popen(
                    [sys.executable, "-m", f"scripts.{name}", *options],
                    cwd=REPOSITORY,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.STDOUT,
                    text=True,
                )
            )
            stack.callback(started[name].terminate)
        yield started


def test_no_answered_request_is_lost_or_counted_twice(running: Mapping[str, subprocess.Popen[str]]) -> None:
    """Every kind of fault once, and some again, with eighteen players: the book is what both databases have.

    The seed is drawn again each time and stands in the output of a failure; `--seed` replays it.
    """
    said, _ = running["chaos"].communicate(timeout=ENDED_WITHIN_S)
    assert running["chaos"].returncode == 0, said
    assert f"| **all** | **{FAULTS}** |" in said


def test_a_minute_of_everything_at_once_loses_nothing_and_leaks_nothing(
    running: Mapping[str, subprocess.Popen[str]], plot: Path
) -> None:
    """Players, second tabs, log-ins and dribblers on two workers: no fault, all flat, and a picture of it."""
    said, _ = running["soak"].communicate(timeout=ENDED_WITHIN_S)
    assert running["soak"].returncode == 0, said
    assert "lost, counted twice or out of order: 0; faults in all: 0" in said
    assert "GROWS" not in said
    assert plot.read_text().lstrip().startswith("<?xml")
