"""Connections to Redis: how one is opened for each form of REDIS_CONNECTION.

`redis+cluster` names nodes of a cluster, `redis+sentinel` the Sentinels that know a service's master. User,
password and options hold for every node; the Sentinels have their own.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, Final, cast

from redis.asyncio import Redis
from redis.asyncio.connection import Connection, ConnectionPool, SSLConnection, UnixDomainSocketConnection
from redis.asyncio.sentinel import Sentinel
from redis.exceptions import ConnectionError as RedisConnectionError

from runtime.connection_urls import RedisKind, RedisUrl, parse_redis_url

if TYPE_CHECKING:
    from redis.asyncio.connection import AbstractConnection

    from runtime.url_parts import Node

Open = Callable[[], Awaitable["AbstractConnection"]]

CONNECT_TIMEOUT_S: Final = 2.0


def is_cluster(url: str) -> bool:
    """Tell whether an address names nodes of a cluster. Raises UrlError."""
    return parse_redis_url(url).kind is RedisKind.CLUSTER


def replaces_masters(url: str) -> bool:
    """Tell whether a lost master is replaced: by its cluster, or by Sentinels. Raises UrlError."""
    return parse_redis_url(url).kind in {RedisKind.CLUSTER, RedisKind.SENTINEL}


def named_nodes(url: str) -> list[Node]:
    """Read the nodes that an address names: `host:port,host:port…`. Raises UrlError."""
    return list(parse_redis_url(url).nodes)


def opener(url: str, node: Node | None = None) -> Open:
    """Return what opens a connection with RESP3: to `node` of a cluster, or to the one master there is.

    What it returns raises RedisError or OSError: try again later. Raises UrlError.
    """
    address = parse_redis_url(url)
    if node is None and address.kind is RedisKind.SENTINEL:
        return _through_sentinels(address)
    return _plain(address, node)


def sentinel_openers(url: str) -> list[Open]:
    """Return what opens a connection to each Sentinel that an address names. Raises UrlError."""
    address = parse_redis_url(url)
    return [_opens(_sentinel_pool(address, node)) for node in address.nodes]


def _plain(address: RedisUrl, node: Node | None = None) -> Open:
    return _opens(
        _pool(address, node, username=address.username, password=address.password, db=address.database)
    )


def _opens(pool: ConnectionPool) -> Open:
    async def open_connection() -> AbstractConnection:
        connection = cast("Connection", pool.connection_class(**pool.connection_kwargs))
        await connection.connect()  # type: ignore[no-untyped-call]  # redis-py leaves it untyped
        return connection

    return open_connection


def _sentinel_pool(address: RedisUrl, node: Node) -> ConnectionPool:
    return _pool(address, node, username=address.sentinel_username, password=address.sentinel_password, db=0)


def _pool(address: RedisUrl, node: Node | None, **own: str | int | None) -> ConnectionPool:
    options: dict[str, Any] = {"socket_connect_timeout": CONNECT_TIMEOUT_S, "protocol": 3}
    options |= {**address.options, **own}
    if address.kind is RedisKind.SOCKET:
        return ConnectionPool(connection_class=UnixDomainSocketConnection, path=address.path, **options)
    host, port = node or address.nodes[0]
    kind = SSLConnection if address.tls else Connection
    return ConnectionPool(connection_class=kind, host=host, port=port, **options)


def _through_sentinels(address: RedisUrl) -> Open:
    """Ask the Sentinels for the master at each attempt: after a failover it is another one."""
    sentinel = Sentinel([])  # type: ignore[no-untyped-call]  # redis-py leaves it untyped
    sentinel.sentinels = [Redis(connection_pool=_sentinel_pool(address, node)) for node in address.nodes]

    async def open_connection() -> AbstractConnection:
        try:
            found = cast("Node", await sentinel.discover_master(address.service))
        finally:
            for client in sentinel.sentinels:
                await client.connection_pool.disconnect()
        connection = await _plain(address, found)()
        # A Sentinel may not know yet that its master has become a replica.
        await connection.send_command("ROLE")
        role, *_ = cast("list[Any]", await connection.read_response(disable_decoding=True))
        if role != b"master":
            await connection.disconnect()
            raise RedisConnectionError(f"the Sentinels' master is a {role.decode()} by now")
        return connection

    return open_connection
