"""What the lane takes from redis-py, held against the version that is installed."""

from __future__ import annotations

import asyncio
import gc
from typing import TYPE_CHECKING

import pytest
from redis.exceptions import ConnectionError as RedisConnectionError

from persistence.live.addresses import opener
from persistence.live.redis_connection import take_over
from tests.support.limits import LIMIT_S
from tests.support.servers import running_valkey

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.servers import ValkeyServer


@pytest.fixture(scope="module")
def valkey() -> Iterator[ValkeyServer]:
    """Run a server of its own."""
    with running_valkey() as server:
        yield server


class Receiver(asyncio.Protocol):
    """Keeps what arrives."""

    def __init__(self) -> None:
        self.received = asyncio.get_running_loop().create_future()

    def data_received(self, data: bytes) -> None:
        """Keep the first bytes."""
        self.received.set_result(data)


async def test_the_streams_are_taken_over(valkey: ValkeyServer) -> None:
    """The transport outlives redis-py's connection: what is written to it is answered to its new protocol."""
    connection = await opener(valkey.url)()
    writer = take_over(connection)
    del connection
    gc.collect()
    receiver = Receiver()

    writer.transport.set_protocol(receiver)
    writer.transport.write(b"PING\r\n")

    async with asyncio.timeout(LIMIT_S):
        assert await receiver.received == b"+PONG\r\n"
    writer.transport.abort()


async def test_nothing_is_left_to_redis_py(valkey: ValkeyServer) -> None:
    """The connection holds no stream afterwards: redis-py counts it as closed and closes nothing of ours."""
    connection = await opener(valkey.url)()
    assert connection.is_connected

    writer = take_over(connection)

    assert not connection.is_connected
    await connection.disconnect()
    assert not writer.transport.is_closing()
    writer.transport.abort()


async def test_a_connection_that_was_closed_is_not_taken_over(valkey: ValkeyServer) -> None:
    """A connection that ended meanwhile is an error of Redis, after which another is opened."""
    connection = await opener(valkey.url)()
    await connection.disconnect()

    with pytest.raises(RedisConnectionError):
        take_over(connection)
