"""Where the bench plays: a fresh Valkey and PostgreSQL, players in them, and which core runs what.

With BENCH_REDIS=PROGRAM (`redis-server`, `valkey-server`) that program runs in the place of the embedded
Valkey, with `deploy/redis.conf`.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import secrets
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

import asyncpg
import psutil
import redis

from game.session import UserId
from persistence.durable.migrate import migrate
from runtime.embedded import embedded_servers
from runtime.settings import Secret, Settings
from server.auth.tokens import TokenSigner

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

SERVER_CORE: Final = 0
LOAD_CORE: Final = 1
"""Redis and the load share it, so that whatever the server does it does alone."""
_REDIS_CONF: Final = Path(__file__).resolve().parents[2] / "deploy" / "redis.conf"
_REDIS_STARTS_WITHIN_S: Final = 10.0


@dataclass(slots=True)
class Stage:
    """The databases that every stack shares, and the players in them."""

    settings: Settings
    redis_pid: int
    signer: TokenSigner
    _players: int = 0

    @property
    def redis_url(self) -> str:
        """Where Valkey listens."""
        return self.settings.redis_connection.reveal()

    @property
    def dsn(self) -> str:
        """Where PostgreSQL listens."""
        return self.settings.db_connection.reveal()

    def redis(self) -> redis.Redis:
        """Open a blocking client, for looking."""
        return redis.Redis.from_url(self.redis_url)

    def log_bytes(self) -> int:
        """Return how long the append-only file is; shorter than before once it was rewritten."""
        with self.redis() as client:
            return int(client.info("persistence")["aof_current_size"])

    async def players(self, count: int, bought: str = "1:1") -> list[UserId]:
        """Make accounts with a saved session each, owning `bought` (`id:n,…`): by default a sandwich."""
        connection = await asyncpg.connect(self.dsn)
        try:
            first = self._players
            self._players += count
            emails = [f"bench{number}@example.com" for number in range(first, first + count)]
            rows = await connection.fetch(
                "INSERT INTO accounts (email, password_hash) SELECT unnest($1::text[]), '' RETURNING id",
                emails,
            )
            now_ms = int(time.time() * 1000)
            await connection.execute(
                "INSERT INTO sessions (user_id, version, accrued_at, bought)"
                " SELECT unnest($1::bigint[]), $2, $2, $3",
                [row["id"] for row in rows],
                now_ms,
                bought,
            )
        finally:
            await connection.close()
        return [UserId(row["id"]) for row in rows]

    def tokens(self, players: Sequence[UserId]) -> list[str]:
        """Sign an access token for each player, as a log-in would."""
        now_s = int(time.time())
        return [
            self.signer.issue_pair(
                player, secrets.token_urlsafe(16), secrets.token_urlsafe(16), now_s
            ).access_token
            for player in players
        ]


@contextlib.contextmanager
def stage() -> Iterator[Stage]:
    """Run Valkey (append-only file, synced at each write) and PostgreSQL in a fresh folder; pin Valkey."""
    with tempfile.TemporaryDirectory(prefix="cc-bench-", dir="/tmp", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        folder.chmod(0o711)  # root's PostgreSQL runs as nobody
        with (
            _chosen_redis(folder) as chosen,
            embedded_servers(
                Settings(data_dir=folder / "data", redis_connection=chosen), on_loss=_lost
            ) as settings,
        ):
            with redis.Redis.from_url(settings.redis_connection.reveal()) as client:
                redis_pid = int(client.info("server")["process_id"])
            pin(redis_pid, LOAD_CORE)
            signer = TokenSigner(
                [key.reveal() for key in settings.access_token_secrets],
                [key.reveal() for key in settings.refresh_token_secrets],
            )
            yield Stage(dataclasses.replace(settings, data_dir=folder), redis_pid, signer)


@contextlib.contextmanager
def _chosen_redis(folder: Path) -> Iterator[Secret]:
    """Run the program that BENCH_REDIS names, if any; yields its address, or an empty one."""
    program = os.environ.get("BENCH_REDIS")
    if not program:
        yield Secret("")
        return
    data, listening = folder / "redis", folder / "redis.sock"
    data.mkdir()
    words = [
        program,
        _REDIS_CONF,
        "--dir",
        data,
        "--port",
        "0",
        "--unixsocket",
        listening,
        "--logfile",
        data / "log",
    ]
    try:
        process = subprocess.Popen([*map(str, words)])  # noqa: S603 - the caller's own program
    except OSError as error:
        raise SystemExit(f"BENCH_REDIS: {program} cannot be started: {error.strerror}") from error
    try:
        deadline_s = time.monotonic() + _REDIS_STARTS_WITHIN_S
        while not listening.exists():
            if process.poll() is not None or time.monotonic() > deadline_s:
                raise SystemExit(f"BENCH_REDIS: {program} does not start (code {process.poll()})")
            time.sleep(0.01)
        yield Secret(f"unix://{listening}")
    finally:
        process.terminate()
        process.wait()


async def with_database(built: Stage, name: str) -> Stage:
    """Return the stage with a database of its own, empty: a release refuses one that a newer has migrated."""
    connection = await asyncpg.connect(built.dsn)
    try:
        await connection.execute(f"CREATE DATABASE {name}")
    finally:
        await connection.close()
    dsn = urlsplit(built.dsn)._replace(path=f"/{name}").geturl()
    settings = dataclasses.replace(built.settings, db_connection=Secret(dsn))
    return dataclasses.replace(built, settings=settings)


async def prepared(built: Stage) -> None:
    """Migrate, so that players can be made before a server has run."""
    await migrate(built.dsn)


def _lost() -> None:
    os.kill(os.getpid(), 15)


def pin(pid: int, *cores: int) -> None:
    """Let every thread of a process run on these cores only; nothing happens where the system cannot."""
    if not hasattr(os, "sched_setaffinity"):
        return
    allowed = set(cores) & os.sched_getaffinity(0) or set(cores)
    for thread in psutil.Process(pid).threads():
        with contextlib.suppress(OSError):
            os.sched_setaffinity(thread.id, allowed)


def cpu_s(pid: int) -> float:
    """CPU seconds, user and system, that a process and its children alive have used."""
    process = psutil.Process(pid)
    total = 0.0
    for one in (process, *process.children(recursive=True)):
        with contextlib.suppress(psutil.NoSuchProcess):
            times = one.cpu_times()
            total += times.user + times.system
    return total


def main_thread_s(pid: int) -> float:
    """CPU seconds of a process' main thread, to the nanosecond where the system counts so."""
    counted = Path(f"/proc/{pid}/schedstat")
    if not counted.exists():
        return cpu_s(pid)
    on_cpu_ns, *_ = counted.read_text().split()
    return int(on_cpu_ns) / 1e9


def resident_bytes(pid: int) -> int:
    """Resident memory of a process."""
    return int(psutil.Process(pid).memory_info().rss)
