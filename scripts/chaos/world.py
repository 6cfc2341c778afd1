"""The game under test: two databases, three servers, a flusher, and links between them that may break."""

from __future__ import annotations

import asyncio
import random
import secrets
import signal
import socket
import urllib.request
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from runtime.embedded.folder import held_folder
from runtime.embedded.postgres import SOCKET_NAME, EmbeddedPostgres
from runtime.embedded.valkey import EmbeddedValkey
from scripts.chaos.links import Link
from scripts.chaos.plan import FLUSHER, MANY_WORKERS, SERVERS
from scripts.chaos.programs import Database, PythonProgram, signal_all, tree

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

FLUSH_INTERVAL_S: Final = 1.0
SESSION_TTL_S: Final = 5
"""Short, so that players who leave for a while come back to a cold session."""

_READY_WITHIN_S: Final = 60.0
_LOOK_EVERY_S: Final = 0.1
_NO_LIMITS: Final = {
    "AUTH_RATE": "0",
    "BCRYPT_COST": "4",
    "CLICK_RATE": "0",
    "MAX_CONNECTIONS_PER_IP": "0",
    "MAX_CONNECTIONS_PER_USER": "0",
    "FLUSH_INTERVAL_MS": f"{1000 * FLUSH_INTERVAL_S:.0f}",
    "SESSION_TTL_S": str(SESSION_TTL_S),
    "DRAIN_S": "5",
}


@dataclass(frozen=True, slots=True)
class World:
    """Everything that runs, and the ways between.

    `clients` is the one link that players know; `to_redis` and `to_postgres` are each program's own.
    """

    folder: Path
    redis: Database
    postgres: Database
    programs: dict[str, PythonProgram]
    clients: Link
    to_redis: dict[str, Link]
    to_postgres: dict[str, Link]

    @property
    def url(self) -> str:
        """Where players go."""
        return f"http://127.0.0.1:{self.clients.port}"

    @property
    def redis_url(self) -> str:
        """Redis without a link between."""
        return self.redis.server.connection.reveal()

    @property
    def dsn(self) -> str:
        """PostgreSQL without a link between."""
        return self.postgres.server.connection.reveal()

    @property
    def links(self) -> list[Link]:
        """Every link."""
        return [self.clients, *self.to_redis.values(), *self.to_postgres.values()]


@asynccontextmanager
async def running_world(folder: Path, seed: int) -> AsyncIterator[World]:
    """Start everything, wait until it serves, and end all of it afterwards, whatever happened."""
    chance = random.Random(f"links {seed}")  # noqa: S311 - a test's chance, not a secret
    async with AsyncExitStack() as stack:
        data = stack.enter_context(held_folder(folder / "data"))
        redis = Database("redis", EmbeddedValkey(data))
        postgres = Database("postgres", EmbeddedPostgres(data))
        for database in (redis, postgres):
            stack.push_async_callback(_end, database)
            await database.start()
        redis_socket = data.own_sockets("valkey") / "valkey.sock"
        postgres_socket = postgres_folder(postgres) / SOCKET_NAME
        names = (*SERVERS, FLUSHER)
        to_redis = {name: Link(f"{name} - redis", [redis_socket], chance) for name in names}
        to_postgres = {name: Link(f"{name} - postgres", [postgres_socket], chance) for name in names}
        for link in (*to_redis.values(), *to_postgres.values()):
            stack.push_async_callback(link.close)
            await link.open()
        ports = dict(zip(SERVERS, _free_ports(len(SERVERS)), strict=True))
        keys = {name: secrets.token_hex(32) for name in ("ACCESS_TOKEN_SECRET", "REFRESH_TOKEN_SECRET")}
        programs = {}
        for name in names:
            settings = {
                **_NO_LIMITS,
                **keys,
                "DB_CONNECTION": f"postgresql://postgres@127.0.0.1:{to_postgres[name].port}/postgres",
                "REDIS_CONNECTION": f"redis://127.0.0.1:{to_redis[name].port}",
            }
            if name in ports:
                settings |= {"PORT": str(ports[name]), "WORKERS": "2" if name == MANY_WORKERS else "1"}
                settings |= {"FLUSHER": "off" if name == SERVERS[-1] else "on"}
            module = "server" if name in ports else "persistence.flusher"
            programs[name] = PythonProgram(name, module, folder, settings)
            stack.push_async_callback(_end_program, programs[name])
            await programs[name].start()
        clients = Link("clients", list(ports.values()), chance)
        stack.push_async_callback(clients.close)
        await clients.open()
        for name, port in ports.items():
            await _ready(programs[name], port)
        async with asyncio.TaskGroup() as group:
            keepers = [group.create_task(program.keep()) for program in programs.values()]
            yield World(folder, redis, postgres, programs, clients, to_redis, to_postgres)
            for keeper in keepers:
                keeper.cancel()


def postgres_folder(postgres: Database) -> Path:
    """Return the folder of PostgreSQL's socket."""
    return Path(postgres.server.connection.reveal().rpartition("host=")[2])


def _free_ports(count: int) -> list[int]:
    """Return ports that nothing listens on, outside those that the system hands out itself."""
    found: list[int] = []
    while len(found) < count:
        port = random.randrange(15_000, 32_000)  # noqa: S311 - any will do
        with socket.socket() as probe:
            if port not in found and probe.connect_ex(("127.0.0.1", port)):
                found.append(port)
    return found


async def _ready(program: PythonProgram, port: int) -> None:
    """Wait until a server says that it is ready; raises TimeoutError with what it wrote."""
    loop = asyncio.get_running_loop()
    end_s = loop.time() + _READY_WITHIN_S
    while loop.time() < end_s:
        if await asyncio.to_thread(_is_ready, port):
            return
        await asyncio.sleep(_LOOK_EVERY_S)
    raise TimeoutError(f"{program.name} is not ready: {program.log.read_text()[-2000:]}")


def _is_ready(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=2) as answer:
            return bool(answer.status == 200)  # noqa: PLR2004 - HTTP's own number
    except OSError:
        return False


async def _end(database: Database) -> None:
    try:
        signal_all(tree(database.pid), signal.SIGCONT)
        await database.stop()
    except ProcessLookupError:
        return


async def _end_program(program: PythonProgram) -> None:
    try:
        processes = tree(program.pid)
    except ProcessLookupError:
        return
    signal_all(processes, signal.SIGCONT)
    await program.kill()
    signal_all(processes, signal.SIGKILL)
