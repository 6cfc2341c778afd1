"""The stacks that are compared, each a process of its own: start, pin, look at, stop."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from scripts.bench.stage import SERVER_CORE, cpu_s, pin, resident_bytes
from scripts.ports import free_port

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from scripts.bench.stage import Stage

REPOSITORY: Final = Path(__file__).parents[2]
START_LIMIT_S: Final = 30.0
STOP_LIMIT_S: Final = 15.0
_POLL_S: Final = 0.02

RATE_LIMIT_THAT_STOPS_NOBODY: Final = {"CLICK_RATE": "1000000", "CLICK_BURST": "1000000"}
"""The limiter's code runs at every click, and lets it pass."""


class StackDidNotStartError(RuntimeError):
    """A stack did not listen in time; the text ends with its log."""


@dataclass(slots=True)
class Stack:
    """One process, or a supervisor with its workers, that serves /ws on a port."""

    name: str
    process: subprocess.Popen[bytes]
    port: int

    @property
    def url(self) -> str:
        """Where it serves the game."""
        return f"ws://127.0.0.1:{self.port}/ws"

    def cpu_s(self) -> float:
        """CPU seconds, user and system, since its start."""
        return cpu_s(self.process.pid)

    def resident_bytes(self) -> int:
        """Its resident memory."""
        return resident_bytes(self.process.pid)


@contextlib.contextmanager
def running(
    stage: Stage,
    name: str,
    command: list[str],
    settings: Mapping[str, str] | None = None,
    *,
    cores: tuple[int, ...] = (SERVER_CORE,),
) -> Iterator[Stack]:
    """Run `python …` until the block ends; it must listen on PORT, or on what `{port}` was replaced by."""
    port = free_port()
    log = stage.settings.data_dir / f"{name}-{port}.log"
    kept = {key: os.environ[key] for key in ("PATH", "HOME", "LANG") if key in os.environ}
    chosen = {
        "PYTHONPATH": str(REPOSITORY),
        "PORT": str(port),
        "DB_CONNECTION": stage.dsn,
        "REDIS_CONNECTION": stage.redis_url,
        "ACCESS_TOKEN_SECRET": stage.settings.access_token_secrets[0].reveal(),
        "REFRESH_TOKEN_SECRET": stage.settings.refresh_token_secrets[0].reveal(),
    }
    with log.open("wb") as output:
        process = subprocess.Popen(  # noqa: S603 - our own modules
            [sys.executable, *(word.format(port=port) for word in command)],
            cwd=stage.settings.data_dir,
            env=kept | chosen | dict(settings or {}),
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    stack = Stack(name, process, port)
    try:
        _wait_until_listening(stack, log)
        pin(process.pid, *cores)
        yield stack
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(STOP_LIMIT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(STOP_LIMIT_S)


def _wait_until_listening(stack: Stack, log: Path) -> None:
    end_s = time.monotonic() + START_LIMIT_S
    while time.monotonic() < end_s and stack.process.poll() is None:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", stack.port)) == 0:
                return
        time.sleep(_POLL_S)
    raise StackDidNotStartError(f"{stack.name} does not listen: {log.read_text()[-3000:]}")


@contextlib.contextmanager
def floor(stage: Stage) -> Iterator[Stack]:
    """Run a bare echo on sans-I/O `websockets`: the least that any server on this library costs."""
    command = ["-m", "scripts.bench.echo_server", "--variant", "floor", "--port", "{port}"]
    with running(stage, "floor", command) as stack:
        yield stack


@contextlib.contextmanager
def naive(stage: Stage) -> Iterator[Stack]:
    """Run the stack that one would write first."""
    with running(stage, "naive", ["-m", "scripts.bench.naive"]) as stack:
        yield stack


@contextlib.contextmanager
def game(
    stage: Stage,
    settings: Mapping[str, str] | None = None,
    *,
    cores: tuple[int, ...] = (SERVER_CORE,),
    module: str = "server",
) -> Iterator[Stack]:
    """Run the server as an operator would, with the limits of addresses off."""
    chosen = {**RATE_LIMIT_THAT_STOPS_NOBODY, "MAX_CONNECTIONS_PER_IP": "0", "LOG_LEVEL": "warning"}
    with running(stage, "server", ["-m", module], {**chosen, **(settings or {})}, cores=cores) as stack:
        yield stack
