"""The port: accepts sockets, counts them, and hands each to HTTP, from where it may become a WebSocket.

Past a limit a connection still gets an answer: HTTP gets a 503, a WebSocket close code 1013.
Where too many wait for that answer, the socket is just closed.
"""

from __future__ import annotations

import asyncio
import socket
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Protocol

import structlog

from server.auth.throttle import address_group
from server.http.addresses import client_address, is_trusted
from server.http.connection import HttpConnection, HttpLimits
from server.http.routes import FullHouse
from server.ports import bind_port, port_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from websockets.http11 import Request

    from runtime.turns import Turns
    from server.http.addresses import Network
    from server.http.routes import Website

_log = structlog.get_logger(__name__)

_BACKLOG: Final = 4096
_ACCEPTS_A_PASS: Final = 8
_SEND_BUFFER_BYTES: Final = 64 * 1024
"""What the kernel keeps for a peer that does not read (Linux doubles it). Left alone it grows to megabytes,
unseen by any limit of ours."""
_LEAST_ROOM_TO_REFUSE: Final = 32


@dataclass(frozen=True, slots=True)
class PortLimits:
    """How many connections one process has at once, in all and for an address; 0 is no limit.

    The addresses of one IPv6 /64 count as one. Connections of `trusted_proxies` count by whom they forward.
    """

    max_connections: int = 20_000
    max_connections_per_ip: int = 200
    trusted_proxies: Sequence[Network] = ()


class WebSockets(Protocol):
    """Takes the connections that become WebSockets over."""

    def open(
        self,
        transport: asyncio.Transport,
        request: Request,
        trailing: bytes,
        *,
        on_lost: Callable[[], None],
    ) -> None:
        """Put a WebSocket's protocol on the transport; call `on_lost` once when the connection is gone.

        The origin was judged already. `trailing` is what came behind the request.
        """

    def turn_away(
        self, transport: asyncio.Transport, request: Request, trailing: bytes, *, on_lost: Callable[[], None]
    ) -> None:
        """Accept the WebSocket and close it with 1013; call `on_lost` once when the connection is gone."""


@dataclass(slots=True)
class ConnectionCounts:
    """The connections of this process that were let in, and those that are being refused.

    `refused` grows with each of the latter.
    """

    total: int = 0
    by_address: dict[str, int] = field(default_factory=dict)
    turning_away: int = 0
    refused: int = 0


