"""Redis behind TLS, with users and passwords: alone, as a cluster, and found through a Sentinel."""

from __future__ import annotations

import asyncio
import contextlib
import re
import subprocess
import time
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import quote

import psutil
import pytest
import redis

from persistence.live.keys import BUCKETS, Bucket
from persistence.live.lane_contract import LaneDown
from persistence.live.lanes import FirstCommand, Lanes
from persistence.live.scripts import load_scripts
from scripts.ports import free_port
from tests.support import servers
from tests.support.game_server import running_game
from tests.support.limits import LIMIT_S
from tests.support.players import EXTERNAL, player, register
from tests.support.servers import VALKEY_PROGRAM, ValkeyServer, fresh_folder, running_valkey
from tests.support.tls import Certificate, make_certificate, tls_doors

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator
    from pathlib import Path

    from persistence.live.lane import Lane

REFUSED_WITHIN_S = 1.0
PASSWORD = "pepper @:/?#%40"
USER = f"cook:{quote(PASSWORD, safe='')}"


@pytest.fixture(scope="module")
def certificate() -> Iterator[Certificate]:
    """A certificate that no system trusts by itself."""
    with fresh_folder("tls") as folder:
        yield make_certificate(folder)


def admit_cook_alone(node: ValkeyServer) -> None:
    """Let in the user `cook` with the password, and nobody else."""
    node.ask("ACL", "SETUSER", "cook", "on", f">{PASSWORD}", "~*", "&*", "+@all")
    node.ask("ACL", "SETUSER", "default", "off")


@pytest.fixture(scope="module")
def tls_redis(certificate: Certificate) -> Iterator[str]:
    """Where a Valkey that lets in `cook` alone speaks TLS: host and port."""
    door = free_port()
    with running_valkey(port=free_port()) as valkey, tls_doors(certificate, {door: valkey.port}):
        admit_cook_alone(valkey)
        yield f"127.0.0.1:{door}"


@pytest.fixture(scope="module")
def tls_cluster(certificate: Certificate) -> Iterator[str]:
    """Where the nodes of a cluster that lets in `cook` alone speak TLS, and say that they do."""
    with servers.running_cluster() as nodes, contextlib.ExitStack() as stack:
        doors = {free_port(): node.port for node in nodes}
        stack.enter_context(tls_doors(certificate, doors))
        for door, node in zip(doors, nodes, strict=True):
            bus = str(node.options[-1])
            node.ask("CONFIG", "SET", "cluster-announce-bus-port", bus, "cluster-announce-port", str(door))
        wait_for(lambda: all(announced_by(node) == set(doors) for node in nodes))
        for node in nodes:
            admit_cook_alone(node)
        yield ",".join(f"127.0.0.1:{door}" for door in doors)


def announced_by(node: ValkeyServer) -> set[int]:
    """The ports by which a node names the masters of its cluster."""
    return {master[1] for _, _, master, *_ in cast("list[Any]", node.ask("CLUSTER SLOTS"))}


@pytest.fixture
def watched() -> Iterator[tuple[int, ValkeyServer, ValkeyServer]]:
    """The port of a Sentinel that watches `kitchen`, its master and its replica; all want the password."""
    with fresh_folder("sentinel") as folder, contextlib.ExitStack() as stack:
        master = ValkeyServer(folder / "master", free_port(), ["--repl-diskless-sync-delay", "0"])
        replica = ValkeyServer(
            folder / "replica", free_port(), ["--replicaof", "127.0.0.1", str(master.port)]
        )
        for node in (master, replica):
            stack.callback(node.kill)
            node.start()
        wait_for(lambda: replica.facts("INFO replication")["master_link_status"] == "up")
        for node in (master, replica):
            node.ask("CONFIG", "SET", "masterauth", PASSWORD)
            node.ask("CONFIG", "SET", "requirepass", PASSWORD)
        yield stack.enter_context(running_sentinel(folder, master.port)), master, replica


@contextlib.contextmanager
def running_sentinel(folder: Path, master_port: int) -> Iterator[int]:
    """Run a Sentinel that decides alone; gives its port once it knows the replica."""
    port = free_port()
    file = folder / "sentinel.conf"
    lines = [f"port {port}", f"dir {folder}", f'requirepass "{PASSWORD}"']
    lines += [f"sentinel monitor kitchen 127.0.0.1 {master_port} 1"]
    lines += [f'sentinel auth-pass kitchen "{PASSWORD}"', "sentinel down-after-milliseconds kitchen 3000"]
    file.write_text("\n".join(lines))
    with (folder / "sentinel.log").open("wb") as log:
        process = subprocess.Popen([VALKEY_PROGRAM, str(file), "--sentinel"], stdout=log, stderr=log)
    with redis.Redis(port=port, password=PASSWORD, decode_responses=True) as client:

        def knows_replica() -> bool:
            with contextlib.suppress(redis.ConnectionError):
                return int(client.sentinel_master("kitchen")["num-slaves"]) == 1
            return False

        try:
            wait_for(knows_replica)
            yield port
        finally:
            process.kill()
            process.wait(LIMIT_S)


