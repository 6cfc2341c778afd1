"""What asyncio's transports need when they end, and the sockets beneath them."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import asyncio


def release(transport: asyncio.BaseTransport) -> None:
    """Let a socket's transport be freed as soon as nothing refers to it; call it once its connection is lost.

    It keeps a bound method of its own: a cycle of six objects, which only the garbage collector would free.
    Nothing calls that method once the connection is lost. Where a transport keeps none,
    this does nothing (seen in CPython 3.11 to 3.14).
    """
    getattr(transport, "__dict__", {}).pop("_read_ready_cb", None)


def socket_of(transport: asyncio.BaseTransport) -> int:
    """Return the number of the socket that a transport's bytes go to as they are; -1 where there is none.

    It stays the transport's own until its protocol's `connection_lost` has returned. Write to it only while
    the transport holds no bytes, and leave errors to the transport: it meets them at its next write.
    """
    peer = transport.get_extra_info("socket")
    if peer is None or transport.get_extra_info("sslcontext") is not None:
        return -1
    number: int = peer.fileno()
    return number
