"""A WebSocket echo: our own connection, or bare sans-I/O `websockets` as the floor to compare it with.

    python -m scripts.bench.echo_server [--variant connection|floor] [--port 0] [--binary]
        [--max-message-bytes N]

Prints its port when it listens. Then each line on its standard input is answered by one line of JSON: the CPU
seconds it used and its resident memory in bytes; the end of the input ends it.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
import time
from pathlib import Path
from typing import cast

from websockets.frames import Frame, Opcode
from websockets.http11 import Request
from websockets.server import ServerProtocol
from websockets.streams import StreamReader

from runtime.direct_loop import new_event_loop
from runtime.turns import Turns
from server.ws.connection import Connection
from server.ws.limits import ConnectionLimits
from server.ws.sweeper import Sweeper


class EchoConnection(Connection):
    """A connection that can also send what the game never does."""

    __slots__ = ()

    def send_binary(self, payload: bytes) -> None:
        """Send one binary message."""
        if not self.closing:
            self._write(Frame(Opcode.BINARY, payload).serialize(mask=False))


class Echo:
    """A receiver that sends every message back as it came."""

    def message_received(self, connection: Connection, payload: bytes) -> None:
        """Send the message back."""
        if connection.binary and isinstance(connection, EchoConnection):
            connection.send_binary(payload)
        else:
            connection.send(payload)

    def connection_closed(self, connection: Connection) -> None:
        """Forget nothing: nothing was kept."""


class Upgrade(asyncio.Protocol):
    """The least HTTP that an upgrade needs: one request, then the transport belongs to a connection."""

    def __init__(self, limits: ConnectionLimits, sweeper: Sweeper, turns: Turns) -> None:
        self._turns = turns
        self._limits = limits
        self._sweeper = sweeper
        self._reader = StreamReader()
        self._parser = Request.parse(self._reader.read_line)
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport until the request is complete."""
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Parse what there is of the request."""
        if self._transport is None:
            return
        self._reader.feed_data(data)
        try:
            next(self._parser)
        except StopIteration as done:
            EchoConnection.accept(
                self._transport,
                done.value,
                bytes(self._reader.buffer),
                origins=(),
                receiver=Echo(),
                limits=self._limits,
                sweeper=self._sweeper,
                turns=self._turns,
            )
        except (ValueError, EOFError):
            self._transport.abort()


class Floor(asyncio.Protocol):
    """`websockets`' sans-I/O protocol on an asyncio transport, and nothing else."""

    def __init__(self) -> None:
        self._protocol = ServerProtocol()
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Echo text."""
        protocol = self._protocol
        protocol.receive_data(data)
        for event in protocol.events_received():
            if isinstance(event, Request):
                protocol.send_response(protocol.accept(event))
            elif isinstance(event, Frame) and event.opcode is Opcode.TEXT:
                protocol.send_text(event.data)
        if self._transport is not None:
            for piece in protocol.data_to_send():
                self._transport.write(piece)


class SharedBufferFloor(Floor, asyncio.BufferedProtocol):
    """The floor without asyncio's allocation of 256 KiB for each read."""

    received = bytearray(64 * 1024)

    def get_buffer(self, sizehint: int) -> bytearray:  # noqa: ARG002 - the transport's signature
        """Say where what arrives is to be put."""
        return self.received

    def buffer_updated(self, nbytes: int) -> None:
        """Echo text."""
        self.data_received(bytes(self.received[:nbytes]))


def resident_bytes() -> int:
    """Read this process' resident memory; 0 where the system has no /proc."""
    statm = Path("/proc/self/statm")
    return int(statm.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") if statm.exists() else 0


async def serve(variant: str, port: int, limits: ConnectionLimits) -> None:
    """Serve until the standard input ends."""
    loop = asyncio.get_running_loop()
    sweeper, turns = Sweeper(), Turns(loop)
    sweeper.start()
    factories = {
        "connection": lambda: Upgrade(limits, sweeper, turns),
        "floor": Floor,
        "floor-shared-buffer": SharedBufferFloor,
    }
    server = await loop.create_server(factories[variant], "127.0.0.1", port, backlog=1024)
    print(server.sockets[0].getsockname()[1], flush=True)
    ended = asyncio.Event()

    def on_input() -> None:
        if not sys.stdin.buffer.readline():
            ended.set()
            return
        print(json.dumps({"cpu_s": time.process_time(), "rss_bytes": resident_bytes()}), flush=True)

    loop.add_reader(sys.stdin.fileno(), on_input)
    await ended.wait()
    sweeper.stop()
    server.close()


def main() -> None:
    """Read the command line and serve."""
    parser = argparse.ArgumentParser(
        prog="python -m scripts.bench.echo_server",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--variant", choices=("connection", "floor", "floor-shared-buffer"), default="connection"
    )
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--binary", action="store_true", help="echo binary messages too")
    parser.add_argument("--max-message-bytes", type=int, default=10_000)
    parser.add_argument("--max-fragments", type=int, default=64)
    parser.add_argument("--core", type=int, help="run on this core only")
    arguments = parser.parse_args()
    if arguments.core is not None and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {arguments.core})
    limits = ConnectionLimits(
        max_message_bytes=arguments.max_message_bytes,
        max_fragments=arguments.max_fragments,
        allow_binary=arguments.binary,
        max_unsent_bytes=max(256 * 1024, 4 * arguments.max_message_bytes),
    )
    # As the server does; the floor is what asyncio gives everybody.
    loop_factory = new_event_loop if arguments.variant == "connection" else None
    with asyncio.Runner(loop_factory=loop_factory) as runner:
        runner.run(serve(arguments.variant, arguments.port, limits))


if __name__ == "__main__":
    main()
