"""Several server processes on one port, and the supervisor that keeps them running.

The supervisor owns the embedded servers and holds the port; each worker is `python -m server` with its own
listening socket on that port (`SO_REUSEPORT`), so the kernel spreads the connections. A socket pair joins the
two: the worker says `ready` on it, and sees its end when the supervisor is gone, whatever ended that.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import sys
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import structlog

from runtime.settings import StartupError
from server.observability.folder import workers_folder

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from runtime.settings import Settings

SOCKET_VARIABLE = "WORKER_SOCKET"
READY = b"ready"
START_LIMIT_S = 60.0
KILL_MARGIN_S = 5.0
YOUNG_S = 5.0
MOST_YOUNG_DEATHS = 5
FIRST_BACK_OFF_S = 0.1
MOST_BACK_OFF_S = 5.0
STARTUP_ERROR_CODE = 2

_log = structlog.get_logger(__name__)


class WorkersLostError(Exception):
    """The workers cannot live. The text is one line with the reason; the process ends with code 1."""


async def supervise(settings: Settings, *, ready: Callable[[], None] | None = None) -> bool:
    """Run the workers until SIGTERM or SIGINT, and return once they have drained; False where none served.

    `ready` is called when all have said so. Raises StartupError where the first worker could not start (it
    has said why) and WorkersLostError where one cannot live; the others are drained before either.
    """
    with workers_folder() as folder:
        return await _supervise(replace(settings, worker_folder=folder), ready)


async def _supervise(settings: Settings, ready: Callable[[], None] | None) -> bool:
    supervisor = _Supervisor(settings, asyncio.Event())
    first = _Worker(supervisor, 0)
    reasons: list[BaseException] = []
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, supervisor.stopping.set)
    try:
        # The first alone: it migrates and seeds, and what is wrong for all is reported once.
        async with asyncio.TaskGroup() as group:
            group.create_task(first.keep(), name="worker 0")
            await supervisor.stopped_or(first.was_ready)
            others = [_Worker(supervisor, index) for index in range(1, settings.workers)]
            for worker in others:
                group.create_task(worker.keep(), name=f"worker {worker.index}")
            for worker in others:
                await supervisor.stopped_or(worker.was_ready)
            if ready is not None and not supervisor.stopping.is_set():
                ready()
    except* (StartupError, WorkersLostError) as errors:
        reasons.extend(errors.exceptions)
    if reasons:
        reason, *_ = reasons
        raise reason
    return first.was_ready.is_set()


@dataclass(frozen=True, slots=True)
class _Supervisor:
    """What the workers share."""

    settings: Settings
    stopping: asyncio.Event

    async def stopped_or(self, event: asyncio.Event) -> None:
        """Wait until the event is set or the stop has begun."""
        waits = [asyncio.ensure_future(each.wait()) for each in (event, self.stopping)]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()
            await asyncio.gather(*waits, return_exceptions=True)


class _Worker:
    """Keeps the worker of one index running."""

    def __init__(self, supervisor: _Supervisor, index: int) -> None:
        self.index = index
        self.was_ready = asyncio.Event()
        self._supervisor = supervisor
        self._young_deaths = 0

    async def keep(self) -> None:
        """Run the worker again and again until the stop; raises where it cannot live."""
        while not self._supervisor.stopping.is_set():
            started_s = time.monotonic()
            code = await self._run_once()
            if self._supervisor.stopping.is_set():
                return
            await self._judge(code, time.monotonic() - started_s)

    async def _judge(self, code: int, lived_s: float) -> None:
        _log.warning("worker_ended", index=self.index, code=code, ms=round(1000 * lived_s))
        if code == STARTUP_ERROR_CODE and self.index == 0 and not self.was_ready.is_set():
            raise StartupError("a worker could not start, see above")
        if lived_s >= YOUNG_S:
            self._young_deaths = 0
        elif code != STARTUP_ERROR_CODE:  # a database that is away is no fault of the worker's
            self._young_deaths += 1
        if self._young_deaths >= MOST_YOUNG_DEATHS:
            raise WorkersLostError(
                f"worker {self.index} died {self._young_deaths} times, each within {YOUNG_S:.0f} s "
                f"of its start, at last with code {code}"
            )
        back_off_s = min(MOST_BACK_OFF_S, FIRST_BACK_OFF_S * 2.0**self._young_deaths)
        if code == STARTUP_ERROR_CODE:
            back_off_s = MOST_BACK_OFF_S
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(back_off_s):
                await self._supervisor.stopping.wait()

    async def _run_once(self) -> int:
        """Start the process, and return its code when it has ended; on a stop it drains first."""
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        with ours:
            with theirs:
                process = await asyncio.create_subprocess_exec(
                    sys.executable,
                    "-m",
                    "server",
                    env=_environment(self._supervisor.settings, self.index, theirs.fileno()),
                    stdin=asyncio.subprocess.DEVNULL,
                    pass_fds=[theirs.fileno()],
                    start_new_session=True,  # Ctrl-C reaches the supervisor alone, which passes it on
                )
            ended = asyncio.create_task(process.wait())
            try:
                await self._watch(process, ours, ended)
                return await ended
            finally:
                ended.cancel()
                if process.returncode is None:
                    await self._end(process)

    async def _watch(
        self, process: asyncio.subprocess.Process, ours: socket.socket, ended: asyncio.Task[int]
    ) -> None:
        said = asyncio.create_task(_hear(ours))
        stopping = asyncio.create_task(self._supervisor.stopping.wait())
        try:
            done, _ = await asyncio.wait(
                {said, stopping, ended}, timeout=START_LIMIT_S, return_when=asyncio.FIRST_COMPLETED
            )
            if not done:
                raise WorkersLostError(f"worker {self.index} was not ready within {START_LIMIT_S:.0f} s")
            if said in done and said.result():
                self.was_ready.set()
            await asyncio.wait({stopping, ended}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            said.cancel()
            stopping.cancel()
            await asyncio.gather(said, stopping, return_exceptions=True)
        if not ended.done():
            await self._end(process)

    async def _end(self, process: asyncio.subprocess.Process) -> None:
        """Let the process drain, and kill it where it does not end."""
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        try:
            settings = self._supervisor.settings
            async with asyncio.timeout(settings.drain_notice_s + settings.drain_s + KILL_MARGIN_S):
                await process.wait()
        except TimeoutError:
            _log.warning("worker_killed", index=self.index, drain_s=self._supervisor.settings.drain_s)
            process.kill()
            await process.wait()


async def _hear(ours: socket.socket) -> bool:
    """Wait for the worker's word; False where it ended without one."""
    return await asyncio.get_running_loop().sock_recv(ours, len(READY)) == READY


