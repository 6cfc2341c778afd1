"""The game under test: a Redis of some kind, PostgreSQL, servers, a flusher, and links that may break."""

from __future__ import annotations

import asyncio
import random
import secrets
import signal
import urllib.request
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

from runtime.embedded.folder import held_folder
from runtime.embedded.postgres import SOCKET_NAME, EmbeddedPostgres
from scripts.chaos.cluster_world import Cluster
from scripts.chaos.links import Link
from scripts.chaos.plan import FLUSHER, MANY_WORKERS, SERVERS, Kind
from scripts.chaos.programs import Database, PythonProgram, signal_all, tree
from scripts.chaos.sentinel_world import Sentinels
from scripts.chaos.single_worlds import OneRedis, TwoBehindOneAddress, debian_redis
from scripts.ports import free_port

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping

    from scripts.chaos.redis_world import RedisWorld
    from scripts.forking import Nursery

FLUSH_INTERVAL_S: Final = 1.0
SESSION_TTL_S: Final = 2
"""Short, so that players who leave for a while come back to a cold session."""

_READY_WITHIN_S: Final = 60.0
_LOOK_EVERY_S: Final = 0.1
_SETTINGS: Final = {
    "AUTH_RATE": "0",
    "BCRYPT_COST": "4",
    "CLICK_RATE": "0",
    "MAX_CONNECTIONS_PER_IP": "0",
    "MAX_CONNECTIONS_PER_USER": "0",
    "FLUSH_INTERVAL_MS": f"{1000 * FLUSH_INTERVAL_S:.0f}",
    "SESSION_TTL_S": str(SESSION_TTL_S),
    "DRAIN_S": "5",
}
_EVERYWHERE: Final = frozenset(
    {
        Kind.SERVER_KILLED, Kind.WORKER_KILLED, Kind.SERVER_STOPPED, Kind.POSTGRES_KILLED,
        Kind.BACKEND_KILLED, Kind.POSTGRES_STOPPED, Kind.POSTGRES_READ_ONLY, Kind.FLUSHER_KILLED,
        Kind.FLUSHER_STOPPED, Kind.LOG_CLOSED, Kind.CLIENTS_CUT, Kind.CLIENTS_DELAYED, Kind.CLIENTS_FROZEN,
        Kind.CLIENTS_HALF_OPEN, Kind.POSTGRES_CUT, Kind.POSTGRES_DELAYED, Kind.POSTGRES_FROZEN,
        Kind.POSTGRES_HALF_OPEN,
    }
)  # fmt: skip
_OF_LINKED_REDIS: Final = frozenset(
    {
        Kind.REDIS_CUT, Kind.REDIS_DELAYED, Kind.REDIS_FROZEN, Kind.REDIS_HALF_OPEN, Kind.SUBSCRIPTIONS_HELD,
    }
)  # fmt: skip
_OF_ONE_REDIS: Final = frozenset({Kind.REDIS_KILLED, Kind.REDIS_STOPPED, Kind.SCRIPTS_FLUSHED})

WORLDS: Final[Mapping[str, Callable[[Path, random.Random], RedisWorld]]] = {
    "valkey": OneRedis,
    "redis 7.0": lambda folder, chance: OneRedis(folder, chance, debian_redis() or "redis-server"),
    "two behind one address": TwoBehindOneAddress,
    "two behind one address without WAIT": lambda folder, chance: TwoBehindOneAddress(folder, chance, 0),
    "cluster": lambda folder, _: Cluster(folder, 1),
    "cluster without WAIT": lambda folder, _: Cluster(folder, 0),
    "sentinels": lambda folder, _: Sentinels(folder, 1),
    "sentinels without WAIT": lambda folder, _: Sentinels(folder, 0),
}
"""Each kind of Redis by the name that the report gives it."""


def possible_worlds() -> list[str]:
    """Name the worlds that this machine has the programs for."""
    has_debian = debian_redis() is not None
    return [name for name in WORLDS if has_debian or name != "redis 7.0"]


