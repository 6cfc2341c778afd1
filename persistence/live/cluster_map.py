"""Which node of a cluster has which slots, as its nodes say."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import hiredis
from redis.exceptions import RedisError

from persistence.live.addresses import named_nodes, opener
from persistence.live.lane_contract import LaneDown, LaneError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from persistence.live.lane import Lane
    from runtime.url_parts import Node

_SLOTS = 16384


class ClusterMap(NamedTuple):
    """The masters by name, and the name of the master of each slot: "" where there is none."""

    nodes: dict[str, Node]
    owner: list[str]


def cluster_map(asked: Node, reply: object) -> ClusterMap:
    """Read the reply to CLUSTER SLOTS that a node gave."""
    nodes: dict[str, Node] = {}
    owner = [""] * _SLOTS
    asked_host, _ = asked
    for first, last, (named, port, *_), *_ in cast("list[Any]", reply):
        # A node that does not know under which address it is reached names none: it is the one asked.
        host = named.decode() if named else asked_host
        name = f"{host}:{port}"
        nodes[name] = host, port
        for slot in range(first, last + 1):
            owner[slot] = name
    return ClusterMap(nodes, owner)


async def ask_slots(lanes: Sequence[Lane], url: str) -> tuple[Node, object]:
    """Ask any node which node has which slots; returns the node asked, and its reply.

    Raises LaneDown where none answers.
    """
    for lane in lanes:
        if lane.up:
            try:
                async with asyncio.timeout(1):
                    return _node_of(lane), await lane.call("CLUSTER", "SLOTS")
            except (LaneError, hiredis.ReplyError, TimeoutError):
                continue
    last: Exception = LaneDown("no node of the cluster answers")
    for node in [*map(_node_of, lanes), *named_nodes(url)]:
        try:
            async with asyncio.timeout(1):
                connection = await opener(url, node)()
                try:
                    await connection.send_command("CLUSTER", "SLOTS")
                    return node, await connection.read_response(disable_decoding=True)
                finally:
                    await connection.disconnect()
        except (RedisError, OSError, TimeoutError) as error:
            last = error
    raise LaneDown("no node of the cluster answers") from last


def _node_of(lane: Lane) -> Node:
    """Read the address that a cluster's lane is named by."""
    host, _, port = lane.name.rpartition(":")
    return host, int(port)