def wait_for(is_so: Callable[[], bool]) -> None:
    """Wait until something is so."""
    end_s = time.monotonic() + LIMIT_S
    while not is_so():
        assert time.monotonic() < end_s, "it never came to that"
        time.sleep(servers.POLL_S)


class Ear:
    """Keeps what is published on one channel."""

    def __init__(self) -> None:
        self.heard: asyncio.Queue[list[bytes]] = asyncio.Queue()

    def channels_of(self, lane: Lane) -> list[bytes]:  # noqa: ARG002 - the contract of Hearer
        """Name the one channel."""
        return [b"user:{1}:1"]

    def first_commands(self, lane: Lane) -> list[FirstCommand]:  # noqa: ARG002 - the contract of Hearer
        """Nothing is to be sent."""
        return []

    def lane_ready(self, lane: Lane) -> None:
        """Nothing was missed."""

    def subscribed(self, lane: Lane, channel: bytes) -> None:
        """Nothing was missed."""

    def unheard(self, lane: Lane, channel: bytes) -> None:
        """Nothing was missed."""

    def published(self, channel: bytes, words: list[bytes]) -> None:  # noqa: ARG002 - as above
        """Keep a publication."""
        self.heard.put_nowait(words)


@contextlib.asynccontextmanager
async def lanes_to(url: str) -> AsyncIterator[tuple[Lanes, Ear]]:
    """Start lanes to an address; whether they come up is for the test."""
    lanes, ear = Lanes(url, "test", load_scripts()), Ear()
    try:
        await lanes.start(ear)
        yield lanes, ear
    finally:
        await lanes.stop()
        # Over TLS a socket is closed some passes of the loop after its transport, which must not end before.
        ports = {int(port) for port in re.findall(r":(\d+)", url)} if url.startswith("rediss") else set()
        async with asyncio.timeout(LIMIT_S):
            await until(lambda: not connected_to(ports))


async def until(is_so: Callable[[], bool]) -> None:
    """Wait, and let the loop go on, until something is so."""
    while not is_so():  # noqa: ASYNC110 - nothing announces it
        await asyncio.sleep(servers.POLL_S)


def connected_to(ports: set[int]) -> bool:
    """Say whether this process has a connection to one of the ports."""
    return any(end.raddr and end.raddr.port in ports for end in psutil.Process().net_connections("tcp"))


async def test_one_redis_over_tls_with_user_and_password(tls_redis: str, certificate: Certificate) -> None:
    """`rediss://` with a CA: commands are answered, and publications come, over TLS."""
    url = f"rediss://{USER}@{tls_redis}?ssl_ca_certs={certificate.file}"
    async with lanes_to(url) as (lanes, ear):
        assert await lanes.wait_up(LIMIT_S)
        lane = lanes.lane_for(Bucket(1))
        assert await lane.call("ACL", "WHOAMI") == b"cook"
        assert await lane.call("SPUBLISH", "user:{1}:1", "other cook 7") == 1
        async with asyncio.timeout(LIMIT_S):
            assert await ear.heard.get() == [b"cook", b"7"]


async def test_much_at_once_comes_whole_over_tls(tls_redis: str, certificate: Certificate) -> None:
    """Many replies of different lengths, several records of TLS in one read, arrive as they were sent."""
    url = f"rediss://{USER}@{tls_redis}?ssl_ca_certs={certificate.file}"
    texts = [str(number) * (number % 700) for number in range(2000)]
    async with lanes_to(url) as (lanes, _):
        assert await lanes.wait_up(LIMIT_S)
        lane = lanes.lane_for(Bucket(1))
        echoed = await asyncio.gather(*(lane.call("ECHO", text) for text in texts))
        assert echoed == [text.encode() for text in texts]


@pytest.mark.parametrize(
    "url",
    [
        "rediss://{user}@{place}",
        "rediss://cook:wrong@{place}?ssl_ca_certs={ca}",
        "rediss://{place}?ssl_ca_certs={ca}",
        "redis://{user}@{place}",
    ],
    ids=["a certificate nobody vouches for", "a wrong password", "no password", "no TLS"],
)
async def test_what_is_not_trusted_is_not_connected(
    tls_redis: str, certificate: Certificate, url: str
) -> None:
    """Without the CA, the right password and TLS no lane comes up, and a command is refused at once."""
    address = url.format(user=USER, place=tls_redis, ca=certificate.file)
    async with lanes_to(address) as (lanes, _):
        assert not await lanes.wait_up(REFUSED_WITHIN_S)
        with pytest.raises(LaneDown):
            await lanes.lane_for(Bucket(1)).call("PING")


async def test_a_cluster_over_tls_with_user_and_password(tls_cluster: str, certificate: Certificate) -> None:
    """`rediss+cluster://`: a lane to each master under its announced address, each bucket on its own."""
    url = f"rediss+cluster://{USER}@{tls_cluster}?ssl_ca_certs={certificate.file}"
    async with lanes_to(url) as (lanes, ear):
        assert await lanes.wait_up(LIMIT_S)
        assert {lane.name for lane in lanes.all} == set(tls_cluster.split(","))
        for bucket in range(0, BUCKETS, 100):
            key = f"session:{{{bucket}}}:{bucket}"
            assert await lanes.lane_for(Bucket(bucket)).call("EXISTS", key) == 0
        await lanes.lane_for(Bucket(1)).call("SPUBLISH", "user:{1}:1", "other cook 7")
        async with asyncio.timeout(LIMIT_S):
            assert await ear.heard.get() == [b"cook", b"7"]


