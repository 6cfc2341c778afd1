"""A Redis in front of a real one: it passes everything on, and holds or refuses some of it on demand."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.support.servers import ValkeyServer

_SUBSCRIBE: Final = b"*2\r\n$10\r\nSSUBSCRIBE\r\n"
_REFUSAL: Final = b"-CLUSTERDOWN Hash slot not served\r\n"
_AT_ONCE_BYTES: Final = 65536


class RedisProxy:
    """Stands between a server and its Redis.

    Clear `flowing`, and a connection that subscribes waits with all that it sends until it is set, while the
    others go on; `held` is set when one waits. Clear `answering`, and what Redis says waits until it is set;
    `withheld` is set when some does. `refusals`: so many subscriptions at the head of what a
    connection sends are answered by an error; `refused` is set by the first.
    """

    def __init__(self, redis: ValkeyServer, port: int) -> None:
        self.port = port
        self._redis = redis
        self._connections: set[asyncio.Task[None]] = set()
        self.flowing = asyncio.Event()
        self.flowing.set()
        self.held = asyncio.Event()
        self.answering = asyncio.Event()
        self.answering.set()
        self.withheld = asyncio.Event()
        self.refusals = 0
        self.refused = asyncio.Event()

    def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve a connection in a task of its own."""
        task = asyncio.create_task(self._serve(reader, writer))
        self._connections.add(task)
        task.add_done_callback(self._connections.discard)

    def cut(self) -> None:
        """End every connection; those that come later are served."""
        for task in self._connections:
            task.cancel()

    async def stop(self) -> None:
        """End every connection and wait for their ends."""
        self.cut()
        await asyncio.gather(*self._connections, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Pass on one connection until either end closes it."""
        try:
            theirs, ours = await asyncio.open_unix_connection(self._redis.socket)
        except OSError:
            writer.close()
            return
        both = {
            asyncio.create_task(self._pass_requests(reader, ours, writer)),
            asyncio.create_task(self._pass_replies(theirs, writer)),
        }
        try:
            await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in both:
                task.cancel()
            writer.close()
            ours.close()
            await asyncio.gather(*both, return_exceptions=True)

    async def _pass_requests(
        self, reader: asyncio.StreamReader, redis: asyncio.StreamWriter, client: asyncio.StreamWriter
    ) -> None:
        while data := await reader.read(_AT_ONCE_BYTES):
            if _SUBSCRIBE in data and not self.flowing.is_set():
                self.held.set()
                await self.flowing.wait()
            if self.refusals and data.startswith(_SUBSCRIBE):
                self.refusals -= 1
                # The channel's length and the channel follow.
                redis.write(data.removeprefix(_SUBSCRIBE).split(b"\r\n", 2)[2])
                client.write(_REFUSAL)
                self.refused.set()
            else:
                redis.write(data)

    async def _pass_replies(self, redis: asyncio.StreamReader, client: asyncio.StreamWriter) -> None:
        while data := await redis.read(_AT_ONCE_BYTES):
            if not self.answering.is_set():
                self.withheld.set()
                await self.answering.wait()
            client.write(data)


@contextlib.asynccontextmanager
async def redis_proxy(redis: ValkeyServer, port: int) -> AsyncIterator[RedisProxy]:
    """Stand on a port of loopback in front of a Redis."""
    proxy = RedisProxy(redis, port)
    server = await asyncio.start_server(proxy.accept, "127.0.0.1", port)
    try:
        yield proxy
    finally:
        server.close()
        await proxy.stop()
