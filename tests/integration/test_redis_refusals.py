"""Why Redis does not answer: each reason has words of its own, none shows a password. Real servers."""

from __future__ import annotations

import asyncio
import errno
import shutil
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest
import redis

from persistence.errors import LiveUnavailable
from persistence.live.reach import reach_redis
from persistence.live.reasons import LiveRefused, explained
from runtime.connection_urls import parse_redis_url
from scripts.ports import free_port
from tests.support.limits import LIMIT_S
from tests.support.servers import (
    VALKEY_PROGRAM,
    ValkeyServer,
    cluster_options,
    fresh_folder,
    running_cluster,
    running_valkey,
)
from tests.support.tls import make_certificate, tls_doors

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

PASSWORD = "Winter2026kitchen"
REDIS_PROGRAM = shutil.which("redis-server")
PROGRAMS = [
    pytest.param(VALKEY_PROGRAM, id="valkey"),
    pytest.param(
        REDIS_PROGRAM or "",
        id="redis",
        marks=pytest.mark.skipif(REDIS_PROGRAM is None, reason="redis-server is not installed"),
    ),
]


@dataclass(frozen=True, slots=True)
class World:
    """Servers of one kind: `open` has no password, `closed` has one and users; doors in front speak TLS.

    `tls_asking` is a port that asks for a client certificate, 0 where the program speaks no TLS.
    """

    open: int
    closed: int
    door: int
    tls_asking: int
    certificate: Path
    other_certificate: Path


@pytest.fixture(scope="module", params=PROGRAMS)
def world(request: pytest.FixtureRequest) -> Iterator[World]:
    """Two servers of a kind and a door with TLS before the first."""
    program = request.param
    with ExitStack() as stack:
        folder = stack.enter_context(fresh_folder("certificates"))
        (folder / "other").mkdir()
        certificate, other = make_certificate(folder), make_certificate(folder / "other")
        asking, options = 0, []
        if program == REDIS_PROGRAM:
            asking = free_port()
            options = ["--tls-port", str(asking), "--tls-cert-file", str(certificate.file)]
            options += ["--tls-key-file", str(certificate.key), "--tls-ca-cert-file", str(certificate.file)]
        first = stack.enter_context(running_valkey(*options, program=program, port=free_port()))
        second = stack.enter_context(running_valkey(program=program, port=free_port()))
        door = free_port()
        stack.enter_context(tls_doors(certificate, {door: first.port}))
        for name, rights in {
            "cook": ["~*", "&*", "+@all"],
            "noinfo": ["~*", "&*", "+@all", "-info"],
            "noscript": ["~*", "&*", "+@all", "-script|load"],
            "nokeys": ["~session:*", "&*", "+@all"],
            "nochannels": ["~*", "resetchannels", "+@all"],
        }.items():
            second.ask("ACL", "SETUSER", name, "on", f">{PASSWORD}", *rights)
        second.ask("CONFIG", "SET", "requirepass", PASSWORD)
        yield World(first.port, second.port, door, asking, certificate.file, other.file)


async def refusal(url: str, kind: type[LiveUnavailable] = LiveRefused) -> str:
    """Return the line with which an address is refused, once it is seen to show no password.

    A peer that closes at once may cut off its own words: what may pass by itself is tried again.
    """
    with pytest.raises(LiveUnavailable) as refused:
        await reach_redis(url, wait_s=LIMIT_S if kind is LiveRefused else 0)
    line = str(refused.value)
    assert type(refused.value) is kind, line
    assert line.isprintable()
    for piece in (PASSWORD, "Winter", "kitchen"):
        assert piece not in line
    return line


async def test_a_redis_that_serves_is_reached(world: World) -> None:
    """Without a password, with one, as a user, and over TLS."""
    ca = world.certificate
    await reach_redis(f"redis://127.0.0.1:{world.open}/3")
    await reach_redis(f"redis://:{PASSWORD}@127.0.0.1:{world.closed}")
    await reach_redis(f"redis://cook:{PASSWORD}@127.0.0.1:{world.closed}")
    await reach_redis(f"rediss://127.0.0.1:{world.door}?ssl_ca_certs={ca}")