async def test_a_cluster_over_tls_is_not_joined_without_its_ca(tls_cluster: str) -> None:
    """`rediss+cluster://` without the CA: the start is refused, no node answers."""
    async with asyncio.timeout(LIMIT_S):
        with pytest.raises(LaneDown):
            async with lanes_to(f"rediss+cluster://{USER}@{tls_cluster}"):
                pass


@pytest.mark.parametrize("kind", ["rediss", "rediss+cluster"])
async def test_the_game_is_played_over_tls(
    module_databases: dict[str, str], tls_redis: str, tls_cluster: str, certificate: Certificate, kind: str
) -> None:
    """A whole server over TLS: clicks, copies to another connection, and a flush to PostgreSQL."""
    place = tls_redis if kind == "rediss" else tls_cluster
    url = f"{kind}://{USER}@{place}?ssl_ca_certs={certificate.file}"
    patient = {**EXTERNAL, "DRAIN_S": str(int(LIMIT_S))}
    with running_game({**patient, **module_databases, "REDIS_CONNECTION": url}) as server:
        token = (await asyncio.to_thread(register, server))["access_token"]
        async with player(server, token) as anna, player(server, token) as tablet:
            await anna.ask("session")
            await tablet.ask("session")
            await anna.ask("upgrade_buy", id=1)
            cooked = await anna.ask("cook", count=7)
            assert await tablet.push("cook") == cooked
        assert server.stop() == 0
        assert '"unsaved": 0' in server.log


def has_all_of(replica: ValkeyServer, master: ValkeyServer) -> bool:
    """Whether a replica has all that its master has written until now."""
    with (
        redis.Redis(port=master.port, password=PASSWORD) as there,
        redis.Redis(port=replica.port, password=PASSWORD) as here,
    ):
        written: int = there.info("replication")["master_repl_offset"]
        copied: int = here.info("replication")["slave_repl_offset"]
        return copied >= written


async def test_the_master_that_a_sentinel_names_is_followed(
    watched: tuple[int, ValkeyServer, ValkeyServer],
) -> None:
    """`redis+sentinel://`: the lane goes to the master, and to the replica that takes its place."""
    port, master, replica = watched
    secret = quote(PASSWORD, safe="")
    url = f"redis+sentinel://:{secret}@127.0.0.1:1,127.0.0.1:{port}/kitchen?sentinel_password={secret}"
    async with lanes_to(url) as (lanes, _):
        assert await lanes.wait_up(LIMIT_S)
        lane = lanes.lane_for(Bucket(1))
        assert await lane.call("CONFIG", "GET", "port") == {b"port": b"%d" % master.port}
        master.kill()
        await asyncio.to_thread(wait_for, lambda: lane.up and lane.totals.connects >= 2)
        assert await lane.call("CONFIG", "GET", "port") == {b"port": b"%d" % replica.port}
        assert await lane.call("SET", "dish", "soup")


async def test_the_game_goes_on_after_the_failover_of_a_sentinel(
    module_databases: dict[str, str], watched: tuple[int, ValkeyServer, ValkeyServer]
) -> None:
    """The master is killed under a player: `unavailable` for a while, then play goes on where it was."""
    port, master, replica = watched
    secret = quote(PASSWORD, safe="")
    url = f"redis+sentinel://:{secret}@127.0.0.1:{port}/kitchen?sentinel_password={secret}"
    with running_game({**EXTERNAL, **module_databases, "REDIS_CONNECTION": url}) as server:
        async with player(server) as anna:
            await anna.ask("session")
            await anna.ask("upgrade_buy", id=1)
            for seq in range(1, 11):
                await anna.ask("cook", client="tab", seq=seq)
            await asyncio.to_thread(wait_for, lambda: has_all_of(replica, master))
            master.kill()
            async with asyncio.timeout(LIMIT_S):
                while "code" in (cooked := await anna.ask("cook", client="tab", seq=11)):
                    assert cooked["code"] == "unavailable"
            assert cooked["dishes"] == 11


async def test_a_sentinel_that_knows_no_such_service_is_said_so(
    watched: tuple[int, ValkeyServer, ValkeyServer],
) -> None:
    """Another service's name: no lane comes up, and its last error names the service."""
    secret = quote(PASSWORD, safe="")
    url = f"redis+sentinel://:{secret}@127.0.0.1:{watched[0]}/bakery?sentinel_password={secret}"
    async with lanes_to(url) as (lanes, _):
        assert not await lanes.wait_up(REFUSED_WITHIN_S)
        totals = lanes.lane_for(Bucket(1)).totals
        await asyncio.to_thread(wait_for, lambda: "bakery" in totals.last_error)
