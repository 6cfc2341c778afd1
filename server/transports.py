"""What asyncio's transports need when they end."""

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