@pytest.mark.parametrize(
    ("credentials", "line"),
    [
        ("", "Redis asks for a password and the address has none: put it before the host"),
        (f":{PASSWORD}x@", "Redis knows no such user with this password: correct user:password"),
        (f"cook:{PASSWORD}x@", "Redis knows no such user with this password: correct user:password"),
        (f"nobody:{PASSWORD}@", "Redis knows no such user with this password: correct user:password"),
        (f"noinfo:{PASSWORD}@", "its user has no right to the command INFO (ACL): grant it +info"),
        (f"noscript:{PASSWORD}@", "its user has no right to the command SCRIPT LOAD (ACL): grant it"),
        (f"nokeys:{PASSWORD}@", "its user has no right to the game's keys (ACL): grant it ~*"),
        (f"nochannels:{PASSWORD}@", "its user has no right to the game's channels (ACL): grant it &user"),
    ],
)
async def test_passwords_and_rights_are_told_apart(world: World, credentials: str, line: str) -> None:
    """A missing password, a wrong one, and each right that a user lacks."""
    assert (await refusal(f"redis://{credentials}127.0.0.1:{world.closed}")).startswith(line)


async def test_tls_is_told_apart(world: World) -> None:
    """TLS at a plain port and the other way round, a missing file, and each reason not to trust."""
    at, ca = f"127.0.0.1:{world.door}", world.certificate
    lines = [
        await refusal(f"rediss://:{PASSWORD}@127.0.0.1:{world.open}?ssl_ca_certs={ca}"),
        await refusal(f"redis://:{PASSWORD}@{at}"),
        await refusal(f"rediss://{at}?ssl_ca_certs={ca}.not"),
        await refusal(f"rediss://{at}?ssl_ca_certs={ca.with_name('key.pem')}"),
        await refusal(f"rediss://{at}"),
        await refusal(f"rediss://localhost:{world.door}?ssl_ca_certs={ca}"),
    ]
    starts = [
        "Redis speaks no TLS at this port: begin with redis:// in place of rediss://, or give its TLS port",
        "Redis speaks TLS at this port: begin with rediss:// in place of redis://",
        "the file that ssl_ca_certs names cannot be read (No such file or directory): correct its path",
        "the files that ssl_ca_certs, ssl_certfile or ssl_keyfile name hold no fitting certificate",
        "the certificate of Redis is not trusted: name the file of its authority, as in ?ssl_ca_certs=/",
        "the certificate of Redis is for another host name: use that name, or renew the certificate",
    ]
    for line, start in zip(lines, starts, strict=True):
        assert line.startswith(start)
    other = await refusal(f"rediss://{at}?ssl_ca_certs={world.other_certificate}")
    assert other.startswith("the certificate of Redis is not trusted: ")


async def test_a_redis_that_asks_for_a_certificate_is_told(world: World) -> None:
    """Redis' own TLS asks for a client certificate unless configured not to, and is reached with one."""
    if not world.tls_asking:
        pytest.skip("this program speaks no TLS")
    url = f"rediss://127.0.0.1:{world.tls_asking}?ssl_ca_certs={world.certificate}"

    assert (await refusal(url)).startswith("Redis asks for a client certificate: ")
    await reach_redis(
        f"{url}&ssl_certfile={world.certificate}&ssl_keyfile={world.certificate.with_name('key.pem')}"
    )


async def test_what_waiting_may_mend_is_told_apart(world: World, tmp_path: Path) -> None:
    """Nobody listens, no such host, no such socket, a full server, silence."""
    async with listening(b"") as silent:
        lines = [
            await refusal(url, LiveUnavailable)
            for url in (
                f"redis://:{PASSWORD}@127.0.0.1:1",
                f"redis://:{PASSWORD}@cache.invalid",
                f"unix://{tmp_path}/none.sock",
                f"redis://:{PASSWORD}@127.0.0.1:{silent}",
            )
        ]
    assert lines == [
        "nothing listens there (connection refused)",
        "its host name is not known (DNS)",
        "there is no such socket",
        "no answer within 2 s",
    ]
    client = redis.Redis(port=world.open)
    client.config_set("maxclients", 1)
    try:
        full = await refusal(f"redis://127.0.0.1:{world.open}", LiveUnavailable)
    finally:
        client.config_set("maxclients", 1000)
        client.close()
    assert full == "it has its maximum of clients (maxclients)"


async def test_a_network_that_leads_nowhere_is_told() -> None:
    """As on a machine without a network. Nothing is sent from here: the error is given."""
    error = redis.ConnectionError("Error 101 connecting to cache:6379.")
    error.__cause__ = OSError(errno.ENETUNREACH, "Network is unreachable")

    found = await explained(error, parse_redis_url("redis://cache"), None)

    assert str(found) == "no network leads there from this machine"


async def test_a_database_that_redis_does_not_have_is_told(world: World) -> None:
    """The number is above what the server was set up with."""
    line = await refusal(f"redis://127.0.0.1:{world.open}/999")
    assert line == "Redis has no database of this number: give a lower one, as in /0"


