"""What every kind of Redis that the game runs over has, and the faults that several kinds share."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from typing import TYPE_CHECKING, Any, Protocol

from redis.exceptions import RedisError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from scripts.chaos.links import Link
    from scripts.chaos.nodes import RedisNode
    from scripts.chaos.plan import Fault, Kind

    Act = Callable[[Fault], Awaitable[None]]


class RedisWorld(Protocol):
    """Some servers that together are one Redis for the game.

    `acts` are the faults of its own, `links` what stands between each process and it, where anything does.
    `wait_replicas` is the setting for it.
    """

    nodes: list[RedisNode]
    links: dict[str, Link]
    wait_replicas: int
    acts: Mapping[Kind, Act]

    async def start(self) -> None:
        """Start it all."""

    def address(self, program: str) -> str:
        """Return the REDIS_CONNECTION of a process, `""` for one without a link."""

    def losses(self, kind: Kind) -> str:
        """Say what a fault may lose: nothing, what was not answered, or all of the last moment."""


async def stop_for(node: RedisNode, for_s: float) -> None:
    """Let a server stand still for a while."""
    os.kill(node.pid, signal.SIGSTOP)
    try:
        await asyncio.sleep(for_s)
    finally:
        os.kill(node.pid, signal.SIGCONT)


async def cut_lanes(node: RedisNode, for_s: float) -> None:
    """Break the connections of clients to a server one after the other."""
    lines: Any = await node.ask("CLIENT", "LIST", "TYPE", "NORMAL")
    lines = lines if isinstance(lines, list) else []
    pubsub: Any = await node.ask("CLIENT", "LIST", "TYPE", "PUBSUB")
    numbers = [client["id"] for client in [*lines, *(pubsub if isinstance(pubsub, list) else [])]]
    for number in numbers:
        with contextlib.suppress(RedisError):
            await node.ask("CLIENT", "KILL", "ID", number)
        await asyncio.sleep(for_s / max(1, len(numbers)))
