"""A Redis Cluster whose slots move and whose replicas take over."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Final

from redis.exceptions import RedisError

from persistence.live.keys import SLOT_OF_BUCKET, bucket_of
from scripts.chaos.history.replay import UNANSWERED
from scripts.chaos.nodes import READY_WITHIN_S, RedisNode, until
from scripts.chaos.plan import Fault, Kind
from scripts.chaos.redis_world import cut_lanes
from scripts.ports import free_port

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from game.session import UserId
    from scripts.chaos.links import Link
    from scripts.chaos.redis_world import Act

_SLOTS: Final = 16_384


class Cluster:
    """Three masters with a replica each. Slots move, replicas take over."""

    def __init__(self, folder: Path, wait_replicas: int) -> None:
        self.wait_replicas = wait_replicas
        options = ["--cluster-enabled", "yes", "--cluster-node-timeout", "2000"]
        options += ["--cluster-replica-validity-factor", "0", "--cluster-allow-replica-migration", "no"]
        self.nodes = [
            RedisNode(f"node-{at}", folder / f"node-{at}", [*options, "--cluster-port", str(free_port())])
            for at in range(6)
        ]
        self.links: dict[str, Link] = {}
        self.users: Sequence[UserId] = ()
        self.acts: Mapping[Kind, Act] = {
            Kind.SLOT_MOVED: self._move_slot,
            Kind.FAILOVER: self._fail_over,
            Kind.FAILOVER_FORCED: self._fail_over,
            Kind.MASTER_KILLED: self._kill_master,
            Kind.LANES_CUT: self._cut_lanes,
        }

    def address(self, program: str) -> str:  # noqa: ARG002 - there are no links
        """Name three nodes: a client finds the others."""
        return "redis+cluster://" + ",".join(f"127.0.0.1:{node.port}" for node in self.nodes[:3])

    def losses(self, kind: Kind) -> str:
        """Lose what no replica had: without WAIT that may have been answered."""
        if kind not in (Kind.FAILOVER_FORCED, Kind.MASTER_KILLED):
            return ""
        return UNANSWERED if self.wait_replicas else "all"

    async def start(self) -> None:
        """Start the nodes, make them a cluster, and wait until every replica follows."""
        await asyncio.gather(*(node.start() for node in self.nodes))
        for at, node in enumerate(self.nodes):
            await node.ask("CLUSTER", "SET-CONFIG-EPOCH", at + 1)
            for other in self.nodes[:at]:
                await node.ask("CLUSTER", "MEET", "127.0.0.1", other.port, other.options[-1])
        masters, replicas = self.nodes[:3], self.nodes[3:]
        for at, master in enumerate(masters):
            await master.ask("CLUSTER", "ADDSLOTSRANGE", _SLOTS * at // 3, _SLOTS * (at + 1) // 3 - 1)
        await until("all nodes know each other", READY_WITHIN_S, self._all_met)
        for master, replica in zip(masters, replicas, strict=True):
            await replica.ask("CLUSTER", "REPLICATE", await master.ask("CLUSTER", "MYID"))
        await until("all replicas follow", READY_WITHIN_S, *(replica.follows for replica in replicas))
        await until("the cluster is ok", READY_WITHIN_S, self._is_ok)

    async def _all_met(self) -> bool:
        counts = [(await self._info(node)).get("cluster_known_nodes") for node in self.nodes]
        return all(count == str(len(self.nodes)) for count in counts)

    async def _is_ok(self) -> bool:
        return all([(await self._info(node)).get("cluster_state") == "ok" for node in self.nodes])

    @staticmethod
    async def _info(node: RedisNode) -> dict[str, str]:
        reply = await node.ask("CLUSTER", "INFO")
        if isinstance(reply, dict):
            return {str(name): str(value) for name, value in reply.items()}
        return dict(line.split(":", 1) for line in str(reply).splitlines() if ":" in line)

    async def _group(self, slot: int) -> tuple[RedisNode, list[RedisNode]]:
        """Return the master of a slot and its replicas, by what the first node that lives says."""
        by_port = {node.port: node for node in self.nodes}
        for node in self.nodes:
            with contextlib.suppress(RedisError, OSError):
                for first, last, master, *replicas in await node.ask("CLUSTER", "SLOTS"):
                    if first <= slot <= last:
                        master_port = int(list(master)[1])
                        ports = [int(list(one)[1]) for one in replicas]
                        return by_port[master_port], [by_port[port] for port in ports]
        raise LookupError(slot)

    async def _master_and_replica(self, slot: int) -> tuple[RedisNode, RedisNode]:
        """Return the master of a slot and a replica of it, as soon as the others know of one.

        After a fault a node that follows again is left out of the slots until the news of it has spread.
        """
        found: list[tuple[RedisNode, RedisNode]] = []

        async def has_replica() -> bool:
            master, replicas = await self._group(slot)
            found.extend((master, replica) for replica in replicas)
            return bool(found)

        await until("a master has a replica", READY_WITHIN_S, has_replica)
        return found.pop()

    def _slot(self, pick: float) -> int:
        """Choose the slot of one of the players."""
        return SLOT_OF_BUCKET[bucket_of(self.users[int(pick * len(self.users))])]

    async def _move_slot(self, fault: Fault) -> None:
        slot = self._slot(fault.pick)
        home, _ = await self._group(slot)
        masters = {id(group[0]): group[0] for group in [await self._group(at) for at in (0, 8000, 16_000)]}
        away = next(node for node in masters.values() if node is not home)
        for source, target in ((home, away), (away, home)):
            await self._move(slot, source, target, fault.for_s / 2)

    async def _move(self, slot: int, source: RedisNode, target: RedisNode, for_s: float) -> None:
        """Move a slot with its keys, as redis-cli does, and let it be on its way for a while."""
        source_id, target_id = await source.ask("CLUSTER", "MYID"), await target.ask("CLUSTER", "MYID")
        await target.ask("CLUSTER", "SETSLOT", slot, "IMPORTING", source_id)
        await source.ask("CLUSTER", "SETSLOT", slot, "MIGRATING", target_id)
        end_s = asyncio.get_running_loop().time() + for_s
        while True:
            keys = await source.ask("CLUSTER", "GETKEYSINSLOT", slot, 10)
            if keys:
                await source.ask("MIGRATE", "127.0.0.1", target.port, "", 0, 5000, "KEYS", *keys)
            elif asyncio.get_running_loop().time() > end_s:
                break
            else:
                await asyncio.sleep(0.05)
        for node in (target, source, *self.nodes):
            with contextlib.suppress(RedisError):  # replicas learn it from their masters
                await node.ask("CLUSTER", "SETSLOT", slot, "NODE", target_id)

    async def _fail_over(self, fault: Fault) -> None:
        old, new = await self._master_and_replica(self._slot(fault.pick))
        await new.ask("CLUSTER", "FAILOVER", *(["TAKEOVER"] if fault.kind is Kind.FAILOVER_FORCED else []))
        await until("the replica takes over", READY_WITHIN_S, new.leads)
        await until("the old master follows", READY_WITHIN_S, old.follows)

    async def _kill_master(self, fault: Fault) -> None:
        old, new = await self._master_and_replica(self._slot(fault.pick))
        await old.kill()
        await until("a replica takes over", READY_WITHIN_S, new.leads)
        await asyncio.sleep(fault.for_s)
        await old.start()
        await until("the old master follows", READY_WITHIN_S, old.follows)

    async def _cut_lanes(self, fault: Fault) -> None:
        master, _ = await self._group(self._slot(fault.pick))
        await cut_lanes(master, fault.for_s)