@pytest.mark.parametrize("scheme", ["redis", "rediss"])
async def test_protected_mode_is_told(scheme: str) -> None:
    """What Redis says to a client from another machine, said here in its place."""
    words = (
        b"-DENIED Redis is running in protected mode because protected mode is enabled and no password\r\n"
    )
    async with listening(words) as port:
        line = await refusal(f"{scheme}://127.0.0.1:{port}")
    assert line.startswith("Redis is in protected mode: ")
    assert "requirepass" in line


@pytest.mark.parametrize("scheme", ["redis", "rediss"])
async def test_another_kind_of_server_is_told(scheme: str) -> None:
    """A web server at that port is no Redis."""
    async with listening(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n") as port:
        line = await refusal(f"{scheme}://127.0.0.1:{port}")
    assert line == "what answers there is not Redis: correct host and port"


async def test_a_redis_that_is_too_old_is_told() -> None:
    """One without sharded channels, which came with 7.0: here their command was taken away."""
    with running_valkey("--rename-command", "SPUBLISH", "", port=free_port()) as server:
        line = await refusal(server.url)
    assert line.startswith("this Redis is older than 7.0, or commands were taken from it: ")


async def test_clusters_are_told_apart(world: World) -> None:
    """A cluster named as one Redis, one Redis named as a cluster, and a cluster that announces no address."""
    with running_cluster() as nodes:
        hosts = ",".join(f"127.0.0.1:{node.port}" for node in nodes)
        await reach_redis(f"redis+cluster://{hosts}")
        await reach_redis(f"redis+cluster://127.0.0.1:1,{hosts}")
        single = [await refusal(f"redis://127.0.0.1:{node.port}") for node in nodes if not owns_0(node)]
        no_cluster = await refusal(f"redis+cluster://127.0.0.1:{world.open}")
        database = await refusal(f"redis+cluster://{hosts}/1")
        nobody = await refusal("redis+cluster://127.0.0.1:1", LiveUnavailable)
        for node in nodes:
            node.ask("CONFIG", "SET", "cluster-preferred-endpoint-type", "hostname")
        unknown = await refusal(f"redis+cluster://{hosts}")
    with running_valkey(*cluster_options(), port=free_port()) as without_slots:
        single.append(await refusal(without_slots.url))
    assert set(single) == {"this Redis is a node of a cluster: begin with redis+cluster://"}
    assert no_cluster == (
        "this Redis is no node of a cluster: begin with redis:// in place of redis+cluster://"
    )
    assert database.startswith("Redis has no database of this number: ")
    assert nobody == "nothing listens there (connection refused)"
    assert unknown.startswith(
        "a node of the cluster announces its address as ?: set cluster-announce-hostname"
    )


def owns_0(node: ValkeyServer) -> bool:
    """Tell whether a node has the slot of the bucket that is asked about."""
    with redis.Redis(port=node.port) as client:
        try:
            client.exists("session:{0}:0")
        except redis.exceptions.ResponseError:
            return False
    return True


async def test_sentinels_are_told_apart(world: World) -> None:
    """Sentinels that are away, that ask for a password, and that do not know the service."""
    with fresh_folder("sentinel") as folder:
        port = free_port()
        (folder / "sentinel.conf").write_text(
            f"port {port}\ndir {folder}\nrequirepass sesame\n"
            f"sentinel monitor mymaster 127.0.0.1 {world.open} 1\n"
        )
        process = await asyncio.create_subprocess_exec(
            VALKEY_PROGRAM, str(folder / "sentinel.conf"), "--sentinel", stdout=asyncio.subprocess.DEVNULL
        )
        try:
            at = f"127.0.0.1:{port}"
            await reach_redis(f"redis+sentinel://{at}/mymaster?sentinel_password=sesame", wait_s=LIMIT_S)
            closed = await refusal(f"redis+sentinel://{at}/mymaster")
            unknown = await refusal(f"redis+sentinel://{at}/other?sentinel_password=sesame", LiveUnavailable)
        finally:
            process.terminate()
            await process.wait()
    away = await refusal("redis+sentinel://127.0.0.1:1/mymaster", LiveUnavailable)
    assert away == "of the Sentinels: nothing listens there (connection refused)"
    assert closed.startswith("of the Sentinels: Redis asks for a password")
    assert unknown == "the Sentinels answer, and know no master of this service"


@asynccontextmanager
async def listening(words: bytes) -> AsyncIterator[int]:
    """Listen on a port of loopback, say the words to each client and close; without words, stay silent."""

    def greet(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)
        if words:
            writer.write(words)
            writer.close()

    writers: list[asyncio.StreamWriter] = []
    server = await asyncio.start_server(greet, "127.0.0.1", port := free_port())
    try:
        yield port
    finally:
        server.close()
        for writer in writers:
            writer.transport.abort()
