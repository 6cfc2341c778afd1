"""The databases that stand in where no external ones are named."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import stat
from pathlib import Path
from typing import TYPE_CHECKING

import asyncpg
import psutil
import pytest
import redis

from runtime.embedded import embedded_servers
from runtime.embedded.postgres import memory_is_held
from runtime.embedded.processes import LeftBehind
from runtime.embedded.valkey import PACKED_HASHES
from runtime.settings import Secret, Settings, StartupError
from tests.support.limits import LIMIT_S
from tests.support.servers import fresh_folder

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def data_dir() -> Iterator[Path]:
    """A folder for DATA_DIR in which nothing runs any more after the test."""
    with fresh_folder("data") as folder:
        yield folder / "data"
        for number in running_pids(folder / "data").values():
            with contextlib.suppress(ProcessLookupError):
                os.kill(number, signal.SIGKILL)


def never() -> None:
    """Stand for a loss that must not come."""
    raise AssertionError("an embedded server was given up")


def running_pids(data_dir: Path) -> dict[str, int]:
    """Return the numbers of the embedded servers by the folder they work in."""
    folders = {str(data_dir.resolve() / name): name for name in ("valkey", "postgres")}
    found = {}
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            name = folders.get(process.cwd())
            if name is not None and process.ppid() in {1, os.getpid(), *subreapers()}:
                found[name] = process.pid
    return found


def subreapers() -> set[int]:
    """Return who may have inherited a server whose parent was killed."""
    return {parent.pid for parent in psutil.Process().parents()}


def write(settings: Settings, value: str) -> None:
    """Put a value into Redis."""
    with redis.Redis.from_url(settings.redis_connection.reveal()) as client:
        client.set("key", value)


def read(settings: Settings) -> str:
    """Return the value from Redis."""
    with redis.Redis.from_url(settings.redis_connection.reveal(), decode_responses=True) as client:
        return str(client.get("key"))


async def ask(settings: Settings, query: str) -> object:
    """Return one value from PostgreSQL."""
    connection = await asyncpg.connect(settings.db_connection.reveal())
    try:
        answer: object = await connection.fetchval(query)
        return answer
    finally:
        await connection.close()


async def test_data_and_secrets_are_there_after_a_stop_and_a_start(data_dir: Path) -> None:
    """What was written, and the secrets made at the first start, are the same at the second."""
    with embedded_servers(Settings(data_dir=data_dir), on_loss=never) as first:
        write(first, "kept")
        await ask(first, "CREATE TABLE kept (id int)")
    assert running_pids(data_dir) == {}

    with embedded_servers(Settings(data_dir=data_dir), on_loss=never) as second:
        assert read(second) == "kept"
        assert await ask(second, "SELECT count(*) FROM kept") == 0
        assert second == first
    assert len(first.access_token_secrets[0].reveal()) == 64
    assert first.access_token_secrets != first.refresh_token_secrets


async def test_every_write_is_on_disk_before_its_answer(data_dir: Path) -> None:
    """Valkey syncs each write and drops nothing when full; PostgreSQL syncs each commit."""
    option, longest = PACKED_HASHES
    with embedded_servers(Settings(data_dir=data_dir), on_loss=never) as settings:
        with redis.Redis.from_url(settings.redis_connection.reveal(), decode_responses=True) as client:
            wanted = {"appendonly": "yes", "appendfsync": "always", "maxmemory-policy": "noeviction"}
            wanted[option.lstrip("-")] = longest
            assert client.config_get(*wanted) == wanted
        assert await ask(settings, "SHOW fsync") == "on"
        assert await ask(settings, "SHOW synchronous_commit") == "on"


def test_a_second_server_is_told_in_one_line(data_dir: Path) -> None:
    """DATA_DIR serves one server at a time; the line names the process that has it."""
    with (
        embedded_servers(Settings(data_dir=data_dir), on_loss=never),
        pytest.raises(StartupError, match=f"in use by process {os.getpid()}: ") as refused,
        embedded_servers(Settings(data_dir=data_dir), on_loss=never),
    ):
        pass

    assert "\n" not in str(refused.value)


@contextlib.contextmanager
def killed_server(data_dir: Path, value: str) -> Iterator[None]:
    """Leave what a killed server leaves: running databases, and a value written just before."""
    pid = os.fork()
    if pid == 0:
        with (
            contextlib.suppress(BaseException),
            embedded_servers(Settings(data_dir=data_dir), on_loss=never) as own,
        ):
            write(own, value)
            os.kill(os.getpid(), signal.SIGKILL)
        os._exit(1)
    _, status = os.waitpid(pid, 0)
    assert os.WTERMSIG(status) == signal.SIGKILL
    yield


def test_what_a_killed_server_left_running_is_adopted(data_dir: Path) -> None:
    """The next start goes on with the same processes, and stops them at its end."""
    with killed_server(data_dir, "kept"):
        left = running_pids(data_dir)
        assert left.keys() == {"valkey", "postgres"}

        with embedded_servers(Settings(data_dir=data_dir), on_loss=never) as settings:
            assert running_pids(data_dir) == left
            assert read(settings) == "kept"

        assert running_pids(data_dir) == {}


@pytest.mark.parametrize("also", [(), ("valkey", "postgres"), ("valkey",), ("postgres",)])
async def test_nothing_is_lost_with_a_killed_server(data_dir: Path, also: tuple[str, ...]) -> None:
    """Whatever was killed with the server starts again, past its stale files, with all that was written."""
    with killed_server(data_dir, "kept"):
        left = running_pids(data_dir)
        for name in also:
            victim = LeftBehind(psutil.Process(left[name]))
            victim.process.kill()
            assert victim.wait(LIMIT_S)  # until then it would be adopted

        with embedded_servers(Settings(data_dir=data_dir), on_loss=never) as settings:
            assert read(settings) == "kept"
            assert await ask(settings, "SELECT 1") == 1


def test_a_stale_file_that_names_another_process_does_no_harm(data_dir: Path) -> None:
    """A number that belongs to another program by now is neither adopted nor ended."""
    with embedded_servers(Settings(data_dir=data_dir), on_loss=never):
        pid_file = (data_dir / "postgres" / "postmaster.pid").read_text()
    lines = [str(os.getpid()), *pid_file.splitlines()[1:]]
    (data_dir / "postgres" / "postmaster.pid").write_text("\n".join(lines))
    (data_dir / "valkey" / "valkey.pid").write_text(str(os.getpid()))

    with embedded_servers(Settings(data_dir=data_dir), on_loss=never):
        assert running_pids(data_dir).keys() == {"valkey", "postgres"}


@pytest.mark.parametrize("name", ["valkey", "postgres"])
async def test_a_server_that_dies_is_started_again(data_dir: Path, name: str) -> None:
    """A database that is killed while the server runs comes back on its own, with its data."""
    with embedded_servers(Settings(data_dir=data_dir), on_loss=never) as settings:
        write(settings, "kept")
        held = await asyncpg.connect(settings.db_connection.reveal())
        victim = psutil.Process(running_pids(data_dir)[name])

        victim.kill()

        victim.wait(LIMIT_S)
        await until_answered(settings)
        assert running_pids(data_dir)[name] != victim.pid
        assert read(settings) == "kept"
        held.terminate()


async def until_answered(settings: Settings) -> None:
    """Wait until both databases answer again."""
    async with asyncio.timeout(LIMIT_S):
        while True:
            with contextlib.suppress(OSError, asyncpg.PostgresError, redis.RedisError):
                await ask(settings, "SELECT 1")
                read(settings)
                return
            await asyncio.sleep(0.02)


def test_one_may_be_external(data_dir: Path, valkey_url: str) -> None:
    """With Redis external, only PostgreSQL runs, and the secrets are the operator's own."""
    own = Settings(
        data_dir=data_dir,
        redis_connection=Secret(valkey_url),
        access_token_secrets=(Secret("a" * 32),),
        refresh_token_secrets=(Secret("r" * 32),),
    )

    with embedded_servers(own, on_loss=never) as settings:
        assert running_pids(data_dir).keys() == {"postgres"}
        assert settings.redis_connection == own.redis_connection
        assert settings.access_token_secrets == own.access_token_secrets


