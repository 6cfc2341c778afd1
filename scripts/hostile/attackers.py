"""Fifty clients on four connections each, as fast as they can.

    python -m scripts.hostile.attackers PORT SECONDS

Tokens come on standard input, a JSON object; each connection visits with one attack after another, chosen by
a fixed seed. Says `began` once as many visits are over as there are connections, at last how many visits of
each kind were made.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import signal
import socket
import sys
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from scripts.hostile.pieces import attacks

if TYPE_CHECKING:
    from scripts.hostile.pieces import Attack

CONNECTIONS: Final = 200
_ADDRESS: Final = "127.0.0.2" if sys.platform == "linux" else "127.0.0.1"
"""Not that of the honest players, where loopback has others: the server's limits of an address hold."""
_VISIT_LIMIT_S: Final = 1.0
_QUIET_S: Final = 0.02
_NICENESS: Final = 19


@dataclass(slots=True)
class _Progress:
    """What all connections of the crowd share."""

    visits: Counter[str] = field(default_factory=Counter)
    at_work: asyncio.Event = field(default_factory=asyncio.Event)
    over: asyncio.Event = field(default_factory=asyncio.Event)

    def end(self) -> None:
        """Let nobody begin another visit, and nobody wait for the first ones."""
        self.at_work.set()
        self.over.set()


def main() -> int:
    """Attack until SIGTERM, at most for so many seconds; the visits go to standard output."""
    parser = argparse.ArgumentParser(prog="python -m scripts.hostile.attackers", description=__doc__)
    parser.add_argument("port", type=int)
    parser.add_argument("seconds", type=float)
    options = parser.parse_args()
    # What the attackers' own work costs is not what it costs the server.
    os.nice(_NICENESS)
    tokens = json.load(sys.stdin)
    visits = asyncio.run(_attack(options.port, options.seconds, tokens["access"], tokens["refresh"]))
    print(json.dumps(visits))
    return 0


async def _attack(
    port: int, seconds: float, access: list[list[str]], refresh: list[list[str]]
) -> Counter[str]:
    progress = _Progress()
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, progress.end)
    loop.call_later(seconds, progress.end)
    crowd = [
        asyncio.ensure_future(
            _visit_on(
                port,
                random.Random(number),  # noqa: S311 - the same attacks each time
                attacks(access[number % len(access)], refresh[number % len(refresh)]),
                progress,
            )
        )
        for number in range(CONNECTIONS)
    ]
    await progress.at_work.wait()
    print("began", flush=True)
    await progress.over.wait()
    for one in crowd:
        one.cancel()
    await asyncio.gather(*crowd, return_exceptions=True)
    return progress.visits


async def _visit_on(port: int, chance: random.Random, kinds: list[Attack], progress: _Progress) -> None:
    """Keep one connection busy: one visit after the other."""
    while not progress.over.is_set():
        attack = chance.choice(kinds)
        try:
            async with asyncio.timeout(_VISIT_LIMIT_S):
                await _visit(port, attack)
            progress.visits[attack.name] += 1
        except TimeoutError:
            progress.visits[f"{attack.name}, not ended"] += 1
        except OSError:
            progress.visits["refused or cut off"] += 1
            await asyncio.sleep(_QUIET_S)
        if progress.visits.total() >= CONNECTIONS:
            progress.at_work.set()


async def _visit(port: int, attack: Attack) -> None:
    """Send an attack, read until the server is quiet or hangs up, and leave without a word."""
    loop = asyncio.get_running_loop()
    with socket.socket() as peer:
        peer.setblocking(False)
        peer.bind((_ADDRESS, 0))
        await loop.sock_connect(peer, ("127.0.0.1", port))
        sending = asyncio.ensure_future(loop.sock_sendall(peer, attack.data))
        try:
            if attack.deaf:
                await asyncio.sleep(_VISIT_LIMIT_S / 2)
                return
            await _read_until_quiet(peer)
        finally:
            sending.cancel()
            await asyncio.gather(sending, return_exceptions=True)


async def _read_until_quiet(peer: socket.socket) -> None:
    loop = asyncio.get_running_loop()
    limit_s = _VISIT_LIMIT_S
    while True:
        try:
            async with asyncio.timeout(limit_s):
                if not await loop.sock_recv(peer, 1 << 16):
                    return
        except TimeoutError:
            return
        limit_s = _QUIET_S


if __name__ == "__main__":
    sys.exit(main())
