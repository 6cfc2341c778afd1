"""The short forms of `make chaos` and `make soak`, side by side: each waits most of its time.

Their long forms are in docs/reliability.md.
"""

from __future__ import annotations

import contextlib
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from scripts.chaos.single_worlds import debian_redis
from tests.support.game_server import REPOSITORY

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

ENDED_WITHIN_S = 600
PATIENCE = 10
DURATION_S = 60
PLAYED_S = 20
"""In each world."""

WORLDS_TOGETHER = (
    ("cluster", "two behind one address", "redis 7.0"),
    ("cluster without WAIT", "two behind one address without WAIT", "valkey"),
    ("sentinels", "sentinels without WAIT"),
)
"""The worlds of each of three runs that go on side by side."""

FAULTS = 5
"""In each world."""

SEED = 20
"""The same faults in every run: what fails is found again. Long runs by hand draw others each time."""

BREAKS = ("pushes dropped", "client forgotten")
"""Servers that are broken on purpose, of all that `python -m scripts.chaos.proof` plays with."""


@pytest.fixture(scope="module")
def plot(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the soak draws."""
    return tmp_path_factory.mktemp("soak") / "soak.svg"


@pytest.fixture(scope="module")
def running(plot: Path) -> Iterator[Mapping[str, subprocess.Popen[str]]]:
    """All of them, started together."""
    commands = {"soak": ["soak", "--minutes", str(DURATION_S / 60), "--players", "14", "--plot", str(plot)]}
    commands["soak"] += ["--patience", str(PATIENCE)]
    for worlds in WORLDS_TOGETHER:
        here = playable(worlds)
        options = ["--for", str(len(here) * PLAYED_S), "--faults", str(len(here) * FAULTS)]
        options += ["--users", "2", "--seed", str(SEED), "--fork"]
        for world in here:
            options += ["--world", world]
        commands[", ".join(worlds)] = ["chaos", *options, "--patience", str(PATIENCE)]
    commands["proof"] = ["chaos.proof", *BREAKS, "--fork"]
    with contextlib.ExitStack() as stack:
        started = {}
        for name, (module, *options) in commands.items():
            started[name] = stack.enter_context(
                subprocess.Popen(
                    [sys.executable, "-m", f"scripts.{module}", *options],
                    cwd=REPOSITORY,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.STDOUT,
                    text=True,
                )
            )
            stack.callback(started[name].terminate)
        yield started


def playable(worlds: Sequence[str]) -> list[str]:
    """Return the worlds whose programs this machine has."""
    return [world for world in worlds if world != "redis 7.0" or debian_redis() is not None]


@pytest.mark.parametrize("worlds", WORLDS_TOGETHER, ids=", ".join)
def test_every_promise_is_kept_whatever_breaks(
    running: Mapping[str, subprocess.Popen[str]], worlds: tuple[str, ...]
) -> None:
    """Some time in each world: changes replay by the rules, tabs are sent each, PostgreSQL follows.

    The faults follow from SEED; what the machine does between them does not.
    """
    run = running[", ".join(worlds)]
    said, _ = run.communicate(timeout=ENDED_WITHIN_S)
    assert run.returncode == 0, said
    assert f"| **all** | {len(playable(worlds)) * FAULTS} |" in said


def test_the_judges_find_what_is_broken(running: Mapping[str, subprocess.Popen[str]]) -> None:
    """A server that leaves changes untold, and one that forgets which numbers it applied."""
    said, _ = running["proof"].communicate(timeout=ENDED_WITHIN_S)
    assert running["proof"].returncode == 0, said
    assert said.count("found") == len(BREAKS)


def test_a_minute_of_everything_at_once_loses_nothing_and_leaks_nothing(
    running: Mapping[str, subprocess.Popen[str]], plot: Path
) -> None:
    """Players, second tabs, log-ins and dribblers on two workers: no fault, all flat, and a picture of it."""
    said, _ = running["soak"].communicate(timeout=ENDED_WITHIN_S)
    assert running["soak"].returncode == 0, said
    assert "lost, counted twice or out of order: 0; faults in all: 0" in said
    assert "GROWS" not in said
    assert plot.read_text().lstrip().startswith("<?xml")
