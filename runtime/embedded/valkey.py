"""The embedded Valkey: an append-only file that is synced at each write, on a Unix socket."""

from __future__ import annotations

import re
import signal
import socket
import time
from typing import TYPE_CHECKING
from urllib.parse import quote

from runtime.embedded.ownership import take_over
from runtime.embedded.processes import Child, Running, end, last_words, left_behind
from runtime.embedded.programs import fresh_log, launch, valkey_program
from runtime.settings import Secret, StartupError

if TYPE_CHECKING:
    from pathlib import Path

    from runtime.embedded.folder import DataFolder

NAME = "valkey"
START_LIMIT_S = 60.0  # a large append-only file takes a while to load
STOP_LIMIT_S = 15.0
ANSWER_LIMIT_S = 5.0
POLL_S = 0.01
ALLOCATION = {"GLIBC_TUNABLES": "glibc.malloc.tcache_count=1000"}
"""The wheel's Valkey uses the system's allocator. Where that is glibc's, it keeps 7 free pieces of each size
at hand, and scripts free more at once: the rest go back to the heap, where they lie the further apart the
more sessions there are. What is kept stays below 33 MB: 64 sizes of up to 1,032 bytes. (docs/performance.md,
"The embedded Valkey")"""
PACKED_HASHES = ("--hash-max-listpack-value", "1024")
"""The longest value with which a session still lies in one piece of memory. Redis' own 64 bytes are fewer
than `now` has. (docs/performance.md, "The embedded Valkey")"""
REWRITE_FROM = "256mb"
"""Rewriting the append-only file takes a core for a moment, and clicks wait then: from Redis' own 64 MB on,
that is once for 100,000 sessions that are loaded or saved. A file of this size is loaded in a few seconds."""
HZ = ("--hz", "5")
"""How often a second it looks after itself: at Redis' own 10 it takes 2 ms of CPU a second when nobody plays,
and half of that so. An order to stop is seen 0.2 s later at most."""


class EmbeddedValkey:
    """Valkey with its data in `valkey/` of DATA_DIR. The data outlive any stop."""

    name = NAME

    def __init__(self, folder: DataFolder) -> None:
        self._data = folder.own(NAME)
        self._socket = folder.own_sockets(NAME) / "valkey.sock"
        self._log = folder.own("logs") / "valkey.log"
        self._pid_file = self._data / "valkey.pid"
        self._log_start = 0
        self._running: Running | None = None

    @property
    def connection(self) -> Secret:
        """The address in the form of REDIS_CONNECTION."""
        return Secret(f"unix://{quote(str(self._socket))}")

    def launch(self) -> None:
        """Adopt what an earlier server left running, or start a new one; `wait_until_ready` comes next."""
        left = left_behind(self._pid_file, "valkey-server", self._data)
        if left is not None and self._answers(ANSWER_LIMIT_S):
            self._running = left
            return
        if left is not None:
            # It is stopping, or its socket is gone: two on one append-only file would destroy it.
            end(left, (signal.SIGTERM, STOP_LIMIT_S))
        take_over(self._data, None)
        command: list[str | Path] = [
            valkey_program(),
            "--port",
            "0",
            "--unixsocket",
            self._socket,
            "--unixsocketperm",
            "700",
        ]
        command += ["--dir", self._data, "--pidfile", self._pid_file, "--daemonize", "no"]
        command += ["--appendonly", "yes", "--appendfsync", "always", "--save", ""]
        command += ["--maxmemory-policy", "noeviction", "--auto-aof-rewrite-min-size", REWRITE_FROM]
        command += PACKED_HASHES + HZ
        self._log_start = fresh_log(self._log)
        self._running = Child(launch(command, self._log, environment=ALLOCATION))

    def wait_until_ready(self) -> Running:
        """Wait until its data are loaded, and return what runs.

        Raises StartupError with its last words where it ends before.
        """
        if self._running is None or not self._answers(START_LIMIT_S):
            raise StartupError(
                f"the embedded Valkey does not start: {last_words(self._log, self._log_start)} ({self._log})"
            )
        return self._running

    def stop(self) -> None:
        """Stop in order, within STOP_LIMIT_S; every answered write is on disk."""
        if self._running is not None:
            end(self._running, (signal.SIGTERM, STOP_LIMIT_S))

    def _answers(self, limit_s: float) -> bool:
        end_s = time.monotonic() + limit_s
        while time.monotonic() < end_s:
            if self._answers_now(end_s - time.monotonic()):
                return True
            if self._running is not None and not self._running.alive():
                return False
            time.sleep(POLL_S)
        return False

    def _answers_now(self, limit_s: float) -> bool:
        """Ask for one PONG; it says -LOADING instead until its data are there."""
        try:
            with socket.socket(socket.AF_UNIX) as asked:
                asked.settimeout(max(limit_s, POLL_S))
                asked.connect(str(self._socket))
                asked.sendall(b"PING\r\n")
                return re.match(rb"\+PONG", asked.recv(64)) is not None
        except OSError:
            return False
