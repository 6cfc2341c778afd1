"""Why PostgreSQL does not serve: each reason has words of its own, none shows a password. Real servers."""

from __future__ import annotations

import asyncio
import errno
from dataclasses import dataclass
from typing import TYPE_CHECKING

import asyncpg
import pytest

from persistence.durable.migrate import migrate
from persistence.durable.pool import connect
from persistence.durable.reach import reach_postgres
from persistence.durable.rows import row_of_session
from persistence.durable.translated import translated
from persistence.errors import DurableRefused, DurableUnavailable
from scripts.ports import free_port
from tests.support.pgbouncer import needs_pgbouncer, running_pgbouncer
from tests.support.saving_world import player, saving_world
from tests.support.servers import PostgresServer, fresh_folder, running_postgres
from tests.support.tls import make_certificate, tls_doors

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator
    from pathlib import Path

PASSWORD = "Winter2026kitchen"
POOLING = "a pooler (PgBouncer) in transaction or statement mode is in between"


@dataclass(frozen=True, slots=True)
class World:
    """A PostgreSQL that asks for passwords, and a door before it that speaks TLS from the first byte.

    `cook` owns the database `cook`, `guest` owns nothing, `shut_out` is let in from nowhere.
    """

    port: int
    door: int
    certificate: Path

    def dsn(self, user: str = "cook", password: str = PASSWORD, rest: str = "/cook") -> str:
        """Name it with a user, a password, and what follows the host."""
        return f"postgresql://{user}:{password}@127.0.0.1:{self.port}{rest}"

    def tls_dsn(self, root: Path, host: str = "127.0.0.1") -> str:
        """Name the door, with the file of an authority."""
        query = f"sslmode=verify-full&sslnegotiation=direct&sslrootcert={root}"
        return f"postgresql://cook:{PASSWORD}@{host}:{self.door}/cook?{query}"


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    """One server for the module."""
    with fresh_folder("certificates") as folder, running_postgres() as server:
        certificate = make_certificate(folder)
        port, door = free_port(), free_port()
        asyncio.run(create_users(server))
        server.stop()
        rules = "host all shut_out all reject\nhost all all 127.0.0.1/32 scram-sha-256\n"
        (server.data / "pg_hba.conf").write_text(rules)
        # A later option wins over the one before.
        server.options = (*server.options, "-c", "listen_addresses=127.0.0.1", "-c", f"port={port}")
        server.start()
        with tls_doors(certificate, {door: port}):
            yield World(port, door, certificate.file)


async def create_users(server: PostgresServer) -> None:
    """Make users and their database while everybody is let in."""
    connection = await asyncpg.connect(server.dsn())
    for user in ("cook", "guest", "shut_out"):
        await connection.execute(f"CREATE ROLE {user} LOGIN PASSWORD '{PASSWORD}'")
    await connection.execute("CREATE DATABASE cook OWNER cook")
    await connection.close()


async def refusal(
    dsn: str,
    kind: type[DurableUnavailable] = DurableRefused,
    act: Callable[[str], Awaitable[object]] = reach_postgres,
) -> str:
    """Return the line with which an address is refused, once it is seen to show no password."""
    with pytest.raises(DurableUnavailable) as refused:
        await act(dsn)
    line = str(refused.value)
    assert type(refused.value) is kind, line
    assert line.isprintable()
    for piece in (PASSWORD, "Winter", "kitchen"):
        assert piece not in line
    return line


async def test_a_postgresql_that_serves_is_reached(world: World) -> None:
    """With and without TLS."""
    await reach_postgres(world.dsn())
    await reach_postgres(world.dsn(rest="/cook?sslmode=disable"))
    await reach_postgres(world.tls_dsn(world.certificate))


async def test_users_passwords_and_databases_are_told_apart(world: World) -> None:
    """A wrong password, no password, an unknown user and an unknown database."""
    wrong = "PostgreSQL knows no such user with this password: correct user:password before the host"
    assert await refusal(world.dsn(password=f"{PASSWORD}x")) == wrong
    assert await refusal(world.dsn(password="")) == wrong
    assert await refusal(world.dsn(user="nobody")) == wrong
    assert await refusal(world.dsn(rest="/none")) == (
        "PostgreSQL has no database of this name: create it, or correct the name after the host"
    )
    shut_out = await refusal(world.dsn(user="shut_out"))
    assert shut_out.startswith("PostgreSQL does not let this user in from here: ")


async def test_a_user_without_the_right_to_create_tables_is_told(world: World) -> None:
    """Since PostgreSQL 15 that is everyone but the owner of the database."""
    line = await refusal(world.dsn(user="guest"), act=migrate)
    assert line.startswith(
        "its user has no right to create and change the tables of the game: make it the owner"
    )


