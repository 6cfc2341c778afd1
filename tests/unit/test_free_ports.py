"""The ports that rigs and tests give to their servers."""

from __future__ import annotations

import asyncio
import socket
import sys
from collections import deque

import pytest

from scripts import ports
from scripts.ports import PORTS, free_port


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere two sockets cannot be bound to one port")
def test_a_free_port_is_given_once_and_can_be_listened_on() -> None:
    """Another process that looks cannot bind it, the server that it is for can."""
    port = free_port()

    with socket.socket() as other, pytest.raises(OSError, match="in use"):
        other.bind(("127.0.0.1", port))
    with socket.create_server(("127.0.0.1", port)), socket.create_connection(("127.0.0.1", port), 5):
        assert port in PORTS


async def test_asyncio_listens_on_a_free_port() -> None:
    """On every address too, as the game's server does."""
    server = await asyncio.start_server(lambda _, writer: writer.close(), "0.0.0.0", free_port())
    server.close()
    await server.wait_closed()


def test_no_more_than_200_ports_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """The oldest is let go: by then its server listens, or has ended."""
    monkeypatch.setattr(ports, "_kept", deque())
    first = free_port()
    given = [free_port() for _ in range(200)]

    assert len({first, *given}) == 201 or sys.platform != "linux"
    with socket.socket() as other:
        other.bind(("127.0.0.1", first))
    ports._let_go()
