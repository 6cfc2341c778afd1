"""A running program: a child of ours, or one that an earlier server left behind."""

from __future__ import annotations

import contextlib
import math
import signal
import subprocess
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import psutil

if TYPE_CHECKING:
    from pathlib import Path

LAST_WORDS_BYTES = 4000
LOOK_S = 0.5
QUICK_LOOK_S = 0.02


class Running(Protocol):
    """One process that may be watched, waited for and ended."""

    @property
    def pid(self) -> int:
        """The number of the process."""

    def alive(self) -> bool:
        """Tell whether it still runs."""

    def wait(self, limit_s: float | None = None) -> bool:
        """Wait for its end; False where the limit passed first."""

    def send(self, number: signal.Signals) -> None:
        """Send a signal; nothing happens where it has ended."""


@dataclass(frozen=True, slots=True)
class Child:
    """A process that this one started."""

    handle: subprocess.Popen[bytes]

    @property
    def pid(self) -> int:
        """The number of the process."""
        return self.handle.pid

    def alive(self) -> bool:
        """Tell whether it still runs."""
        return self.handle.poll() is None

    def wait(self, limit_s: float | None = None) -> bool:
        """Wait for its end; False where the limit passed first."""
        try:
            self.handle.wait(limit_s)
        except subprocess.TimeoutExpired:
            return False
        return True

    def send(self, number: signal.Signals) -> None:
        """Send a signal; nothing happens where it has ended."""
        self.handle.send_signal(number)


@dataclass(frozen=True, slots=True)
class LeftBehind:
    """A process that an earlier server started."""

    process: psutil.Process

    @property
    def pid(self) -> int:
        """The number of the process."""
        return self.process.pid

    def alive(self) -> bool:
        """Tell whether it still runs; a number that now belongs to another process does not count."""
        try:
            return self.process.is_running() and self.process.status() != psutil.STATUS_ZOMBIE
        except psutil.NoSuchProcess:
            return False

    def wait(self, limit_s: float | None = None) -> bool:
        """Wait for its end; False where the limit passed first."""
        # Not psutil's own wait: that ends only when the process that inherited this one has reaped it.
        end_s = math.inf if limit_s is None else time.monotonic() + limit_s
        while self.alive():
            if time.monotonic() > end_s:
                return False
            time.sleep(LOOK_S if limit_s is None else QUICK_LOOK_S)
        return True

    def send(self, number: signal.Signals) -> None:
        """Send a signal; nothing happens where it has ended."""
        with contextlib.suppress(psutil.NoSuchProcess):
            self.process.send_signal(number)


def left_behind(pid_file: Path, name: str, folder: Path) -> LeftBehind | None:
    """Return the process that a pid file's first line names, if it is that program and works in that folder.

    None where there is no such file, no such process, or where the number belongs to another by now.
    """
    try:
        process = psutil.Process(int(pid_file.read_text().split("\n", 1)[0]))
        if process.name().startswith(name) and process.cwd() == str(folder):
            return LeftBehind(process)
    except (OSError, ValueError, psutil.Error):
        return None
    return None


def end(running: Running, *steps: tuple[signal.Signals, float]) -> None:
    """Send each signal in turn until the process has ended, with its limit in seconds; at last SIGKILL."""
    for number, limit_s in (*steps, (signal.SIGKILL, 10.0)):
        running.send(number)
        if running.wait(limit_s):
            return


def last_lines(log: Path, start: int) -> list[str]:
    """Return the last lines that were written to a log; `start` is where it began."""
    try:
        return log.read_bytes()[start:][-LAST_WORDS_BYTES:].decode(errors="replace").strip().splitlines()
    except OSError:
        return []


def last_words(log: Path, start: int) -> str:
    """Return the line in which a program said why it ended, else its last; `start` is where its log began."""
    lines = last_lines(log, start)
    telling = [line for line in lines if "FATAL" in line or "PANIC" in line or "rror" in line]
    return (telling or lines or ["it wrote nothing"])[-1].strip()
