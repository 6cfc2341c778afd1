"""What an echo costs: our connection beside bare sans-I/O `websockets`, in turns on the same machine.

    python -m scripts.bench.echo [--connections 200] [--size 150] [--rounds 5] [--seconds 1]

Each variant of `scripts.bench.echo_server` runs in a process of its own on core 0, the load on core 1: raw
sockets, one prebuilt frame in flight on each. The figure is the server's CPU time for one message, user and
system, which does not depend on how fast the load is; the median and the best of the rounds are printed. The
memory is that of one idle connection, over 2,000.
"""

from __future__ import annotations

import argparse
import json
import os
import select
import socket
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass, field

VARIANTS = ("floor", "floor-shared-buffer", "connection")
IDLE_CONNECTIONS = 2000

HANDSHAKE = (
    b"GET /ws HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)


def masked_text_frame(payload: bytes) -> bytes:
    """Frame `payload` (at most 65,535 bytes) as a client does."""
    mask = b"\x37\xfa\x21\x3d"
    length = len(payload)
    head = bytes((0x81, 0x80 | length)) if length < 126 else b"\x81\xfe" + length.to_bytes(2, "big")  # noqa: PLR2004 - RFC 6455, 5.2
    return head + mask + bytes(byte ^ mask[index & 3] for index, byte in enumerate(payload))


def open_socket(port: int) -> socket.socket:
    """Connect and shake hands."""
    connected = socket.create_connection(("127.0.0.1", port), timeout=10)
    connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    connected.sendall(HANDSHAKE)
    answer = b""
    while b"\r\n\r\n" not in answer:
        answer += connected.recv(4096)
    connected.setblocking(False)
    return connected


@dataclass
class Server:
    """An echo server in its own process, and the sockets that load it."""

    variant: str
    process: subprocess.Popen[bytes]
    port: int
    sockets: dict[int, socket.socket] = field(default_factory=dict)
    cpu_us: list[float] = field(default_factory=list)
    rate: list[float] = field(default_factory=list)

    @classmethod
    def start(cls, variant: str) -> Server:
        """Start one and wait until it listens."""
        process = subprocess.Popen(  # noqa: S603 - our own module, a variant of our own list
            [sys.executable, "-m", "scripts.bench.echo_server", "--variant", variant, "--core", "0"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        if process.stdout is None:
            raise RuntimeError("no pipe")
        return cls(variant, process, int(process.stdout.readline()))

    def usage(self) -> tuple[float, int]:
        """Ask for its CPU seconds and resident bytes."""
        if self.process.stdin is None or self.process.stdout is None:
            raise RuntimeError("no pipe")
        self.process.stdin.write(b"\n")
        self.process.stdin.flush()
        answer = json.loads(self.process.stdout.readline())
        return float(answer["cpu_s"]), int(answer["rss_bytes"])

    def idle_bytes(self) -> float:
        """Measure what an idle connection takes, over many that are then closed."""
        before = self.usage()[1]
        idle = [open_socket(self.port) for _ in range(IDLE_CONNECTIONS)]
        after = self.usage()[1]
        for connected in idle:
            connected.close()
        return (after - before) / IDLE_CONNECTIONS

    def load(self, frame: bytes, seconds: float) -> None:
        """Keep one frame in flight on every socket for a while, and note what each message cost."""
        echo_bytes = len(frame) - 4
        poller = select.epoll()
        peers = {}
        for descriptor, connected in self.sockets.items():
            poller.register(descriptor, select.EPOLLIN)
            peers[descriptor] = (connected.recv, connected.send)
        cpu_before_s = self.usage()[0]
        began_s = time.perf_counter()
        for _, send in peers.values():
            send(frame)
        messages = 0
        in_flight = len(peers)
        while in_flight:
            stopping = time.perf_counter() - began_s > seconds
            for descriptor, _ in poller.poll(5):
                receive, send = peers[descriptor]
                if len(receive(65536)) != echo_bytes:
                    raise RuntimeError("an echo came back in pieces; use a smaller --size")
                messages += 1
                if stopping:
                    in_flight -= 1
                else:
                    send(frame)
        elapsed_s = time.perf_counter() - began_s
        self.cpu_us.append((self.usage()[0] - cpu_before_s) / messages * 1e6)
        self.rate.append(messages / elapsed_s)
        poller.close()

    def stop(self) -> None:
        """Close the sockets and end the process."""
        for connected in self.sockets.values():
            connected.close()
        if self.process.stdin is not None:
            self.process.stdin.close()
        self.process.wait(timeout=10)


def main() -> None:
    """Run the variants in turns and print one table."""
    parser = argparse.ArgumentParser(
        prog="python -m scripts.bench.echo",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--connections", type=int, default=200)
    parser.add_argument("--size", type=int, default=150, help="bytes of a message")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=1.0, help="of each round of each variant")
    parser.add_argument("--variants", default=",".join(VARIANTS))
    arguments = parser.parse_args()
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {(os.cpu_count() or 1) - 1})
    frame = masked_text_frame(b"x" * arguments.size)
    servers = [Server.start(variant) for variant in arguments.variants.split(",")]
    try:
        idle_bytes = {server.variant: server.idle_bytes() for server in servers}
        for server in servers:
            opened = [open_socket(server.port) for _ in range(arguments.connections)]
            server.sockets = {connected.fileno(): connected for connected in opened}
        for _ in range(arguments.rounds):
            for server in servers:
                server.load(frame, arguments.seconds)
        print(f"{'variant':<22}{'µs median':>10}{'best':>8}{'msg/s':>10}{'idle bytes':>12}")
        for server in servers:
            print(
                f"{server.variant:<22}{statistics.median(server.cpu_us):>10.2f}{min(server.cpu_us):>8.2f}"
                f"{max(server.rate):>10.0f}{idle_bytes[server.variant]:>12.0f}"
            )
    finally:
        for server in servers:
            server.stop()


if __name__ == "__main__":
    main()
