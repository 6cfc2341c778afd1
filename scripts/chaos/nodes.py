"""One Redis or Valkey of a run's own, and one Sentinel, that may be killed and asked anything."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import redis

from runtime.embedded.programs import valkey_program
from scripts.ports import free_port

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

READY_WITHIN_S: Final = 180.0
LOOK_EVERY_S: Final = 0.05
_ANSWER_WITHIN_S: Final = 10.0
_STOP_WITHIN_S: Final = 30.0


@dataclass(slots=True)
class RedisNode:
    """A server with an append-only file that is synced at each write; its data outlive `kill` and `stop`."""

    name: str
    folder: Path
    options: Sequence[str] = ()
    program: str = ""
    environment: Mapping[str, str] = field(default_factory=dict)
    port: int = field(default_factory=free_port)
    _process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """The number of the process; raises ProcessLookupError where it does not run."""
        if self._process is None or self._process.poll() is not None:
            raise ProcessLookupError(self.name)
        return self._process.pid

    async def start(self) -> None:
        """Start it over its data and wait until it answers. Raises TimeoutError with its log's end."""
        self.launch()
        end_s = time.monotonic() + READY_WITHIN_S
        while time.monotonic() < end_s:
            with contextlib.suppress(redis.RedisError, OSError):
                if await self.ask("PING"):
                    return
            await asyncio.sleep(LOOK_EVERY_S)
        raise TimeoutError(f"{self.name} does not answer: {self._log.read_text()[-2000:]}")

    def launch(self) -> None:
        """Start it without waiting."""
        self.folder.mkdir(exist_ok=True)
        command: list[str | Path] = [self.program or valkey_program(), *self._arguments()]
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(  # noqa: S603 - our own program
                command,
                env={**os.environ, **self.environment},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    async def ask(self, *words: str | float) -> Any:
        """Send one command on a connection of its own. Raises RedisError or OSError."""
        return await asyncio.to_thread(self._ask, words)

    def _ask(self, words: Sequence[str | float]) -> Any:
        with redis.Redis(port=self.port, decode_responses=True, socket_timeout=_ANSWER_WITHIN_S) as client:
            return client.execute_command(*words)

    async def facts(self, section: str) -> dict[str, str]:
        """Return a section of INFO by name."""
        reply = await self.ask("INFO", section)
        if isinstance(reply, dict):
            return {str(name): str(value) for name, value in reply.items()}
        return dict(line.split(":", 1) for line in str(reply).splitlines() if ":" in line)

    async def follows(self) -> bool:
        """Say whether it is a replica that has all its master's data."""
        try:
            facts = await self.facts("replication")
        except (redis.RedisError, OSError):
            return False
        return facts.get("role") == "slave" and facts.get("master_link_status") == "up"

    async def leads(self) -> bool:
        """Say whether it is a master."""
        try:
            return (await self.facts("replication")).get("role") == "master"
        except (redis.RedisError, OSError):
            return False

    async def kill(self) -> None:
        """End it with -9."""
        os.kill(self.pid, signal.SIGKILL)
        await self._gone()

    async def stop(self) -> None:
        """End it; nothing happens where it does not run."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGCONT)
            os.kill(self.pid, signal.SIGTERM)
            await self._gone()

    async def _gone(self) -> None:
        if self._process is not None:
            await asyncio.to_thread(self._process.wait, _STOP_WITHIN_S)

    @property
    def _log(self) -> Path:
        return self.folder / "log"

    def _arguments(self) -> list[str]:
        return [
            *("--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(self.folder)),
            *("--appendonly", "yes", "--appendfsync", "always", "--save", "", "--daemonize", "no"),
            *("--maxmemory-policy", "noeviction", "--repl-diskless-sync-delay", "0", *self.options),
        ]


class SentinelNode(RedisNode):
    """A Sentinel that watches one master, by the service's name `game`."""

    def watch(self, master: RedisNode, quorum: int) -> None:
        """Write what it is to watch, before its start."""
        self.folder.mkdir(exist_ok=True)
        (self.folder / "sentinel.conf").write_text(
            f"port {self.port}\nbind 127.0.0.1\ndir {self.folder}\n"
            f"sentinel monitor game 127.0.0.1 {master.port} {quorum}\n"
            "sentinel down-after-milliseconds game 3000\nsentinel failover-timeout game 6000\n"
        )

    def _arguments(self) -> list[str]:
        return [str(self.folder / "sentinel.conf"), "--sentinel"]


async def until(what: str, within_s: float, *conditions: Any) -> None:
    """Wait until every one of some asynchronous questions is answered by True. Raises TimeoutError."""
    end_s = time.monotonic() + within_s
    for condition in conditions:
        while not await condition():
            if time.monotonic() > end_s:
                raise TimeoutError(what)
            await asyncio.sleep(LOOK_EVERY_S)