def test_external_databases_leave_no_folder(data_dir: Path, valkey_url: str) -> None:
    """With both external nothing is started or made."""
    own = Settings(
        data_dir=data_dir, redis_connection=Secret(valkey_url), db_connection=Secret("postgresql://db/game")
    )

    with embedded_servers(own, on_loss=never) as settings:
        assert settings is own
    assert not data_dir.exists()


def test_a_long_path_keeps_its_sockets_elsewhere(data_dir: Path) -> None:
    """A DATA_DIR too long for a socket's path works, and the next start finds the same sockets."""
    long = data_dir / ("long" * 25)

    with embedded_servers(Settings(data_dir=long), on_loss=never) as first:
        write(first, "kept")
    with embedded_servers(Settings(data_dir=long), on_loss=never) as second:
        assert read(second) == "kept"
        assert second.redis_connection == first.redis_connection
    sockets = Path(first.redis_connection.reveal().removeprefix("unix://")).parent.parent
    assert not sockets.is_relative_to(data_dir)
    assert stat.S_IMODE(sockets.stat().st_mode) & 0o066 == 0
    shutil.rmtree(sockets)


def test_secrets_are_for_the_owner_alone(data_dir: Path) -> None:
    """Nobody else may read the secrets or enter the data."""
    with embedded_servers(Settings(data_dir=data_dir), on_loss=never):
        for name, mode in {
            "access_token_secret": 0o600,
            "refresh_token_secret": 0o600,
            "valkey": 0o700,
        }.items():
            assert stat.S_IMODE((data_dir / name).stat().st_mode) == mode, name


def test_a_folder_that_cannot_be_made_is_told_in_one_line(tmp_path: Path) -> None:
    """A DATA_DIR below a file is refused by name."""
    (tmp_path / "file").write_text("")

    with (
        pytest.raises(StartupError, match=r"DATA_DIR=.* cannot be used: Not a directory"),
        embedded_servers(Settings(data_dir=tmp_path / "file" / "data"), on_loss=never),
    ):
        pass


def test_a_damaged_database_is_told_in_one_line(data_dir: Path) -> None:
    """A PostgreSQL that does not start is reported with its own last words."""
    with embedded_servers(Settings(data_dir=data_dir), on_loss=never):
        pass
    (data_dir / "postgres" / "global" / "pg_control").write_bytes(b"")

    with (
        pytest.raises(
            StartupError, match=r"the embedded PostgreSQL does not start: .*postgres.log"
        ) as refused,
        embedded_servers(Settings(data_dir=data_dir), on_loss=never),
    ):
        pass

    assert "\n" not in str(refused.value)
    assert running_pids(data_dir) == {}


def test_who_holds_the_memory_of_a_killed_one_may_write_last(tmp_path: Path) -> None:
    """The new PostgreSQL says why it does not start, and then an old one's child that it ends."""
    log = tmp_path / "postgres.log"
    old = "FATAL:  terminating connection due to unexpected postmaster exit\n"
    log.write_text(f"{old}FATAL:  pre-existing shared memory block (key 1, ID 2) is still in use\n{old}")
    assert memory_is_held(log, 0)
    assert not memory_is_held(log, len(log.read_text()) - len(old))
    assert not memory_is_held(tmp_path / "none.log", 0)
