"""Debian's PgBouncer before a PostgreSQL, in a mode of the test's choice."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import time
from typing import TYPE_CHECKING

import pytest

from scripts.ports import free_port
from tests.support.limits import LIMIT_S
from tests.support.servers import POLL_S, fresh_folder

if TYPE_CHECKING:
    from collections.abc import Iterator

PROGRAM = shutil.which("pgbouncer", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
needs_pgbouncer = pytest.mark.skipif(
    PROGRAM is None and "CI" not in os.environ, reason="pgbouncer is not installed (Debian: pgbouncer)"
)


@contextlib.contextmanager
def running_pgbouncer(behind: str, mode: str, user: str, password: str) -> Iterator[int]:
    """Run a PgBouncer until the block ends; gives its port of loopback.

    `behind`: words of a connection string to the server, `user` and `password`: whom it lets in.
    """
    if PROGRAM is None:
        pytest.fail("CI has to install pgbouncer")
    with fresh_folder("pgbouncer") as folder:
        port = free_port()
        (folder / "users").write_text(f'"{user}" "{password}"\n')
        (folder / "settings").write_text(
            f"[databases]\n* = {behind}\n[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\n"
            f"unix_socket_dir =\nauth_type = plain\nauth_file = {folder}/users\npool_mode = {mode}\n"
        )
        folder.chmod(0o755)
        as_nobody = ["-u", "nobody"] if os.geteuid() == 0 else []
        with (folder / "log").open("wb") as log:
            process = subprocess.Popen(
                [PROGRAM, *as_nobody, str(folder / "settings")],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        try:
            _wait_for(port, process)
            yield port
        finally:
            process.kill()
            process.wait(LIMIT_S)


def _wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    end_s = time.monotonic() + LIMIT_S
    while time.monotonic() < end_s and process.poll() is None:
        with contextlib.suppress(OSError):
            socket.create_connection(("127.0.0.1", port)).close()
            return
        time.sleep(POLL_S)
    raise TimeoutError("PgBouncer does not listen")
