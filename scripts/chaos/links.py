"""A TCP proxy on loopback whose lines can be cut, delayed, silenced or half closed."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import random
    from collections.abc import Sequence

Target = int | Path
"""A port of loopback, or a Unix socket."""

_CONNECT_WITHIN_S = 3.0
_CHUNK_BYTES = 65_536
_SUBSCRIBE = b"ssubscribe"


@dataclass(slots=True, eq=False)
class _Pair:
    """Two connections joined: `near` was accepted, `far` was opened. A silent pair swallows what it gets."""

    near: asyncio.StreamWriter
    far: asyncio.StreamWriter
    silent: bool = False

    def abort(self) -> None:
        self.near.transport.abort()
        self.far.transport.abort()


@dataclass(slots=True)
class Link:
    """One listening port of loopback, each connection to it joined to one of the targets."""

    name: str
    targets: Sequence[Target]
    chance: random.Random
    port: int = 0
    delay_s: float = 0.0
    is_cut: bool = False
    _subscribing: asyncio.Event = field(default_factory=asyncio.Event)
    _flowing: asyncio.Event = field(default_factory=asyncio.Event)
    _pairs: set[_Pair] = field(default_factory=set)
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)
    _server: asyncio.Server | None = None

    async def open(self) -> None:
        """Listen on a free port, the same again after `close`."""
        self._flowing.set()
        self._subscribing.set()
        self._server = await asyncio.start_server(self._accepted, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def close(self) -> None:
        """End all connections and stop listening."""
        if self._server is not None:
            self._server.close()
        self.is_cut = True
        self._flowing.set()
        self._subscribing.set()
        self.break_all()
        if self._tasks:
            # Not cancelled: asyncio's streams make noise of that.
            await asyncio.wait(self._tasks, timeout=_CONNECT_WITHIN_S)

    def break_all(self) -> int:
        """Reset every connection on both sides; return how many there were."""
        pairs = list(self._pairs)
        for pair in pairs:
            pair.abort()
        return len(pairs)

    async def cut(self, seconds: float) -> None:
        """Reset every connection and let none through for a while."""
        self.is_cut = True
        self.break_all()
        try:
            await asyncio.sleep(seconds)
        finally:
            self.is_cut = False

    async def freeze(self, seconds: float) -> None:
        """Let nothing through for a while, then all of it: what a network does that drops and sends again."""
        self._flowing.clear()
        try:
            await asyncio.sleep(seconds)
        finally:
            self._flowing.set()

    async def delay(self, seconds: float, by_s: float) -> None:
        """Hold everything up for a while."""
        self.delay_s = by_s
        try:
            await asyncio.sleep(seconds)
        finally:
            self.delay_s = 0.0

    async def hold_subscriptions(self, seconds: float) -> None:
        """Hold up each connection for a while that subscribes, with all that it sends from then on."""
        self._subscribing.clear()
        try:
            await asyncio.sleep(seconds)
        finally:
            self._subscribing.set()

    async def half_open(self, seconds: float) -> None:
        """Reset one side of each connection and leave the other in the belief that all is well."""
        pairs = list(self._pairs)
        for pair in pairs:
            pair.silent = True
            (pair.near if self.chance.random() < 0.5 else pair.far).transport.abort()  # noqa: PLR2004 - a coin
        try:
            await asyncio.sleep(seconds)
        finally:
            for pair in pairs:
                pair.abort()

    async def _accepted(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is not None:
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        opened = None if self.is_cut else await self._open_one()
        if opened is None or self.is_cut:
            writer.transport.abort()
            return
        far_reader, far_writer = opened
        pair = _Pair(writer, far_writer)
        for each in (writer, far_writer):
            with contextlib.suppress(OSError):  # a Unix socket has no such option
                each.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._pairs.add(pair)
        try:
            await asyncio.gather(self._pump(pair, reader, far_writer), self._pump(pair, far_reader, writer))
        except asyncio.CancelledError:
            return  # the whole run was interrupted; asyncio's streams would report a task that says so
        finally:
            self._pairs.discard(pair)
            pair.abort()

    async def _open_one(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter] | None:
        for target in self.chance.sample(self.targets, len(self.targets)):
            with contextlib.suppress(OSError, TimeoutError):
                async with asyncio.timeout(_CONNECT_WITHIN_S):
                    if isinstance(target, Path):
                        return await asyncio.open_unix_connection(target)
                    return await asyncio.open_connection("127.0.0.1", target)
        return None

    async def _pump(self, pair: _Pair, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(_CHUNK_BYTES):
                if self.delay_s:
                    await asyncio.sleep(self.delay_s)
                await self._flowing.wait()
                if _SUBSCRIBE in data:
                    await self._subscribing.wait()
                if not pair.silent:
                    writer.write(data)
                    await writer.drain()
        except OSError:
            pass
        if not pair.silent:
            # What the other side has sent is on its way; the end follows it.
            with contextlib.suppress(OSError):
                writer.close()
