"""One Redis behind one address: always the same, or a master and its replica that exchange their roles."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Final

from scripts.chaos.history.replay import UNANSWERED
from scripts.chaos.links import Link
from scripts.chaos.nodes import READY_WITHIN_S, RedisNode, until
from scripts.chaos.plan import FLUSHER, SERVERS, Fault, Kind, stepped_s
from scripts.chaos.redis_world import cut_lanes, stop_for

if TYPE_CHECKING:
    import random
    from collections.abc import Mapping

    from scripts.chaos.redis_world import Act

PROGRAMS: Final = (*SERVERS, FLUSHER)
_CLOCK_LIBRARIES: Final = "*/faketime/libfaketime.so.1"


class OneRedis:
    """One server, Valkey or another; a link for each process.

    Valkey's clock may be stepped where `faketime` is installed: it and Debian's Redis do not go together.
    """

    def __init__(self, folder: Path, chance: random.Random, program: str = "") -> None:
        self._clock = folder / "clock"
        environment = {}
        library = clock_library()
        has_clock = not program and library is not None
        if has_clock:
            environment = {
                "LD_PRELOAD": str(library),
                "FAKETIME_TIMESTAMP_FILE": str(self._clock),
                "FAKETIME_CACHE_DURATION": "1",
                "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            }
            self._clock.write_text("+0\n")
        self.node = RedisNode("redis", folder / "redis", program=program, environment=environment)
        self.nodes = [self.node]
        self.links = {name: Link(f"{name} - redis", [self.node.port], chance) for name in PROGRAMS}
        self.wait_replicas = 0
        self.acts: Mapping[Kind, Act] = {Kind.LANES_CUT: self._cut_lanes}
        if has_clock:
            self.acts |= {Kind.CLOCK_BACK: self._step, Kind.CLOCK_FORWARD: self._step}
        self._ahead_s = 0

    async def start(self) -> None:
        """Start it."""
        await self.node.start()

    def address(self, program: str) -> str:
        """Lead a process through its link."""
        port = self.links[program].port if program else self.node.port
        return f"redis://127.0.0.1:{port}"

    def losses(self, kind: Kind) -> str:  # noqa: ARG002 - nothing is ever lost here
        """Lose nothing: each write is synced before it is answered."""
        return ""

    async def _cut_lanes(self, fault: Fault) -> None:
        await cut_lanes(self.node, fault.for_s)

    async def _step(self, fault: Fault) -> None:
        """Step the clock; the library looks once a second."""
        self._ahead_s += stepped_s(fault)
        self._clock.write_text(f"{self._ahead_s:+d}\n")
        await asyncio.sleep(1.5)


class TwoBehindOneAddress:
    """A master and its replica; every process has the one address that leads to the master of the moment.

    Where no replica is waited for, one may be promoted that was cut off for a while.
    """

    def __init__(self, folder: Path, chance: random.Random, wait_replicas: int = 1) -> None:
        self.nodes = [RedisNode(name, folder / name) for name in ("here", "there")]
        here, _ = self.nodes
        self.links = {name: Link(f"{name} - redis", [here.port], chance) for name in PROGRAMS}
        self.wait_replicas = wait_replicas
        self.acts: Mapping[Kind, Act] = {
            Kind.ROLES_EXCHANGED: self._exchange,
            Kind.REPLICA_STOPPED: self._stop_replica,
        }
        if not wait_replicas:
            self.acts |= {Kind.BEHIND_PROMOTED: self._promote_late}

    async def start(self) -> None:
        """Start both."""
        here, there = self.nodes
        await asyncio.gather(here.start(), there.start())
        await there.ask("REPLICAOF", "127.0.0.1", here.port)
        await until("the replica follows", READY_WITHIN_S, there.follows)

    def address(self, program: str) -> str:
        """Lead a process through its link."""
        port = self.links[program].port if program else self.nodes[0].port
        return f"redis://127.0.0.1:{port}"

    def losses(self, kind: Kind) -> str:
        """Lose what no replica had: without WAIT that may have been answered."""
        if kind not in (Kind.ROLES_EXCHANGED, Kind.BEHIND_PROMOTED):
            return ""
        return UNANSWERED if self.wait_replicas else "all"

    async def _stop_replica(self, fault: Fault) -> None:
        _, replica = self.nodes
        await stop_for(replica, fault.for_s)

    async def _exchange(self, fault: Fault) -> None:
        """Exchange the roles and lead new connections to the new master; old ones stay where they are."""
        old, new = self.nodes
        if fault.pick < 0.5:  # noqa: PLR2004 - a coin
            await old.ask("FAILOVER", "TO", "127.0.0.1", new.port, "TIMEOUT", 5000)
            await until("the roles are exchanged", READY_WITHIN_S, new.leads)
        else:
            await new.ask("REPLICAOF", "NO", "ONE")
            await old.ask("REPLICAOF", "127.0.0.1", new.port)
        await self._lead_to_new_master()

    async def _promote_late(self, fault: Fault) -> None:
        """Let the replica hear nothing for a while, then make it the master: what was done then is lost."""
        old, new = self.nodes
        await new.ask("REPLICAOF", "NO", "ONE")
        await asyncio.sleep(fault.for_s)
        await old.ask("REPLICAOF", "127.0.0.1", new.port)
        await self._lead_to_new_master()

    async def _lead_to_new_master(self) -> None:
        old, new = self.nodes
        self.nodes.reverse()
        for link in self.links.values():
            link.targets = [new.port]
        await until("the old master follows", READY_WITHIN_S, old.follows)


def clock_library() -> Path | None:
    """Find the library that gives a process another time."""
    return next(Path("/usr/lib").glob(_CLOCK_LIBRARIES), None)


def debian_redis() -> str | None:
    """Find the Redis of the distribution."""
    return shutil.which("redis-server")
