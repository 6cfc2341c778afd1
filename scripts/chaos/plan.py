"""What goes wrong and when: a plan that follows from its seed alone."""

from __future__ import annotations

import random
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

SERVERS: Final = ("anna", "bert", "carl")
"""The server processes; bert is a supervisor with two workers."""
MANY_WORKERS: Final = "bert"
FLUSHER: Final = "flusher"


class Kind(StrEnum):
    """The kinds of faults, as the report names them."""

    SERVER_KILLED = "server killed (-9)"
    WORKER_KILLED = "one of two workers killed (-9)"
    SERVER_STOPPED = "server stopped and continued"
    REDIS_KILLED = "Redis killed (-9)"
    REDIS_STOPPED = "Redis stopped and continued"
    POSTGRES_KILLED = "PostgreSQL killed (-9)"
    BACKEND_KILLED = "one PostgreSQL backend killed (-9)"
    POSTGRES_STOPPED = "PostgreSQL stopped and continued"
    POSTGRES_READ_ONLY = "PostgreSQL read-only"
    FLUSHER_KILLED = "flusher killed (-9)"
    FLUSHER_STOPPED = "flusher stopped and continued"
    LOG_CLOSED = "log's reader gone"
    CLIENTS_CUT = "clients cut off"
    CLIENTS_DELAYED = "clients delayed"
    CLIENTS_FROZEN = "clients' packets held back"
    CLIENTS_HALF_OPEN = "clients' connections half open"
    REDIS_CUT = "process cut off from Redis"
    REDIS_DELAYED = "process to Redis delayed"
    REDIS_FROZEN = "process to Redis held back"
    REDIS_HALF_OPEN = "process to Redis half open"
    SUBSCRIPTIONS_HELD = "subscriptions delayed"
    LANES_CUT = "connections to Redis cut one by one"
    POSTGRES_CUT = "process cut off from PostgreSQL"
    POSTGRES_DELAYED = "process to PostgreSQL delayed"
    POSTGRES_FROZEN = "process to PostgreSQL held back"
    POSTGRES_HALF_OPEN = "process to PostgreSQL half open"
    SCRIPTS_FLUSHED = "scripts flushed from Redis"
    CLOCK_BACK = "Redis' clock stepped back"
    CLOCK_FORWARD = "Redis' clock stepped forward"
    ROLES_EXCHANGED = "roles exchanged behind one address"
    BEHIND_PROMOTED = "roles exchanged with a replica cut off before"
    SLOT_MOVED = "slot moved there and back"
    FAILOVER = "graceful failover"
    FAILOVER_COORDINATED = "coordinated failover"
    FAILOVER_FORCED = "forced failover"
    REPLICA_STOPPED = "replica stopped and continued"
    MASTER_KILLED = "master killed (-9), a replica follows"


GRACEFUL: Final = frozenset({Kind.SLOT_MOVED, Kind.FAILOVER})
"""Those that must cost no player a refusal."""

_WEIGHTS: Final = {
    Kind.SERVER_KILLED: 3,
    Kind.REDIS_KILLED: 3,
    Kind.SLOT_MOVED: 4,
    Kind.FAILOVER: 3,
    Kind.FAILOVER_COORDINATED: 3,
    Kind.FAILOVER_FORCED: 3,
    Kind.MASTER_KILLED: 3,
    Kind.ROLES_EXCHANGED: 4,
    Kind.BEHIND_PROMOTED: 4,
    Kind.CLOCK_BACK: 3,
    Kind.LANES_CUT: 3,
    Kind.SUBSCRIPTIONS_HELD: 3,
}
"""How much more often than once a kind comes up; those not named: once."""

_SETTLING_S: Final = 1.5
_OF_LINKS: Final = frozenset({"CUT", "DELAYED", "FROZEN", "HALF_OPEN", "HELD"})
_OF_SERVERS: Final = frozenset({Kind.SERVER_KILLED, Kind.SERVER_STOPPED, Kind.LOG_CLOSED})


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault: `at_s` from the start, lasting `for_s`, on the process it names (`""`: there is one only).

    `by_s` is the delay, for those that delay; `pick` chooses among what only the world knows, 0 to 1.
    """

    at_s: float
    kind: Kind
    target: str
    for_s: float
    by_s: float
    pick: float


def plan(seed: int, duration_s: float, count: int, kinds: Sequence[Kind] = tuple(Kind)) -> list[Fault]:
    """Draw `count` faults in the order of their moments. Every kind comes up once before chance decides.

    Where there are fewer faults than kinds, those come up that would come up most often.
    """
    chance = random.Random(seed)  # noqa: S311 - a test's chance, not a secret
    drawn = list(kinds)
    chance.shuffle(drawn)
    drawn.sort(key=lambda kind: -_WEIGHTS.get(kind, 1))
    weights = [_WEIGHTS.get(kind, 1) for kind in kinds]
    drawn = (drawn + chance.choices(kinds, weights, k=max(0, count - len(drawn))))[:count]
    chance.shuffle(drawn)
    moments = sorted(chance.uniform(_SETTLING_S, duration_s) for _ in drawn)
    return [_fault(chance, kind, at_s) for kind, at_s in zip(drawn, moments, strict=True)]


def stepped_s(fault: Fault) -> int:
    """Return by how much a fault steps Redis' clock, in s: a minute, an hour or a day, either way."""
    sign = {Kind.CLOCK_BACK: -1, Kind.CLOCK_FORWARD: 1}.get(fault.kind, 0)
    return sign * (60, 3600, 86_400)[int(3 * fault.pick)]


def _fault(chance: random.Random, kind: Kind, at_s: float) -> Fault:
    target = ""
    link, _, how = kind.name.partition("_")
    if kind in _OF_SERVERS or (link == "CLIENTS" and how in _OF_LINKS):
        target = chance.choice(SERVERS)
    elif kind is Kind.WORKER_KILLED:
        target = MANY_WORKERS
    elif how in _OF_LINKS and kind is not Kind.LANES_CUT:
        target = chance.choice((*SERVERS, FLUSHER))
    # Mostly short; now and then longer than every limit in the server (2 s, a lease's 5 s).
    for_s = chance.uniform(0.1, 1.5) if chance.random() < 0.8 else chance.uniform(1.5, 6.5)  # noqa: PLR2004
    return Fault(at_s, kind, target, for_s, chance.uniform(0.01, 0.4), chance.random())
