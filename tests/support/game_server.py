"""The server as its operator has it: a process, its environment, its port and its log."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import psutil

from scripts.forking import POSSIBLE, Nursery
from scripts.ports import free_port
from tests.support.limits import LIMIT_S
from tests.support.servers import copy_new_cluster, fresh_folder

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from scripts.forking import Running

REPOSITORY = Path(__file__).parents[2]
AS_INSTALLED = Path(__file__).parent / "as_installed"
"""Stands in PYTHONPATH: programs under test then find only what an operator has installed."""
POLL_S = 0.02
QUICK_PASSWORDS = {"BCRYPT_COST": "4"}
PYTHON_PATH = f"{REPOSITORY}{os.pathsep}{AS_INSTALLED}"
IMPORTS_CHANGED_BY = {"OTEL_EXPORTER_OTLP_ENDPOINT", "PYTHONPATH"}
"""Settings with which a server imports other modules than the one that it would be forked from."""
NURSERY = Nursery(
    PYTHON_PATH,
    (
        *("server.__main__", "server.app", "seeds.create_upgrades"),
        *("scripts.audit", "scripts.flush", "scripts.player.__main__", "scripts.restore"),
    ),
)
"""Where most servers of this process come from; closed with it."""


class GameServerError(RuntimeError):
    """The server did not do within its limit what the test waits for; the text ends with its log."""


@dataclass(slots=True)
class GameServer:
    """`python -m server` on a free port, with embedded databases where `settings` name none.

    It sees the variables in `settings` and nothing else of ours. Data and log are in `folder`. Unless
    `from_scratch`, which is for tests of the start itself, it is forked from a process that has imported it.
    """

    folder: Path
    settings: Mapping[str, str] = field(default_factory=dict)
    port: int = field(default_factory=free_port)
    from_scratch: bool = False
    process: Running | None = field(default=None, init=False)

    @property
    def url(self) -> str:
        """Where it serves HTTP."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def websocket_url(self) -> str:
        """Where it serves the game."""
        return f"ws://127.0.0.1:{self.port}/ws"

    @property
    def log(self) -> str:
        """Everything it has written so far, over all its starts."""
        path = self.folder / "server.log"
        return path.read_text() if path.exists() else ""

    def start(self) -> None:
        """Start and wait until it is ready for players."""
        self.launch()
        self.wait_until_ready()

    def launch(self) -> None:
        """Start without waiting."""
        kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
        own = {"PYTHONPATH": PYTHON_PATH, "LOG_FORMAT": "json", "PORT": str(self.port), **QUICK_PASSWORDS}
        environment = kept | own | {"DATA_DIR": str(self.folder / "data")} | dict(self.settings)
        with (self.folder / "server.log").open("ab") as log:
            if POSSIBLE and not self.from_scratch and not IMPORTS_CHANGED_BY & {*self.settings}:
                said = log.fileno()
                self.process = NURSERY.launch(["server"], environment, self.folder, said, said)
                return
            self.process = subprocess.Popen(
                [sys.executable, "-m", "server"],
                cwd=self.folder,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def wait_until_ready(self) -> None:
        """Wait until `/readyz` says that it serves; raises GameServerError where it ends before."""
        end_s = time.monotonic() + LIMIT_S
        while time.monotonic() < end_s and self.process is not None and self.process.poll() is None:
            with contextlib.suppress(httpx.TransportError):
                if (
                    self._listens()
                    and httpx.get(f"{self.url}/readyz", timeout=LIMIT_S).status_code == httpx.codes.OK
                ):
                    return
            time.sleep(POLL_S)
        raise GameServerError(self.log[-4000:])

    def wait_for_log(self, text: str, count: int = 1) -> None:
        """Wait until the log holds a text so often."""
        end_s = time.monotonic() + LIMIT_S
        while self.log.count(text) < count:
            if time.monotonic() > end_s:
                raise GameServerError(f"never said {text!r}: {self.log[-4000:]}")
            time.sleep(POLL_S)

    def wait_for_end(self) -> int:
        """Wait until it has ended by itself and return its code."""
        if self.process is None:
            raise GameServerError("it does not run")
        code = self.process.wait(LIMIT_S)
        self.process = None
        return code

    def send(self, number: signal.Signals) -> None:
        """Send a signal to the process that was started, workers and databases not among them."""
        if self.process is not None:
            self.process.send_signal(number)

    def stop(self) -> int:
        """Let it drain and return its code; 0 where it does not run."""
        if self.process is None:
            return 0
        self.send(signal.SIGTERM)
        return self.wait_for_end()

    def kill(self) -> None:
        """End it at once, as a crash does. Embedded databases play on, workers drain."""
        if self.process is not None:
            self.send(signal.SIGKILL)
            self.wait_for_end()

    def _listens(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def end_everything(self) -> None:
        """Kill whatever still works in its folder: databases, workers."""
        self.kill()
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error, ProcessLookupError):
                if Path(process.cwd()).is_relative_to(self.folder):
                    process.kill()


@contextlib.contextmanager
def running_game(settings: Mapping[str, str] | None = None) -> Iterator[GameServer]:
    """Run the server with a test's own settings until the block ends; drained unless the test ended it.

    Embedded databases are new, but made before: tests of the very first start make a `GameServer` themselves.
    """
    with fresh_folder("game") as folder:
        # Root's PostgreSQL passes through; without this it would need the right to enter any folder.
        folder.chmod(0o711)
        server = GameServer(folder, settings or {})
        if "DB_CONNECTION" not in server.settings:
            (folder / "data").mkdir(mode=0o711)
            copy_new_cluster(folder / "data" / "postgres")
        try:
            server.start()
            yield server
            server.stop()
        finally:
            server.end_everything()
