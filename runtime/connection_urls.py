"""What DB_CONNECTION and REDIS_CONNECTION may say: the one strict parser of both kinds of URL.

A URL is read here or refused here, before any client library sees it: theirs guess, and show parts of a
password where they fail. A refusal shows nothing of the URL. User names, passwords and all that follows the
hosts are percent-encoded; `#`, `/` and `?` in a password must be, since a URL ends or changes its part there.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

from runtime.url_parts import (
    Node,
    Option,
    UrlError,
    any_text,
    choice_of,
    database_number,
    decoded,
    number_of_database,
    port_list,
    read_node,
    read_options,
    refuse_second,
    seconds,
    split_url,
    truth,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

POSTGRES_PORT: Final = 5432
REDIS_PORT: Final = 6379
SENTINEL_PORT: Final = 26379
REDIS_SCHEMES: Final = (
    "redis",
    "rediss",
    "unix",
    "redis+cluster",
    "rediss+cluster",
    "redis+sentinel",
    "rediss+sentinel",
)
_POSTGRES_SCHEMES: Final = ("postgresql", "postgres")


class RedisKind(Enum):
    """What a Redis URL names."""

    SINGLE = "single"
    SOCKET = "socket"
    CLUSTER = "cluster"
    SENTINEL = "sentinel"


@dataclass(frozen=True, slots=True)
class RedisUrl:
    """A REDIS_CONNECTION, read. `nodes`: the hosts it names; `path`: a Unix socket's, else "".

    `service` is the Sentinels' name for the master. `options` have redis-py's names and types.
    """

    kind: RedisKind
    tls: bool = False
    nodes: tuple[Node, ...] = ()
    path: str = ""
    service: str = ""
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    database: int = 0
    options: Mapping[str, Option] = field(default_factory=dict)
    sentinel_username: str | None = None
    sentinel_password: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class PostgresUrl:
    """A DB_CONNECTION, read. `hosts` are names, addresses or folders of sockets; empty: the client's own.

    `options` are libpq's, without those that have a field here.
    """

    hosts: tuple[str, ...] = ()
    ports: tuple[int, ...] = ()
    user: str | None = None
    password: str | None = field(default=None, repr=False)
    database: str | None = None
    options: Mapping[str, str] = field(default_factory=dict)

    @property
    def dsn(self) -> str:
        """The same as a URL that leaves a client nothing to guess: all is encoded, hosts are in the query."""
        query = dict(self.options)
        if self.hosts:
            query["host"] = ",".join(f"[{host}]" if ":" in host else host for host in self.hosts)
        if self.ports:
            query["port"] = ",".join(map(str, self.ports))
        user = "" if self.user is None else quote(self.user, safe="")
        password = "" if self.password is None else f":{quote(self.password, safe='')}"
        at = "@" if user or password else ""
        database = "" if self.database is None else f"/{quote(self.database, safe='')}"
        text = "&".join(f"{name}={quote(value, safe='')}" for name, value in query.items())
        return f"postgresql://{user}{password}{at}{database}{'?' if text else ''}{text}"


def parse_postgres_url(text: str) -> PostgresUrl:
    """Read a DB_CONNECTION; raises UrlError."""
    parts = split_url(text, _POSTGRES_SCHEMES, "postgresql://user:password@host:5432/database")
    options = read_options(parts.query, _POSTGRES_OPTIONS)
    nodes = [read_node(host, 0, decodes=True) for host in parts.hosts.split(",")] if parts.hosts else []
    hosts = tuple(host for host, _ in nodes)
    ports = tuple(port or POSTGRES_PORT for _, port in nodes)
    taken = {name: str(options.pop(name)) for name in _TAKEN if name in options}
    if "host" in taken:
        refuse_second(hosts, "the host")
        hosts = tuple(_host_of_query(part) for part in taken["host"].split(","))
    if "port" in taken:
        refuse_second(parts.hosts, "the port")
        ports = tuple(int(port) for port in taken["port"].split(","))
        if len(ports) == 1:
            ports *= max(1, len(hosts))
        elif len(ports) != len(hosts):
            raise UrlError("names another number of ports than of hosts: give each host one, or one for all")
    database = decoded(parts.path.removeprefix("/")) or None
    for name in ("dbname", "database"):
        if name in taken:
            refuse_second(database, "the database")
            database = taken[name]
    user, password = parts.user, parts.password
    if "user" in taken:
        refuse_second(user, "the user")
        user = taken["user"]
    if "password" in taken:
        refuse_second(password, "the password")
        password = taken["password"]
    return PostgresUrl(
        hosts, ports, user, password, database, {name: str(value) for name, value in options.items()}
    )


def parse_redis_url(text: str) -> RedisUrl:
    """Read a REDIS_CONNECTION; raises UrlError."""
    parts = split_url(text, REDIS_SCHEMES, "redis://user:password@host:6379/0")
    kind = _kind(parts.scheme)
    tls = parts.scheme.startswith("rediss")
    options = read_options(parts.query, _REDIS_OPTIONS)
    database = options.pop("db", None)
    credentials = {name: options.pop(name, None) for name in ("sentinel_username", "sentinel_password")}
    if kind is not RedisKind.SENTINEL and any(value is not None for value in credentials.values()):
        raise UrlError("gives a user or password of Sentinels: that needs redis+sentinel://")
    if not tls and any(name.startswith("ssl_") for name in options):
        raise UrlError(
            "holds an option of TLS, which begins with ssl_: that needs rediss:// in place of redis://"
        )
    nodes: tuple[Node, ...] = ()
    path = service = ""
    if kind is RedisKind.SOCKET:
        path = decoded(parts.path)
        if parts.hosts or not path.startswith("/") or path == "/":
            raise UrlError("names no socket: give unix:///absolute/path/of/the/socket")
    else:
        default = SENTINEL_PORT if kind is RedisKind.SENTINEL else REDIS_PORT
        nodes = tuple(read_node(host, default) for host in parts.hosts.split(","))
        if len(nodes) > 1 and kind is RedisKind.SINGLE:
            raise UrlError("names several hosts: that needs redis+cluster:// or redis+sentinel://")
        service = decoded(parts.path.strip("/"))
        if kind is RedisKind.SENTINEL and not service:
            raise UrlError("names no service: name it after the Sentinels, as in /mymaster")
        if kind is not RedisKind.SENTINEL and service:
            refuse_second(database, "the database")
            database, service = database_number(service), ""
    sentinel = {name: None if value is None else str(value) for name, value in credentials.items()}
    return RedisUrl(
        kind=kind,
        tls=tls,
        nodes=nodes,
        path=path,
        service=service,
        username=parts.user,
        password=parts.password,
        database=int(database or 0),
        options=options,
        **sentinel,
    )


def _host_of_query(text: str) -> str:
    """Read a host that stands after `host=`, where an IPv6 address needs no brackets."""
    if text.startswith("/"):
        return text
    host, port = read_node(f"[{text}]" if ":" in text and not text.startswith("[") else text, 0)
    if port:
        raise UrlError("gives a port after host=: give it after port=")
    return host


def _kind(scheme: str) -> RedisKind:
    if scheme == "unix":
        return RedisKind.SOCKET
    if scheme.endswith("+cluster"):
        return RedisKind.CLUSTER
    return RedisKind.SENTINEL if scheme.endswith("+sentinel") else RedisKind.SINGLE


_REDIS_OPTIONS: Final[Mapping[str, Callable[[str, str], Option]]] = {
    "client_name": any_text,
    "db": number_of_database,
    "sentinel_password": any_text,
    "sentinel_username": any_text,
    "socket_connect_timeout": seconds,
    "socket_timeout": seconds,
    "ssl_ca_certs": any_text,
    "ssl_cert_reqs": choice_of("required", "optional", "none"),
    "ssl_certfile": any_text,
    "ssl_check_hostname": truth,
    "ssl_keyfile": any_text,
}
_TLS_VERSIONS: Final = choice_of("TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3")
_TAKEN: Final = ("host", "port", "user", "password", "dbname", "database")
_POSTGRES_OPTIONS: Final[Mapping[str, Callable[[str, str], Option]]] = {
    "database": any_text,
    "dbname": any_text,
    "gsslib": choice_of("gssapi", "sspi"),
    "host": any_text,
    "krbsrvname": any_text,
    "options": any_text,
    "passfile": any_text,
    "password": any_text,
    "port": port_list,
    "ssl_max_protocol_version": _TLS_VERSIONS,
    "ssl_min_protocol_version": _TLS_VERSIONS,
    "sslcert": any_text,
    "sslcrl": any_text,
    "sslkey": any_text,
    "sslmode": choice_of("disable", "allow", "prefer", "require", "verify-ca", "verify-full"),
    "sslnegotiation": choice_of("postgres", "direct"),
    "sslpassword": any_text,
    "sslrootcert": any_text,
    "target_session_attrs": choice_of(
        "any", "primary", "standby", "read-write", "read-only", "prefer-standby"
    ),
    "user": any_text,
}
