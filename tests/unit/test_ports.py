"""Which addresses HOST means, and what is held on them."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from typing import TYPE_CHECKING

import pytest

from runtime.settings import Settings, StartupError
from server.ports import bind_port, held_port
from tests.support.limits import LIMIT_S

if TYPE_CHECKING:
    from collections.abc import Iterator

    from server.ports import BoundPort


def machine_has_ipv6() -> bool:
    """Tell whether loopback has an IPv6 address here."""
    with contextlib.suppress(OSError), socket.socket(socket.AF_INET6) as probe:
        probe.bind(("::1", 0))
        return True
    return False


NEEDS_IPV6 = pytest.mark.skipif(not machine_has_ipv6(), reason="this machine has no IPv6")


@contextlib.contextmanager
def listening(host: str, port: int = 0) -> Iterator[BoundPort]:
    """Listen on a host until the block ends."""
    bound = bind_port(host, port)
    try:
        for each in bound.sockets:
            each.listen()
        yield bound
    finally:
        bound.close()


def families(bound: BoundPort) -> set[int]:
    """Return which families are served; to look for somebody at the other's address would find others."""
    return {each.family for each in bound.sockets}


def reaches(host: str, port: int) -> bool:
    """Tell whether somebody listens there."""
    with contextlib.suppress(OSError), socket.create_connection((host, port), timeout=5):
        return True
    return False


@NEEDS_IPV6
def test_every_ipv6_address_means_ipv4_too() -> None:
    """`::` serves both families on one port, and says so with brackets; what to open is one address."""
    with listening("::") as bound:
        assert reaches("127.0.0.1", bound.number)
        assert reaches("::1", bound.number)
        assert bound.addresses == f"[::]:{bound.number}, 0.0.0.0:{bound.number}"
        assert bound.url == f"http://127.0.0.1:{bound.number}"


@NEEDS_IPV6
@pytest.mark.parametrize("host", ["::1", "[::1]"])
def test_an_ipv6_address_stands_in_brackets(host: str) -> None:
    """One address of IPv6 serves that family alone, in a URL and in the log with brackets around it."""
    with listening(host) as bound:
        assert reaches("::1", bound.number)
        assert families(bound) == {socket.AF_INET6}
        assert bound.addresses == f"[::1]:{bound.number}"
        assert bound.url == f"http://[::1]:{bound.number}"


@pytest.mark.parametrize(("host", "opened"), [("127.0.0.1", "127.0.0.1"), ("0.0.0.0", "127.0.0.1")])
def test_an_ipv4_address_serves_that_family(host: str, opened: str) -> None:
    """What is listened on is said as it is, and what to open is an address that a browser can."""
    with listening(host) as bound:
        assert reaches("127.0.0.1", bound.number)
        assert families(bound) == {socket.AF_INET}
        assert bound.addresses == f"{host}:{bound.number}"
        assert bound.url == f"http://{opened}:{bound.number}"


def test_a_family_that_the_machine_lacks_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where there is no IPv6, `::` serves IPv4, and the log names what is served."""
    real = socket.socket

    def without_ipv6(family: int, kind: int, protocol: int) -> socket.socket:
        if family == socket.AF_INET6:
            raise OSError(97, "Address family not supported by protocol")
        return real(family, kind, protocol)

    monkeypatch.setattr(socket, "socket", without_ipv6)
    bound = bind_port("::", 0)
    try:
        assert bound.addresses == f"0.0.0.0:{bound.number}"
    finally:
        bound.close()


@pytest.mark.parametrize("workers", [1, 2])
def test_a_taken_port_is_refused_in_one_line(workers: int) -> None:
    """Neither a server nor a supervisor shares a port that somebody listens on."""
    with listening("127.0.0.1") as bound:
        settings = Settings(port=bound.number, workers=workers)
        with (
            pytest.raises(StartupError, match=f"^HOST=127.0.0.1 PORT={bound.number} cannot be used: "),
            held_port(settings),
        ):
            pass


@pytest.mark.parametrize("workers", [1, 2])
def test_a_held_port_is_nobodys_until_somebody_listens(workers: int) -> None:
    """While the port is held nothing answers on it yet, and it is free again afterwards."""
    with held_port(Settings(port=0, workers=workers)) as bound:
        number = bound.number
        assert not reaches("127.0.0.1", number)
    with listening("127.0.0.1", number):
        assert reaches("127.0.0.1", number)


async def test_nothing_waits_for_an_acknowledgement() -> None:
    """Small answers leave at once, one behind the other: TCP_NODELAY is set on what is accepted."""
    loop = asyncio.get_running_loop()
    accepted: asyncio.Future[asyncio.BaseTransport] = loop.create_future()

    class Accepted(asyncio.Protocol):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            accepted.set_result(transport)

    bound = bind_port("127.0.0.1", 0)
    (listening,) = bound.sockets
    async with await loop.create_server(Accepted, sock=listening):
        _, writer = await asyncio.open_connection("127.0.0.1", bound.number)
        async with asyncio.timeout(LIMIT_S):
            transport = await accepted
        peer = transport.get_extra_info("socket")
        assert peer.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        transport.close()
        writer.close()