async def test_tls_is_told_apart(world: World) -> None:
    """Not trusted, another host's, a missing file, and one that holds something else."""
    with fresh_folder("other") as folder:
        untrusted = await refusal(world.tls_dsn(make_certificate(folder).file))
    lines = [
        untrusted,
        await refusal(world.tls_dsn(world.certificate, host="localhost")),
        await refusal(world.tls_dsn(world.certificate.with_name("none.pem"))),
        await refusal(world.tls_dsn(world.certificate.with_name("key.pem"))),
    ]
    starts = [
        "the certificate of PostgreSQL is not trusted: ",
        "the certificate of PostgreSQL is for another host name: ",
        "the file that sslrootcert names cannot be read (No such file or directory): ",
        "the files that sslrootcert, sslcert or sslkey name hold no fitting certificate",
    ]
    for line, start in zip(lines, starts, strict=True):
        assert line.startswith(start)


async def test_tls_that_is_not_spoken_there_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A server without TLS, and an address that wants TLS without an authority's certificate."""
    monkeypatch.setenv("HOME", str(tmp_path))
    port = free_port()
    with running_postgres("-c", "listen_addresses=127.0.0.1", "-c", f"port={port}"):
        at = f"postgresql://cook:{PASSWORD}@127.0.0.1:{port}/cook"
        assert (await refusal(f"{at}?sslmode=require")).startswith("what answers there speaks no TLS")
        assert (await refusal(f"{at}?sslmode=verify-full")).startswith(
            "this sslmode needs the certificate of an authority: "
        )


async def test_what_waiting_may_mend_is_told_apart(tmp_path: Path) -> None:
    """Nobody listens, no such host, no such socket."""
    lines = [
        await refusal(f"postgresql://cook:{PASSWORD}@{rest}", DurableUnavailable)
        for rest in ("127.0.0.1:1/cook", "db.invalid/cook", f"/cook?host={tmp_path}")
    ]
    assert lines == [
        "nothing listens there (connection refused)",
        "its host name is not known (DNS)",
        "there is no such socket",
    ]


def test_a_network_that_leads_nowhere_is_told() -> None:
    """As on a machine without a network. Nothing is sent from here: the error is given."""
    with pytest.raises(DurableUnavailable, match=r"^no network leads there"), translated():
        raise OSError(errno.EHOSTUNREACH, "No route to host")


@pytest.mark.parametrize(("name", "value"), [("PGPORT", "pepper"), ("PGSSLMODE", "pepper")])
async def test_a_variable_of_libpq_that_makes_no_sense_is_told(
    world: World, monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    """The client reads these by itself; the line names them as the place to look."""
    monkeypatch.setenv(name, value)
    dsn = f"postgresql://cook:{PASSWORD}@/cook" if name == "PGPORT" else world.dsn()
    line = await refusal(dsn)
    assert line.startswith("a variable PG… of the environment makes no sense: ")
    assert value not in line


@needs_pgbouncer
async def test_pgbouncer_in_session_mode_serves(world: World, valkey_url: str) -> None:
    """Tables are made, a session is written with the writer's own settings, and read, all through it."""
    with running_pgbouncer(behind(world), "session", "cook", PASSWORD) as port:
        dsn = f"postgresql://cook:{PASSWORD}@127.0.0.1:{port}/cook"
        await reach_postgres(dsn)
        async with saving_world(valkey_url, dsn) as saving:
            [user] = await saving.accounts(1)
            session = player(user)
            written = await saving.writer().write([row_of_session(session)])
            assert {user} == written.saved
            assert session == await saving.saved(user)
        connection = await connect(dsn, settings={"jit": "off", "enable_hashjoin": "off"})
        assert await connection.fetchval("SHOW enable_hashjoin") == "off"
        await connection.close()


@needs_pgbouncer
@pytest.mark.parametrize("mode", ["transaction", "statement"])
async def test_pgbouncer_in_another_mode_is_refused(world: World, mode: str) -> None:
    """It is recognized at the start, since it would mix up what belongs to one connection."""
    with running_pgbouncer(behind(world), mode, "cook", PASSWORD) as port:
        for _ in range(3):  # whatever backends it has in stock by then
            line = await refusal(f"postgresql://cook:{PASSWORD}@127.0.0.1:{port}/cook")
            assert line.startswith(POOLING)
            assert "pool_mode = session" in line


@needs_pgbouncer
async def test_what_pgbouncer_refuses_is_told_apart(world: World) -> None:
    """It words a wrong password, an unknown user and an unknown option in ways of its own."""
    wrong = "PostgreSQL knows no such user with this password: "
    with running_pgbouncer(behind(world), "session", "cook", PASSWORD) as port:
        at = f"127.0.0.1:{port}/cook"
        assert (await refusal(f"postgresql://cook:{PASSWORD}x@{at}")).startswith(wrong)
        assert (await refusal(f"postgresql://nobody:{PASSWORD}@{at}")).startswith(wrong)
        options = await refusal(f"postgresql://cook:{PASSWORD}@{at}?options=-cjit%3Doff")
        assert options.startswith("PgBouncer does not take the option options: ")


def behind(world: World) -> str:
    """Name the server as PgBouncer's settings do."""
    return f"host=127.0.0.1 port={world.port} user=cook password={PASSWORD}"
