"""Slots of a cluster: where they are, and how an operator moves them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from game.session import UserId
from persistence.live.keys import SLOT_OF_BUCKET, bucket_of
from tests.support.limits import LIMIT_S

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.support.servers import ValkeyServer


MIGRATE_WITHIN_MS: Final = round(1000 * LIMIT_S)


def slot_of(user_id: int) -> int:
    """The slot that a user's keys live in."""
    return SLOT_OF_BUCKET[bucket_of(UserId(user_id))]


def owner_of(nodes: list[ValkeyServer], slot: int) -> ValkeyServer:
    """The master that has a slot, by what the first node says."""
    for first, last, master, *_ in nodes[0].ask("CLUSTER", "SLOTS"):  # type: ignore[attr-defined]  # nested lists
        if first <= slot <= last:
            return next(node for node in nodes if node.port == master[1])
    raise LookupError(slot)


def migrate_slot(nodes: list[ValkeyServer], slot: int, target: ValkeyServer) -> None:
    """Move a slot with its keys, as redis-cli does, one key at a time."""
    source = owner_of(nodes, slot)
    empty_slot(nodes, slot, target)
    end_of_move([target, source, *nodes], slot, target)


def begin_to_move(source: ValkeyServer, slot: int, target: ValkeyServer) -> None:
    """Say that a slot is on its way; no key has left yet."""
    source_id, target_id = source.ask("CLUSTER", "MYID"), target.ask("CLUSTER", "MYID")
    target.ask("CLUSTER", "SETSLOT", slot, "IMPORTING", str(source_id))
    source.ask("CLUSTER", "SETSLOT", slot, "MIGRATING", str(target_id))


def move_keys(source: ValkeyServer, target: ValkeyServer, keys: Sequence[str]) -> None:
    """Move some keys of a slot that is on its way."""
    source.ask("MIGRATE", "127.0.0.1", target.port, "", 0, MIGRATE_WITHIN_MS, "KEYS", *keys)


def empty_slot(nodes: list[ValkeyServer], slot: int, target: ValkeyServer) -> None:
    """Begin to move a slot, and move all its keys."""
    source = owner_of(nodes, slot)
    begin_to_move(source, slot, target)
    move_the_rest(source, slot, target)


def move_the_rest(source: ValkeyServer, slot: int, target: ValkeyServer) -> None:
    """Move what is left of a slot that is on its way."""
    while keys := source.ask("CLUSTER", "GETKEYSINSLOT", slot, 1):
        source.ask("MIGRATE", "127.0.0.1", target.port, "", 0, MIGRATE_WITHIN_MS, "KEYS", *keys)  # type: ignore[misc]  # a list


def end_of_move(nodes: list[ValkeyServer], slot: int, target: ValkeyServer) -> None:
    """Give a slot to its new master, which knows of that first."""
    target_id = str(target.ask("CLUSTER", "MYID"))
    for node in (target, *nodes):
        node.ask("CLUSTER", "SETSLOT", slot, "NODE", target_id)
