"""The one place that uses what redis-py keeps to itself: the streams of an open connection.

redis-py connects (addresses, TLS, AUTH, HELLO 3), then the lane reads and writes the socket itself. No public
name of redis-py gives a connection's transport away, so `tests/integration/test_redis_connection.py` fails
when a new version keeps its streams under other names.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from redis.exceptions import ConnectionError as RedisConnectionError

if TYPE_CHECKING:
    import asyncio

    from redis.asyncio.connection import AbstractConnection


def take_over(connection: AbstractConnection) -> asyncio.StreamWriter:
    """Take the streams of a connected redis-py connection, which is done with then; return its writer.

    Keep the writer as long as its transport is used: one that is collected closes it, and so would the
    connection.
    Raises RedisError where the connection was closed already: open another.
    """
    writer, connection._writer = connection._writer, None  # noqa: SLF001 - see the module's docstring
    connection._reader = None  # noqa: SLF001 - see the module's docstring
    if writer is None:
        raise RedisConnectionError("closed before it was taken over")
    return writer
