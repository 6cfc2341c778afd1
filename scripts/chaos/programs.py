"""The processes under test: started, killed with -9, stopped and continued, kept as an init system does."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import psutil

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from runtime.embedded.postgres import EmbeddedPostgres
    from runtime.embedded.processes import Running
    from runtime.embedded.valkey import EmbeddedValkey

REPOSITORY = Path(__file__).parent.parent.parent
_LOOK_EVERY_S = 0.25
_RESTART_AFTER_S = 0.5
_STOP_WITHIN_S = 30.0


class Program(Protocol):
    """Something with a process that can be ended and begun again."""

    name: str

    @property
    def pid(self) -> int:
        """The number of its process; raises ProcessLookupError where it does not run."""

    async def start(self) -> None:
        """Start it; returns when the process is there, a database when it answers."""

    async def stop(self) -> None:
        """Let it end in order."""


@dataclass(slots=True)
class PythonProgram:
    """One of our own commands, restarted when it ends by itself, which `ended` counts by exit code."""

    name: str
    module: str
    folder: Path
    settings: Mapping[str, str]
    ended: list[int] = field(default_factory=list)
    _process: subprocess.Popen[bytes] | None = None
    _wanted: bool = False

    @property
    def pid(self) -> int:
        """The number of the process we started: a supervisor's where there are workers."""
        if self._process is None or self._process.poll() is not None:
            raise ProcessLookupError(self.name)
        return self._process.pid

    @property
    def log(self) -> Path:
        """What it writes, over all its starts."""
        return self.folder / f"{self.name}.log"

    async def start(self) -> None:
        """Start the process; whether it is ready shows in what it does."""
        self._wanted = True
        kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(  # noqa: ASYNC220, S603 - our own program; it is started at once
                [sys.executable, "-m", self.module],
                cwd=self.folder,
                env={**kept, "PYTHONPATH": str(REPOSITORY), "LOG_FORMAT": "json", **self.settings},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    async def kill(self) -> None:
        """End it with -9 and leave it down."""
        self._wanted = False
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)
        if self._process is not None:
            await asyncio.to_thread(self._process.wait, _STOP_WITHIN_S)

    async def stop(self) -> None:
        """Let it drain."""
        self._wanted = False
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGTERM)
        if self._process is not None:
            await asyncio.to_thread(self._process.wait, _STOP_WITHIN_S)

    async def keep(self) -> None:
        """Start it again whenever it ended by itself, until cancelled."""
        while True:
            await asyncio.sleep(_LOOK_EVERY_S)
            if self._wanted and self._process is not None and self._process.poll() is not None:
                self.ended.append(self._process.returncode)
                await asyncio.sleep(_RESTART_AFTER_S)
                if self._wanted and self._process.poll() is not None:
                    await self.start()


@dataclass(slots=True)
class Database:
    """An embedded Valkey or PostgreSQL, as the server itself runs it."""

    name: str
    server: EmbeddedValkey | EmbeddedPostgres
    _running: Running | None = None

    @property
    def pid(self) -> int:
        """The number of the process."""
        if self._running is None or not self._running.alive():
            raise ProcessLookupError(self.name)
        return self._running.pid

    async def start(self) -> None:
        """Start it over its data and wait until it answers."""
        await asyncio.to_thread(self.server.launch)
        self._running = await asyncio.to_thread(self.server.wait_until_ready)

    async def kill(self) -> None:
        """End it with -9; the children of a postmaster notice by themselves."""
        os.kill(self.pid, signal.SIGKILL)
        if self._running is not None:
            await asyncio.to_thread(self._running.wait, _STOP_WITHIN_S)

    async def stop(self) -> None:
        """Stop it in order."""
        await asyncio.to_thread(self.server.stop)


def tree(pid: int) -> list[psutil.Process]:
    """List a process and all below it."""
    top = psutil.Process(pid)
    return [top, *top.children(recursive=True)]


def signal_all(processes: Sequence[psutil.Process], number: signal.Signals) -> None:
    """Send a signal to each that still lives."""
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.send_signal(number)