def _environment(settings: Settings, index: int, handle: int) -> dict[str, str]:
    """Return a worker's environment: this process' own, and the supervisor's decisions."""
    decided = {
        "DB_CONNECTION": settings.db_connection.reveal(),
        "REDIS_CONNECTION": settings.redis_connection.reveal(),
        "ACCESS_TOKEN_SECRET": ",".join(key.reveal() for key in settings.access_token_secrets),
        "REFRESH_TOKEN_SECRET": ",".join(key.reveal() for key in settings.refresh_token_secrets),
        "PORT": str(settings.port),
        "WORKER_INDEX": str(index),
        "WORKER_FOLDER": str(settings.worker_folder),
        SOCKET_VARIABLE: str(handle),
    }
    return os.environ | decided


@contextlib.contextmanager
def bound_to_supervisor(loop: asyncio.AbstractEventLoop) -> Iterator[Callable[[], None]]:
    """In a worker: end as on SIGTERM when the supervisor is gone. Gives what tells it that we are ready."""
    with socket.socket(fileno=int(os.environ[SOCKET_VARIABLE])) as own:
        own.setblocking(False)

        def gone() -> None:
            loop.remove_reader(own)
            os.kill(os.getpid(), signal.SIGTERM)

        def say_ready() -> None:
            with contextlib.suppress(OSError):
                own.send(READY)

        loop.add_reader(own, gone)  # nothing is ever sent to us, so what is to be read is the end
        try:
            yield say_ready
        finally:
            loop.remove_reader(own)
