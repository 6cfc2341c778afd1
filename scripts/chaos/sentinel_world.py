"""A master and a replica under Sentinels."""

from __future__ import annotations

import asyncio
import contextlib
import time
from typing import TYPE_CHECKING, Final

from redis.exceptions import RedisError

from scripts.chaos.history.replay import UNANSWERED
from scripts.chaos.nodes import LOOK_EVERY_S, READY_WITHIN_S, RedisNode, SentinelNode, until
from scripts.chaos.plan import Fault, Kind
from scripts.chaos.redis_world import cut_lanes

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from scripts.chaos.links import Link
    from scripts.chaos.redis_world import Act

_FAILED_OVER_WITHIN_S: Final = 15.0
"""Sentinels give one up after 6 s (`failover-timeout`), or after twice that."""


class Sentinels:
    """A master, its replica, and three Sentinels.

    With two replicas a WAIT for one does not do: while one is made the master, the other one may confirm
    what the old master still takes.
    """

    def __init__(self, folder: Path, wait_replicas: int) -> None:
        self.wait_replicas = wait_replicas
        self.nodes = [RedisNode(name, folder / name) for name in ("one", "two")]
        self._watchers = [SentinelNode(f"sentinel-{at}", folder / f"sentinel-{at}") for at in range(3)]
        self.links: dict[str, Link] = {}
        self.acts: Mapping[Kind, Act] = {
            Kind.FAILOVER_COORDINATED: self._hand_over,
            Kind.FAILOVER_FORCED: self._fail_over,
            Kind.MASTER_KILLED: self._kill_master,
            Kind.LANES_CUT: self._cut_lanes,
        }

    def address(self, program: str) -> str:  # noqa: ARG002 - there are no links
        """Name the Sentinels."""
        nodes = ",".join(f"127.0.0.1:{node.port}" for node in self._watchers)
        return f"redis+sentinel://{nodes}/game"

    def losses(self, kind: Kind) -> str:
        """Lose what no replica had: without WAIT that may have been answered. In order nothing is lost."""
        if kind not in (Kind.FAILOVER_FORCED, Kind.MASTER_KILLED):
            return ""
        return UNANSWERED if self.wait_replicas else "all"

    async def start(self) -> None:
        """Start all, and wait until the Sentinels know of each other and of the replicas."""
        master, *replicas = self.nodes
        await asyncio.gather(*(node.start() for node in self.nodes))
        for replica in replicas:
            await replica.ask("REPLICAOF", "127.0.0.1", master.port)
        await until("the replicas follow", READY_WITHIN_S, *(replica.follows for replica in replicas))
        for watcher in self._watchers:
            watcher.watch(master, 2)
        await asyncio.gather(*(watcher.start() for watcher in self._watchers))
        self.nodes += self._watchers
        await until("the Sentinels know each other", READY_WITHIN_S, self._all_known)

    async def _all_known(self) -> bool:
        for watcher in self._watchers:
            seen = [await watcher.ask("SENTINEL", what, "game") for what in ("REPLICAS", "SENTINELS")]
            if [len(each) for each in seen] != [1, 2]:
                return False
        return True

    async def _master(self) -> RedisNode:
        _, port = await self._watchers[0].ask("SENTINEL", "GET-MASTER-ADDR-BY-NAME", "game")
        return next(node for node in self.nodes if node.port == int(port))

    async def _hand_over(self, fault: Fault) -> None:  # noqa: ARG002 - the contract of an act
        """Have the master wait until its replica has everything, and exchange roles with it (Valkey 9).

        Not graceful to the letter: Sentinels end all connections to the old master when they hear that its
        replica leads, up to a second after it does, and what is in flight with them.
        """
        await self._ask_for_failover("COORDINATED")

    async def _fail_over(self, fault: Fault) -> None:  # noqa: ARG002 - the contract of an act
        await self._ask_for_failover()

    async def _ask_for_failover(self, *options: str) -> None:
        old = await self._master()
        end_s = time.monotonic() + READY_WITHIN_S
        ask_at_s = time.monotonic()
        while await self._master() is old and time.monotonic() < end_s:
            # Refused while one is under way, or as long as the replica is not known well enough. One that has
            # begun is given its time: asked for again just after, it would go back.
            if time.monotonic() >= ask_at_s:
                with contextlib.suppress(RedisError):
                    await self._watchers[0].ask("SENTINEL", "FAILOVER", "game", *options)
                    ask_at_s = time.monotonic() + _FAILED_OVER_WITHIN_S
            await asyncio.sleep(LOOK_EVERY_S)
        await self._settled()

    async def _kill_master(self, fault: Fault) -> None:
        old = await self._master()
        await old.kill()
        try:
            await until("another master", READY_WITHIN_S, lambda: self._is_other(old))
            await asyncio.sleep(fault.for_s)
        finally:
            await old.start()
        await self._settled()

    async def _is_other(self, old: RedisNode) -> bool:
        master = await self._master()
        return master is not old and await master.leads()

    async def _settled(self) -> None:
        await until("a master leads and the other follows", READY_WITHIN_S, self._is_settled)

    async def _is_settled(self) -> bool:
        """Ask again who leads: what was asked for as the Sentinels changed over makes them change back."""
        master = await self._master()
        others = [node for node in self.nodes[:2] if node is not master]
        return await master.leads() and all([await node.follows() for node in others])

    async def _cut_lanes(self, fault: Fault) -> None:
        await cut_lanes(await self._master(), fault.for_s)
