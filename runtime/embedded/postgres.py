"""The embedded PostgreSQL: every commit on disk, on a Unix socket, as `nobody` where the server is root."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import socket
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from runtime.embedded.folder import sync_folder
from runtime.embedded.ownership import take_over
from runtime.embedded.processes import Child, LeftBehind, end, last_lines, last_words, left_behind
from runtime.embedded.programs import Account, fresh_log, launch, postgres_program, unprivileged_account
from runtime.settings import Secret, StartupError

if TYPE_CHECKING:
    from runtime.embedded.folder import DataFolder
    from runtime.embedded.processes import Running

NAME = "postgres"
MAJOR = "18"
SOCKET_NAME = ".s.PGSQL.5432"
START_LIMIT_S = 60.0  # after a crash it replays what it wrote ahead
STOP_LIMIT_S = 15.0
LINGER_LIMIT_S = 10.0
POLL_S = 0.01
NO_SHELL_PATH = re.compile(r"[\"$`\\\n]")
"""What initdb does not quote where it calls `postgres` through a shell."""
CLUSTER_OPTIONS = (
    *("--username=postgres", "--auth=trust", "--encoding=UTF8"),
    *("--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C"),
)
"""How initdb makes the databases."""


class EmbeddedPostgres:
    """PostgreSQL with its data in `postgres/` of DATA_DIR. The data outlive any stop."""

    name = NAME

    def __init__(self, folder: DataFolder) -> None:
        self._parent = folder.path
        self._data = folder.path / NAME
        self._account = self._owner()
        self._sockets = folder.own_sockets(NAME, self._account)
        self._log = folder.own("logs") / "postgres.log"
        self._pid_file = self._data / "postmaster.pid"
        self._log_start = 0
        self._running: Running | None = None

    @property
    def connection(self) -> Secret:
        """The address in the form of DB_CONNECTION."""
        return Secret(f"postgresql://postgres@/postgres?host={quote(str(self._sockets))}")

    def launch(self) -> None:
        """Adopt what an earlier server left running, or start a new one; `wait_until_ready` comes next."""
        left = left_behind(self._pid_file, "postgres", self._data)
        if left is not None and self._is_ready() and (self._sockets / SOCKET_NAME).exists():
            self._running = left
            return
        if left is not None:
            self._end(left)
        if self._data.exists():
            take_over(self._data, self._account)
        # What is left of a postmaster that is gone names a number that may be another's by now.
        for stale in (self._pid_file, self._sockets / SOCKET_NAME, self._sockets / f"{SOCKET_NAME}.lock"):
            stale.unlink(missing_ok=True)
        if not self._data.exists():
            self._initialise()
        self._check_version()
        command: list[str | Path] = [postgres_program("postgres"), "-D", self._data, "-k", self._sockets]
        command += ["-c", "listen_addresses=", "-c", "unix_socket_permissions=0700", "-c", "jit=off"]
        self._log_start = fresh_log(self._log)
        folders = [self._data, self._sockets]
        self._running = Child(launch(command, self._log, account=self._account, folders=folders))

    def wait_until_ready(self) -> Running:
        """Wait until it lets connections in, and return what runs.

        Raises StartupError with its last words where it ends before.
        """
        linger_end_s = time.monotonic() + LINGER_LIMIT_S
        end_s = time.monotonic() + START_LIMIT_S
        while time.monotonic() < end_s and self._running is not None:
            if self._is_ready():
                return self._running
            if not self._running.alive():
                # An adopted one may have been about to end. The children of a killed one hold its memory
                # until they have seen that it is gone.
                lingers = isinstance(self._running, LeftBehind) or memory_is_held(self._log, self._log_start)
                if not lingers or time.monotonic() > linger_end_s:
                    break
                time.sleep(10 * POLL_S)
                self.launch()
            time.sleep(POLL_S)
        raise StartupError(f"the embedded PostgreSQL does not start: {self._words()} ({self._log})")

    def stop(self) -> None:
        """Stop in order, ending its connections, within twice STOP_LIMIT_S; every commit is on disk."""
        if self._running is not None:
            self._end(self._running)

    @staticmethod
    def _end(running: Running) -> None:
        end(running, (signal.SIGINT, STOP_LIMIT_S), (signal.SIGQUIT, STOP_LIMIT_S))

    def _owner(self) -> Account | None:
        account = unprivileged_account()
        if account is not None and self._data.exists() and self._data.stat().st_uid != 0:
            status = self._data.stat()  # an ordinary user may have been here first
            return Account(status.st_uid, status.st_gid)
        return account

    def _is_ready(self) -> bool:
        """Tell whether the postmaster's file says so, as `pg_ctl` does, and somebody listens."""
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as probe:
            if self._pid_file.read_text().rstrip().endswith("ready"):
                probe.connect(str(self._sockets / SOCKET_NAME))
                return True
        return False

    def _words(self) -> str:
        return last_words(self._log, self._log_start)

    def _initialise(self) -> None:
        """Make the databases aside and move them in place, so that a crash leaves all or nothing."""
        program = postgres_program("initdb")
        if NO_SHELL_PATH.search(str(program)):
            raise StartupError(
                f"PostgreSQL cannot be set up from {str(program.parent)!r}: initdb takes none of "
                '" $ ` \\ and line breaks in a path; move this project elsewhere, or set DB_CONNECTION'
            )
        for half_made in self._parent.glob(f"{NAME}.new-*"):
            shutil.rmtree(half_made, ignore_errors=True)
        draft = Path(tempfile.mkdtemp(prefix=f"{NAME}.new-", dir=self._parent))
        if self._account is not None:
            os.chown(draft, self._account.uid, self._account.gid)
        command: list[str | Path] = [program, "-D", draft, *CLUSTER_OPTIONS]
        self._log_start = fresh_log(self._log)
        making = Child(launch(command, self._log, account=self._account, folders=[draft]))
        try:
            if not making.wait(START_LIMIT_S) or making.handle.returncode != 0:
                raise StartupError(f"the embedded PostgreSQL cannot be set up: {self._words()} ({self._log})")
        finally:
            end(making)
        draft.rename(self._data)
        sync_folder(self._parent)  # or a power cut could undo the move, and the next start all that followed

    def _check_version(self) -> None:
        with contextlib.suppress(FileNotFoundError):
            major = (self._data / "PG_VERSION").read_text().strip()
            if major != MAJOR:
                raise StartupError(
                    f"{self._data} was made by PostgreSQL {major}, this release has {MAJOR}: "
                    "dump it with the older release, or choose another DATA_DIR"
                )


def memory_is_held(log: Path, start: int) -> bool:
    """Tell whether a start failed since children of a killed one are still there.

    They write to the same log, and so perhaps after it.
    """
    return any("shared memory" in line for line in last_lines(log, start))
