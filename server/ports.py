"""The port: which addresses HOST means, and the sockets that are bound to them before anything slow begins.

IPv4 and IPv6 have a socket each, so that a peer's address is always of its own family.
"""

from __future__ import annotations

import contextlib
import errno
import socket
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from runtime.settings import StartupError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from runtime.settings import Settings

EVERY_IPV4: Final = "0.0.0.0"  # an operator's choice, never a default
EVERY_IPV6: Final = "::"
_PORT_LIMIT_S: Final = 3.0
_LOOK_AGAIN_S: Final = 0.1
_MOST_DRAWS: Final = 20
_FAMILY_IS_AWAY: Final = frozenset({errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL})


def port_of(bound: socket.socket) -> int:
    """Return the port that a socket is bound to."""
    _, port = _name_of(bound)
    return port


def _name_of(bound: socket.socket) -> tuple[str, int]:
    """Return the address and port that a socket is bound to; IPv6 names more, which is left out."""
    address, port, *_scope = bound.getsockname()
    return str(address), int(port)


@dataclass(frozen=True, slots=True)
class BoundPort:
    """Sockets on one port, one for each address that HOST means; at least one, none of them listening yet."""

    host: str
    sockets: tuple[socket.socket, ...]

    @property
    def number(self) -> int:
        """The port, also where 0 was asked for."""
        first, *_ = self.sockets
        return port_of(first)

    @property
    def url(self) -> str:
        """What to open in a browser on this machine."""
        served = [host for host, _ in map(_name_of, self.sockets)]
        host = self.host
        if EVERY_IPV4 in served:
            host = "127.0.0.1"
        elif EVERY_IPV6 in served:
            host = "::1"
        return f"http://{_joined(host, self.number)}"

    @property
    def addresses(self) -> str:
        """What is listened on, as in `[::]:1323, 0.0.0.0:1323`."""
        return ", ".join(_joined(*_name_of(each)) for each in self.sockets)

    def close(self) -> None:
        """Close the sockets; a second call does nothing."""
        for each in self.sockets:
            each.close()


def bind_port(host: str, port: int, *, shared: bool = False) -> BoundPort:
    """Bind every address of a host, `shared` with other processes (`SO_REUSEPORT`); 0 takes any free port.

    `::` means every address of both families. Of several addresses those are left out whose family this
    machine lacks. Raises OSError where one is taken or none is free.
    """
    host = host.removeprefix("[").removesuffix("]")
    for _ in range(_MOST_DRAWS):
        with contextlib.ExitStack() as held:
            try:
                sockets = _bind_all(host, port, shared, held)
            except OSError as error:
                if port or error.errno != errno.EADDRINUSE:
                    raise
                continue  # what was free for the first address is taken on another
            held.pop_all()
            return BoundPort(host, sockets)
    raise OSError(errno.EADDRINUSE, "no port is free on all addresses")


@contextlib.contextmanager
def held_port(settings: Settings) -> Iterator[BoundPort]:
    """Hold the port until the block ends: for a listener, or with WORKERS for the workers' own sockets.

    Raises StartupError where anyone else keeps it. For workers it is tried without sharing first: with
    `SO_REUSEPORT` alone another game's server of the same user would silently get a share of our
    connections. The workers of a supervisor that was just killed let go of it as they drain, so it is then
    tried for a few seconds.
    """
    several = settings.workers > 1
    end_s = time.monotonic() + (_PORT_LIMIT_S if several else 0)
    while True:
        try:
            bound = bind_port(settings.host, settings.port)
            if several:
                number = bound.number
                bound.close()
                # Bound but not listening: it is given no connections.
                bound = bind_port(settings.host, number, shared=True)
            break
        except OSError as error:
            if error.errno != errno.EADDRINUSE or time.monotonic() >= end_s:
                raise port_refused(settings, error) from error
        time.sleep(_LOOK_AGAIN_S)
    try:
        yield bound
    finally:
        bound.close()


def port_refused(settings: Settings, error: OSError) -> StartupError:
    """Say in one line that the port is not available."""
    return StartupError(
        f"HOST={settings.host} PORT={settings.port} cannot be used: {error.strerror}; choose another"
    )


def _bind_all(host: str, port: int, shared: bool, held: contextlib.ExitStack) -> tuple[socket.socket, ...]:
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    wanted = [(family, address) for family, _, _, _, address in found]
    if host == EVERY_IPV6:
        wanted.append((socket.AF_INET, (EVERY_IPV4, port)))
    sockets: list[socket.socket] = []
    away: OSError | None = None
    for family, address in dict.fromkeys(wanted):
        number = port_of(next(iter(sockets))) if sockets else port
        try:
            # With the protocol named asyncio sets TCP_NODELAY on what it accepts: else the second of two
            # small answers waits for the first to be acknowledged, which takes some 40 ms.
            each = held.enter_context(socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP))
            _set_options(each, family, shared)
            host_name, _, *scope = address
            each.bind((host_name, number, *scope))
        except OSError as error:
            if error.errno not in _FAMILY_IS_AWAY:
                raise
            away = error
        else:
            sockets.append(each)
    if not sockets:
        raise away or OSError(errno.EADDRNOTAVAIL, "it has no address")
    return tuple(sockets)


def _set_options(each: socket.socket, family: int, shared: bool) -> None:
    each.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if shared:
        each.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    if family == socket.AF_INET6:
        each.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)


def _joined(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
