"""Forks programs from a process that has imported them: each start then costs no second of imports.

A `Nursery` starts that process and asks it for servers and for commands. One differs from what
`python -m NAME` starts in nothing but when its modules were imported: it has its own session, environment,
folder and output. Linux alone: elsewhere a fork may not go on with what was imported.
"""

from __future__ import annotations

import atexit
import contextlib
import gc
import importlib
import json
import os
import select
import signal
import socket
import subprocess
import sys
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, NoReturn, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

POSSIBLE: Final = sys.platform == "linux"
_PROGRAM: Final = "import sys, scripts.forking; sys.exit(scripts.forking.serve(*sys.argv[1:]))"
_MOST_BYTES: Final = 65_536


class Running(Protocol):
    """What is done with a process that was started, forked or not."""

    pid: int

    def poll(self) -> int | None:
        """Return the exit code, None while it runs."""

    def wait(self, timeout: float | None = None) -> int:
        """Wait for the end and return the exit code."""

    def send_signal(self, number: int) -> None:
        """Send a signal; nothing happens where it has ended."""


@dataclass(slots=True)
class Forked:
    """A program that was forked. `ends` receives how it ended: its exit code, or minus a signal's number."""

    pid: int
    ends: socket.socket
    returncode: int | None = field(default=None, init=False)

    def poll(self) -> int | None:
        """Return the exit code, None while it runs."""
        self._look(0)
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Wait for the end and return the exit code."""
        self._look(timeout)
        if self.returncode is None:
            raise subprocess.TimeoutExpired(f"process {self.pid}", timeout or 0)
        return self.returncode

    def send_signal(self, number: int) -> None:
        """Send a signal; nothing happens where it has ended."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def _look(self, limit_s: float | None) -> None:
        if self.returncode is None and select.select([self.ends], [], [], limit_s) != ([], [], []):
            self.returncode = int(self.ends.recv(_MOST_BYTES))
            self.ends.close()


class Nursery:
    """Forks programs; the process that it does this with starts when the first is asked for."""

    def __init__(self, python_path: str, imported: Sequence[str]) -> None:
        self._python_path = python_path
        self._imported = imported
        self._asking = threading.Lock()
        self._requests: socket.socket | None = None
        self._process: subprocess.Popen[bytes] | None = None

    def launch(
        self, command: Sequence[str], environment: Mapping[str, str], folder: Path, said: int, errors: int
    ) -> Forked:
        """Fork what `python -m` with these words would start, with these variables and this current folder.

        `said` and `errors` are the descriptors for what it writes.
        """
        asked = {"command": command, "environment": dict(environment), "folder": str(folder)}
        request = json.dumps(asked).encode()
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs, self._asking:
            socket.send_fds(self._served(), [request], [said, errors, theirs.fileno()])
        return Forked(int(ours.recv(_MOST_BYTES)), ours)

    def close(self) -> None:
        """End the process that forks; programs that still run are not ended by this."""
        if self._requests is not None and self._process is not None:
            self._requests.close()
            self._process.wait()
            self._requests = self._process = None

    def _served(self) -> socket.socket:
        if self._requests is None:
            self._requests, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            with theirs:
                self._process = subprocess.Popen(  # noqa: S603 - our own program
                    [sys.executable, "-c", _PROGRAM, str(theirs.fileno()), *self._imported],
                    cwd="/",
                    env={**os.environ, "PYTHONPATH": self._python_path},
                    stdin=subprocess.DEVNULL,
                    pass_fds=[theirs.fileno()],
                    start_new_session=True,
                )
        return self._requests


def serve(descriptor: str, *imported: str) -> int:
    """Fork for each request, and tell how each ended, until nobody can ask any more."""
    requests = socket.socket(fileno=int(descriptor))
    for name in imported:
        importlib.import_module(name)
    gc.freeze()  # what all share is left alone by each one's collections
    woken, waking = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    signal.set_wakeup_fd(waking)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    running: dict[int, socket.socket] = {}
    while True:
        ready, _, _ = select.select([requests.fileno(), woken], [], [])
        if woken in ready:
            os.read(woken, _MOST_BYTES)
            _tell_ends(running)
        if requests.fileno() in ready:
            request, descriptors, _, _ = socket.recv_fds(requests, _MOST_BYTES, 3)
            if not request:
                return 0
            said, errors, ends = descriptors
            pid = os.fork()
            if pid == 0:
                for other_end in (requests.fileno(), woken, waking, ends):
                    os.close(other_end)
                for other in running.values():
                    other.close()
                _become(json.loads(request), said, errors)
            os.close(said)
            os.close(errors)
            running[pid] = socket.socket(fileno=ends)
            running[pid].send(b"%d" % pid)


def _tell_ends(running: dict[int, socket.socket]) -> None:
    while running:
        pid, status = os.waitpid(-1, os.WNOHANG)
        if pid == 0:
            return
        ends = running.pop(pid)
        with ends:
            try:
                ends.send(b"%d" % os.waitstatus_to_exitcode(status))
            except BrokenPipeError:  # who started it has ended
                continue


def _become(request: dict[str, Any], said: int, errors: int) -> NoReturn:
    """Go on as `python -m` with the command's words does."""
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    os.setsid()
    os.chdir(request["folder"])
    for descriptor, place in ((said, 1), (errors, 2)):
        os.dup2(descriptor, place)
        os.close(descriptor)
    os.environ.clear()
    os.environ.update(request["environment"])
    name, *words = request["command"]
    sys.argv = [f"python -m {name}", *words]
    module = importlib.import_module(name)
    if hasattr(module, "__path__"):
        module = importlib.import_module(f"{name}.__main__")
    try:
        code = module.main()
    except SystemExit as ended:
        if not isinstance(ended.code, int):
            raise
        code = ended.code
    gc.collect()  # a task or a coroutine that was left behind is reported when it is dropped
    end_process(code)


def end_process(code: int) -> NoReturn:
    """End with this code: threads end, what is registered for the end runs, what was written goes out.

    What was imported is not taken apart: that would cost more than a start and a stop do.
    """
    threading._shutdown()  # type: ignore[attr-defined]  # noqa: SLF001 - as multiprocessing ends its own
    atexit._run_exitfuncs()  # noqa: SLF001 - as above
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):  # nobody reads, or closed
            stream.flush()
    os._exit(code)
