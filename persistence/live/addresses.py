"""Where Redis is: what the forms of REDIS_CONNECTION mean, and how a connection to each is opened.

`redis://`, `rediss://` (TLS) and `unix://` are redis-py's own. `redis+cluster://a:1,b:2` names nodes of a
cluster, `redis+sentinel://a:1,b:2/service` the Sentinels that know a service's master; with `rediss+` both
speak TLS. User, password and query (`ssl_ca_certs=/path`, …) hold for every node. The Sentinels' own are
`sentinel_username` and `sentinel_password` in the query.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, Final, cast
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

from redis.asyncio import Redis
from redis.asyncio.connection import Connection, ConnectionPool
from redis.asyncio.sentinel import Sentinel
from redis.exceptions import ConnectionError as RedisConnectionError

if TYPE_CHECKING:
    from redis.asyncio.connection import AbstractConnection

Node = tuple[str, int]
Open = Callable[[], Awaitable["AbstractConnection"]]

_CLUSTER: Final = "+cluster"
_SENTINEL: Final = "+sentinel"
_CONNECT_TIMEOUT_S: Final = 2
_SENTINEL_PORT: Final = 26379
_REDIS_PORT: Final = 6379


def is_cluster(url: str) -> bool:
    """Tell whether an address names nodes of a cluster."""
    return urlsplit(url).scheme.endswith(_CLUSTER)


def named_nodes(url: str) -> list[Node]:
    """Read the nodes that an address names: `host:port,host:port…`."""
    parts = urlsplit(url)
    default = _SENTINEL_PORT if parts.scheme.endswith(_SENTINEL) else _REDIS_PORT
    found = []
    for text in parts.netloc.rpartition("@")[2].split(","):
        item = urlsplit(f"//{text}")
        found.append((item.hostname or "", item.port or default))
    return found


def opener(url: str, node: Node | None = None) -> Open:
    """Return what opens a connection with RESP3: to `node` of a cluster, or to the one master there is.

    What it returns raises RedisError or OSError: try again later.
    """
    if node is not None:
        return _plain(_url_of(url, node))
    if urlsplit(url).scheme.endswith(_SENTINEL):
        return _through_sentinels(url)
    return _plain(url)


def _plain(url: str) -> Open:
    pool = ConnectionPool.from_url(url, protocol=3, socket_connect_timeout=_CONNECT_TIMEOUT_S)

    async def open_connection() -> AbstractConnection:
        connection = cast("Connection", pool.connection_class(**pool.connection_kwargs))
        await connection.connect()  # type: ignore[no-untyped-call]  # redis-py leaves it untyped
        return connection

    return open_connection


def _url_of(url: str, node: Node) -> str:
    """Name one node as redis-py understands it, with user, password and query of the whole."""
    credentials, at, _ = urlsplit(url).netloc.rpartition("@")
    return _named(url, f"{credentials}{at}", node)


def _sentinel_url(url: str, node: Node) -> str:
    """Name one Sentinel, with the user and password that the query gives for them."""
    options = dict(parse_qsl(urlsplit(url).query))
    user, password = (
        quote(options.get(f"sentinel_{name}", ""), safe="") for name in ("username", "password")
    )
    return _named(url, f"{user}:{password}@" if password else "", node)


def _named(url: str, credentials: str, node: Node) -> str:
    parts = urlsplit(url)
    host = f"[{node[0]}]" if ":" in node[0] else node[0]
    query = urlencode([item for item in parse_qsl(parts.query) if not item[0].startswith("sentinel_")])
    return f"{parts.scheme.partition('+')[0]}://{credentials}{host}:{node[1]}?{query}"


def _through_sentinels(url: str) -> Open:
    """Ask the Sentinels for the master at each attempt: after a failover it is another one."""
    service = urlsplit(url).path.strip("/")
    sentinel = Sentinel([])  # type: ignore[no-untyped-call]  # redis-py leaves it untyped
    sentinel.sentinels = [
        Redis.from_url(_sentinel_url(url, node), socket_connect_timeout=_CONNECT_TIMEOUT_S)
        for node in named_nodes(url)
    ]

    async def open_connection() -> AbstractConnection:
        try:
            found = cast("Node", await sentinel.discover_master(service))
        finally:
            for client in sentinel.sentinels:
                await client.connection_pool.disconnect()
        connection = await _plain(_url_of(url, found))()
        # A Sentinel may not know yet that its master has become a replica.
        await connection.send_command("ROLE")
        role = cast("list[Any]", await connection.read_response(disable_decoding=True))
        if role[0] != b"master":
            await connection.disconnect()
            raise RedisConnectionError(f"the Sentinels' master is a {role[0].decode()} by now")
        return connection

    return open_connection