@dataclass(frozen=True, slots=True)
class World:
    """Everything that runs, and the ways between.

    `clients` and `to_postgres` are links by process, `ports` where servers listen themselves.
    """

    folder: Path
    redis: RedisWorld
    postgres: Database
    programs: dict[str, PythonProgram]
    clients: dict[str, Link]
    ports: dict[str, int]
    to_postgres: dict[str, Link]

    @property
    def urls(self) -> dict[str, str]:
        """Where players go, by server."""
        return {name: f"http://127.0.0.1:{link.port}" for name, link in self.clients.items()}

    @property
    def dsn(self) -> str:
        """PostgreSQL without a link between."""
        return self.postgres.server.connection.reveal()

    @property
    def kinds(self) -> list[Kind]:
        """The faults that can happen here."""
        has = _EVERYWHERE | set(self.redis.acts)
        if self.redis.links:
            has |= _OF_LINKED_REDIS
        if len(self.redis.nodes) == 1:
            has |= _OF_ONE_REDIS
        if MANY_WORKERS not in self.programs:
            has -= {Kind.WORKER_KILLED}
        return [kind for kind in Kind if kind in has]


@dataclass(frozen=True, slots=True)
class Cast:
    """Which processes of ours take part: `servers` by name, and the module that each runs.

    `more` are settings of all on top of those of a run, `flusher_more` those of the flusher on top of these.
    """

    servers: tuple[str, ...] = SERVERS
    module: str = "server"
    flusher_module: str = "persistence.flusher"
    more: Mapping[str, str] = field(default_factory=dict)
    flusher_more: Mapping[str, str] = field(default_factory=dict)
    nursery: Nursery | None = None
    """Where all are forked, if not started from nothing."""


@asynccontextmanager
async def running_world(kind: str, folder: Path, seed: int, cast: Cast | None = None) -> AsyncIterator[World]:
    """Start everything, wait until it serves, and end all of it afterwards, whatever happened."""
    cast = cast or Cast()
    chance = random.Random(f"links {seed}")  # noqa: S311 - a test's chance, not a secret
    async with AsyncExitStack() as stack:
        data = stack.enter_context(held_folder(folder / "data"))
        postgres = Database("postgres", EmbeddedPostgres(data))
        stack.push_async_callback(_end, postgres)
        redis = WORLDS[kind](folder, chance)
        stack.push_async_callback(_end_nodes, redis)
        await asyncio.gather(postgres.start(), redis.start())
        postgres_socket = Path(postgres.server.connection.reveal().rpartition("host=")[2]) / SOCKET_NAME
        names = (*cast.servers, FLUSHER)
        to_postgres = {name: Link(f"{name} - postgres", [postgres_socket], chance) for name in names}
        ports = {name: free_port() for name in cast.servers}
        clients = {name: Link(f"clients - {name}", [port], chance) for name, port in ports.items()}
        for link in (*redis.links.values(), *to_postgres.values(), *clients.values()):
            stack.push_async_callback(link.close)
            await link.open()
        keys = {name: secrets.token_hex(32) for name in ("ACCESS_TOKEN_SECRET", "REFRESH_TOKEN_SECRET")}
        programs = {}
        for name in names:
            settings = {
                **_SETTINGS,
                **keys,
                "DB_CONNECTION": f"postgresql://postgres@127.0.0.1:{to_postgres[name].port}/postgres",
                "REDIS_CONNECTION": redis.address(name),
                "WAIT_REPLICAS": str(redis.wait_replicas),
                **cast.more,
            }
            if name in ports:
                settings |= {"PORT": str(ports[name]), "WORKERS": "2" if name == MANY_WORKERS else "1"}
                settings |= {"FLUSHER": "off" if name == SERVERS[-1] else "on"}
            else:
                settings |= cast.flusher_more
            module = cast.module if name in ports else cast.flusher_module
            programs[name] = PythonProgram(name, module, folder, settings, cast.nursery)
            programs[name].pipe.open()
            stack.callback(programs[name].pipe.close)
            stack.push_async_callback(_end_program, programs[name])
            await programs[name].start()
        for name, port in ports.items():
            await _ready(programs[name], port)
        async with asyncio.TaskGroup() as group:
            keepers = [group.create_task(program.keep()) for program in programs.values()]
            yield World(folder, redis, postgres, programs, clients, ports, to_postgres)
            for keeper in keepers:
                keeper.cancel()


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


async def _end_nodes(redis: RedisWorld) -> None:
    await asyncio.gather(*(node.stop() for node in redis.nodes))


async def _end_program(program: PythonProgram) -> None:
    try:
        processes = tree(program.pid)
    except ProcessLookupError:
        return
    signal_all(processes, signal.SIGCONT)
    await program.kill()
    signal_all(processes, signal.SIGKILL)