class Listener:
    """Owns the listening socket and the HTTP connections.

    Call `start`; then `stop_accepting` and, once the rest of the server is done, `close`.
    """

    def __init__(
        self,
        site: Website,
        websockets: WebSockets,
        limits: PortLimits | None = None,
        http_limits: HttpLimits | None = None,
        *,
        turns: Turns,
        counts: ConnectionCounts | None = None,
    ) -> None:
        self._site = site
        self._full_house = FullHouse(site)
        self._websockets = websockets
        self._turns = turns
        self._limits = limits or PortLimits()
        self._http_limits = http_limits or HttpLimits()
        self._servers: list[asyncio.Server] = []
        self._http: set[HttpConnection] = set()
        self._quiet = asyncio.Event()
        self.counts = counts or ConnectionCounts()

    @property
    def port(self) -> int:
        """The port that is listened on, also where 0 was asked for."""
        for server in self._servers:
            for listening in server.sockets:
                return port_of(listening)
        raise RuntimeError("the listener has not been started")

    async def start(self, host: str, port: int, *, shared: bool = False) -> None:
        """Bind a port, `shared` with other processes, and listen; raises OSError when that can't be."""
        await self.start_on(bind_port(host, port, shared=shared).sockets)

    async def start_on(self, sockets: Sequence[socket.socket]) -> None:
        """Listen on bound sockets, and close them at the end; raises OSError when that can't be."""
        loop = asyncio.get_running_loop()
        # asyncio accepts as many sockets in one pass as its backlog: few, so that a storm of clients coming
        # back does not hold up those who play. The kernel queues the rest: its own backlog is set again.
        for bound in sockets:
            # Accepted sockets inherit it.
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BUFFER_BYTES)
            server = await loop.create_server(lambda: _Accepted(self), sock=bound, backlog=_ACCEPTS_A_PASS)
            self._servers.append(server)
            bound.listen(_BACKLOG)

    def stop_accepting(self) -> None:
        """Accept nobody any more and let each HTTP answer be its connection's last; WebSockets go on."""
        self._site.draining = True
        for server in self._servers:
            server.close()
        for connection in self._http:
            connection.drain()

    async def close(self, timeout_s: float) -> None:
        """Close idle HTTP connections, wait for the answers under way, and cut off what takes longer."""
        self.stop_accepting()
        for connection in tuple(self._http):
            connection.close_idle()
        if self._http:
            self._quiet.clear()
            try:
                async with asyncio.timeout(timeout_s):
                    await self._quiet.wait()
            except TimeoutError:
                _log.warning("http_connections_aborted", connections=len(self._http))
                for connection in tuple(self._http):
                    connection.abort()

    # What accepted sockets ask.

    def accept(self, peer: str) -> _Admission | None:
        """Admit a new socket, or admit it to be refused; None when even a refusal is too much."""
        limits, counts = self._limits, self.counts
        proxied = is_trusted(peer, limits.trusted_proxies)
        group = "" if proxied else address_group(peer)
        full = _is_full(counts.total, limits.max_connections)
        if not proxied:
            full = full or _is_full(counts.by_address.get(group, 0), limits.max_connections_per_ip)
        counts.refused += full
        if full and counts.turning_away >= max(_LEAST_ROOM_TO_REFUSE, limits.max_connections // 10):
            return None
        return _Admission(counts, peer, group, refused=full)

    def http_made(self, transport: asyncio.Transport, admission: _Admission) -> HttpConnection:
        """Make the HTTP connection of an accepted socket."""
        owner = _Owner(self, admission)
        site = self._full_house if admission.refused else self._site
        connection = HttpConnection(site, owner, self._http_limits, self._turns)
        if self._site.draining:
            connection.drain()
        self._http.add(connection)
        transport.set_protocol(connection)
        connection.connection_made(transport)
        return connection

    def http_gone(self, connection: HttpConnection) -> None:
        """Forget an HTTP connection, closed or upgraded."""
        self._http.discard(connection)
        if not self._http:
            self._quiet.set()

    def client_of(self, admission: _Admission, forwarded_for: Sequence[str]) -> str:
        """Name the client of a request."""
        return client_address(admission.peer, forwarded_for, self._limits.trusted_proxies)

    def upgrade(
        self, transport: asyncio.Transport, request: Request, trailing: bytes, admission: _Admission
    ) -> None:
        """Hand a transport to the WebSockets, or let it be turned away."""
        address = self.client_of(admission, request.headers.get_all("X-Forwarded-For"))
        refused = admission.refused
        if not refused and not admission.group:
            # Through a proxy: only now it is known for whom.
            group = address_group(address)
            refused = _is_full(self.counts.by_address.get(group, 0), self._limits.max_connections_per_ip)
            self.counts.refused += refused
            admission.claim(group)
        if refused:
            self._websockets.turn_away(transport, request, trailing, on_lost=admission.release)
        else:
            self._websockets.open(transport, request, trailing, on_lost=admission.release)


def _is_full(count: int, limit: int) -> bool:
    return 0 < limit <= count


class _Admission:
    """What one connection occupies in the counts until it is released; `group` is "" where not known."""

    __slots__ = ("_counts", "_released", "group", "peer", "refused")

    def __init__(self, counts: ConnectionCounts, peer: str, group: str, *, refused: bool) -> None:
        self._counts = counts
        self._released = False
        self.peer = peer
        self.refused = refused
        self.group = ""
        if refused:
            counts.turning_away += 1
        else:
            counts.total += 1
            self.claim(group)

    def claim(self, group: str) -> None:
        """Count for an address as well."""
        self.group = group
        if group:
            self._counts.by_address[group] = self._counts.by_address.get(group, 0) + 1

    def release(self) -> None:
        """Give back the place that was taken; a second call does nothing."""
        if self._released:
            return
        self._released = True
        if self.refused:
            self._counts.turning_away -= 1
        else:
            self._counts.total -= 1
        if self.group:
            left = self._counts.by_address[self.group] - 1
            if left:
                self._counts.by_address[self.group] = left
            else:
                del self._counts.by_address[self.group]


class _Owner:
    """Binds one HTTP connection to its admission."""

    __slots__ = ("_admission", "_listener")

    def __init__(self, listener: Listener, admission: _Admission) -> None:
        self._listener = listener
        self._admission = admission

    def client_address(self, forwarded_for: Sequence[str]) -> str:
        return self._listener.client_of(self._admission, forwarded_for)

    def upgrade(
        self, connection: HttpConnection, transport: asyncio.Transport, request: Request, trailing: bytes
    ) -> None:
        self._listener.http_gone(connection)
        self._listener.upgrade(transport, request, trailing, self._admission)

    def http_closed(self, connection: HttpConnection) -> None:
        self._listener.http_gone(connection)
        self._admission.release()


class _Accepted(asyncio.Protocol):
    """The protocol of a socket for the moment in which it is admitted."""

    def __init__(self, listener: Listener) -> None:
        self._listener = listener

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Become an HTTP connection, or go at once."""
        if not isinstance(transport, asyncio.Transport):
            raise TypeError("a stream transport is needed")
        name = transport.get_extra_info("peername")
        host, *_ = name if isinstance(name, tuple) else ("",)
        admission = self._listener.accept(str(host))
        if admission is None:
            transport.abort()
        else:
            self._listener.http_made(transport, admission)
