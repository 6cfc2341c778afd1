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

from scripts.chaos.history.events import Quit
from scripts.chaos.log_pipe import LogPipe
from scripts.forking import POSSIBLE, Nursery

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from runtime.embedded.postgres import EmbeddedPostgres
    from runtime.embedded.processes import Running as RunningDatabase
    from scripts.forking import Running

REPOSITORY = Path(__file__).parent.parent.parent
_LOOK_EVERY_S = 0.25
_END_LOOK_S = 0.02
_RESTART_AFTER_S = 0.5
_STOP_WITHIN_S = 30.0
_NO_DATABASE = b"; start it or correct the address"
"""How the line ends that a program ends with where a database did not answer at its start."""


class Killable(Protocol):
    """Something with a process that can be ended and begun again."""

    @property
    def pid(self) -> int:
        """The number of its process; raises ProcessLookupError where it does not run."""

    async def start(self) -> None:
        """Start it; returns when the process is there, a database when it answers."""

    async def kill(self) -> None:
        """End it with -9."""


@dataclass(slots=True)
class PythonProgram:
    """One of our own commands, restarted when it ends by itself, which `quits` tells of.

    What it writes goes through a pipe into `log`, over all its starts.
    """

    name: str
    module: str
    folder: Path
    settings: Mapping[str, str]
    nursery: Nursery | None = None
    """Where it is forked, if not started from nothing."""

    quits: list[Quit] = field(default_factory=list)
    pipe: LogPipe = field(init=False)
    _process: Running | None = None
    _wanted: bool = False
    _started_s: float = 0.0
    _log_from: int = 0

    def __post_init__(self) -> None:
        self.pipe = LogPipe(self.folder / f"{self.name}.pipe", self.log)

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
        self._started_s = asyncio.get_running_loop().time()
        self._log_from = self.log.stat().st_size if self.log.exists() else 0
        kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
        environment = {**kept, "PYTHONPATH": python_path(), "LOG_FORMAT": "json", **self.settings}
        log = await self.pipe.writer()
        try:
            if self.nursery is not None:
                self._process = self.nursery.launch([self.module], environment, self.folder, log, log)
                return
            self._process = subprocess.Popen(  # noqa: ASYNC220, S603 - our own program; it is started at once
                [sys.executable, "-m", self.module],
                cwd=self.folder,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        finally:
            os.close(log)

    async def kill(self) -> None:
        """End it with -9 and leave it down."""
        self._wanted = False
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)
        if self._process is not None and await self._ended(self._process, _STOP_WITHIN_S) is None:
            raise TimeoutError(f"{self.name} does not end")

    async def stop(self, within_s: float = _STOP_WITHIN_S) -> int | None:
        """Let it drain; return its exit code, None where it has not ended in time.

        One that was started just now is let speak first: before, it hears no signal.
        """
        self._wanted = False
        end_s = asyncio.get_running_loop().time() + within_s
        while asyncio.get_running_loop().time() < end_s and self._is_silent():  # noqa: ASYNC110 - a file's size
            await asyncio.sleep(_LOOK_EVERY_S)
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGTERM)
        return 0 if self._process is None else await self._ended(self._process, within_s)

    @staticmethod
    async def _ended(process: Running, within_s: float) -> int | None:
        """Wait for the end and return the exit code, None where it does not come in time."""
        loop = asyncio.get_running_loop()
        end_s = loop.time() + within_s
        while (code := process.poll()) is None and loop.time() < end_s:  # noqa: ASYNC110 - no event tells
            await asyncio.sleep(_END_LOOK_S)
        return code

    def _is_silent(self) -> bool:
        """Tell whether it runs and has written nothing since it was started."""
        if self._process is None or self._process.poll() is not None:
            return False
        return not self.log.exists() or self.log.stat().st_size <= self._log_from

    async def keep(self) -> None:
        """Start it again whenever it ended by itself, until cancelled."""
        while True:
            await asyncio.sleep(_LOOK_EVERY_S)
            code = self._process.poll() if self._wanted and self._process is not None else None
            if self._process is not None and code is not None:
                at_s = asyncio.get_running_loop().time()
                await asyncio.sleep(_RESTART_AFTER_S)
                said = self.log.read_bytes()[self._log_from :]
                self.quits.append(Quit(self._started_s, at_s, self.name, code, _NO_DATABASE in said))
                if self._wanted and self._process.poll() is not None:
                    await self.start()


@dataclass(slots=True)
class Database:
    """An embedded PostgreSQL, as the server itself runs it."""

    name: str
    server: EmbeddedPostgres
    _running: RunningDatabase | None = None

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


def python_path() -> str:
    """Return where our programs find their modules: here, then where this process was shown to look."""
    return os.pathsep.join([str(REPOSITORY), *filter(None, [os.environ.get("PYTHONPATH")])])


@contextlib.contextmanager
def nursery_of(modules: Sequence[str], *, wanted: bool = True) -> Iterator[Nursery | None]:
    """Give where programs of these modules are forked until the block ends; None where they are not."""
    if not (wanted and POSSIBLE):
        yield None
        return
    nursery = Nursery(python_path(), modules)
    try:
        yield nursery
    finally:
        nursery.close()


def tree(pid: int) -> list[psutil.Process]:
    """List a process and all below it."""
    top = psutil.Process(pid)
    return [top, *top.children(recursive=True)]


def signal_all(processes: Sequence[psutil.Process], number: signal.Signals) -> None:
    """Send a signal to each that still lives."""
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.send_signal(number)
