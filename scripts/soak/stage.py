"""The server under the soak, as an operator runs it, and what its processes hold."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.error import URLError
from urllib.request import urlopen

import psutil
import redis

from scripts.ports import free_port

if TYPE_CHECKING:
    from collections.abc import Iterator

WORKERS: Final = 2
MIB: Final = 1024 * 1024
POSTGRES: Final = "postgres, all"
BACKENDS: Final = "postgres, processes"
VALKEY: Final = "valkey"
VALKEY_DATA: Final = "valkey, its data"

_REPOSITORY: Final = Path(__file__).parents[2]
_READY_WITHIN_S: Final = 60.0
_END_WITHIN_S: Final = 60.0


class StageError(RuntimeError):
    """The server did not start; the text ends with its log. Correct what it names and start again."""


@dataclass(frozen=True, slots=True)
class Sample:
    """What each process held at a moment: memory in MiB, open files and sockets without those of clients."""

    at_s: float
    memory_mib: dict[str, float]
    files: dict[str, int]


@dataclass(slots=True)
class Stage:
    """A running server with its workers and its embedded databases, all in one folder."""

    folder: Path
    port: int
    server: subprocess.Popen[bytes]
    pids: dict[str, int]
    """Of the supervisor, the workers and Valkey, by the names that samples use."""

    @property
    def url(self) -> str:
        """Where it serves HTTP."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def websocket_url(self) -> str:
        """Where it serves the game."""
        return f"ws://127.0.0.1:{self.port}/ws"

    def sample(self, at_s: float) -> Sample:
        """Look at every process. One that is gone counts 0, which `ended` tells apart.

        PostgreSQL counts as one: its processes come and go, and what they share is none's own. In place of
        its files, which each process opens once and keeps up to a bound of its own, its processes count.
        """
        memory_mib: dict[str, float] = {}
        files: dict[str, int] = {}
        for name, pid in self.pids.items():
            memory_mib[name], files[name] = 0.0, 0
            with contextlib.suppress(psutil.Error):
                process = psutil.Process(pid)
                memory_mib[name] = process.memory_info().rss / MIB
                files[name] = files_kept(process, self.port)
        memory_mib[VALKEY_DATA] = self.redis_facts()["used_memory"] / MIB
        memory_mib[POSTGRES], files[BACKENDS] = 0.0, 0
        for process in self.processes():
            with contextlib.suppress(psutil.Error):
                if process.name() == "postgres":
                    memory_mib[POSTGRES] += process.memory_full_info().uss / MIB
                    files[BACKENDS] += 1
        return Sample(at_s, memory_mib, files)

    def ended(self) -> list[str]:
        """Name the processes that were there at the start and are not any more."""
        return [name for name, pid in self.pids.items() if not psutil.pid_exists(pid)]

    def faults(self) -> list[str]:
        """Return the lines of the log that report a fault of the server's own."""
        found = []
        for line in (self.folder / "server.log").read_text(errors="replace").splitlines():
            try:
                level = json.loads(line).get("level")
            except ValueError:
                level = "error"  # nothing but structured lines belongs there: a trace, most likely
            if level in ("error", "critical"):
                found.append(line)
        return found

    def processes(self) -> Iterator[psutil.Process]:
        """Go through everything that works in the folder."""
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error, OSError):
                if Path(process.cwd()).is_relative_to(self.folder):
                    yield process

    def redis_facts(self) -> dict[str, int]:
        """Return what Valkey says of itself, with zeros where it does not answer."""
        path = self.folder / "data" / "run" / "valkey" / "valkey.sock"
        with contextlib.suppress(redis.RedisError), redis.Redis(unix_socket_path=str(path)) as client:
            facts: dict[str, int] = client.info()
            return facts
        return {"used_memory": 0, "process_id": 0}


@contextlib.contextmanager
def running_stage() -> Iterator[Stage]:
    """Run the server with two workers and embedded databases in a fresh folder until the block ends.

    Raises StageError where it does not start.
    """
    with tempfile.TemporaryDirectory(prefix="cc-soak-", dir="/tmp", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        folder.chmod(0o711)  # root's PostgreSQL runs as nobody
        port = free_port()
        server = _launch(folder, port)
        stage = Stage(folder, port, server, {})
        try:
            _wait_until_ready(stage)
            stage.pids = _find_pids(stage)
            yield stage
        finally:
            _end(stage)


def _launch(folder: Path, port: int) -> subprocess.Popen[bytes]:
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    chosen = {
        "PYTHONPATH": os.pathsep.join([str(_REPOSITORY), *filter(None, [os.environ.get("PYTHONPATH")])]),
        "DATA_DIR": str(folder / "data"),
        "PORT": str(port),
        "WORKERS": str(WORKERS),
        "BCRYPT_COST": "8",  # many log-ins are wanted, not a measure of bcrypt
        "LOG_FORMAT": "json",
    }
    with (folder / "server.log").open("ab") as log:
        return subprocess.Popen(
            [sys.executable, "-m", "server"],
            cwd=folder,
            env=kept | chosen,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )


def _wait_until_ready(stage: Stage) -> None:
    end_s = time.monotonic() + _READY_WITHIN_S
    log = stage.folder / "server.log"
    while time.monotonic() < end_s and stage.server.poll() is None:
        with contextlib.suppress(URLError, ConnectionError):
            if "workers_ready" in log.read_text():
                with urlopen(f"{stage.url}/readyz", timeout=5):  # noqa: S310 - our own server
                    return
        time.sleep(0.1)
    raise StageError(log.read_text()[-4000:])


def _find_pids(stage: Stage) -> dict[str, int]:
    pids = {"supervisor": stage.server.pid}
    for process in stage.processes():
        with contextlib.suppress(psutil.Error):
            index = process.environ().get("WORKER_INDEX")
            if index is not None and process.name() != "postgres":
                pids[f"worker {index}"] = process.pid
    return {**dict(sorted(pids.items())), VALKEY: stage.redis_facts()["process_id"]}


def files_kept(process: psutil.Process, port: int) -> int:
    """Count the open files and sockets of a process without the clients who are connected to its `port`.

    How many of them meet which worker is chance. A socket that its client has closed counts until the process
    closes it too.
    """
    clients = sum(
        connection.status == psutil.CONN_ESTABLISHED and connection.laddr.port == port
        for connection in process.net_connections("tcp")
    )
    return int(process.num_fds()) - clients


def _end(stage: Stage) -> None:
    stage.server.send_signal(signal.SIGTERM)
    with contextlib.suppress(subprocess.TimeoutExpired):
        stage.server.wait(_END_WITHIN_S)
    for process in stage.processes():
        with contextlib.suppress(psutil.Error):
            process.kill()
