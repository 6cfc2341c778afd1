"""What goes wrong and when: a plan that follows from its seed alone."""

from __future__ import annotations

import random
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

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
    FLUSHER_KILLED = "flusher killed (-9)"
    FLUSHER_STOPPED = "flusher stopped and continued"
    CLIENTS_CUT = "clients cut off"
    CLIENTS_DELAYED = "clients delayed"
    CLIENTS_FROZEN = "clients' packets held back"
    CLIENTS_HALF_OPEN = "clients' connections half open"
    REDIS_CUT = "process cut off from Redis"
    REDIS_DELAYED = "process to Redis delayed"
    REDIS_FROZEN = "process to Redis held back"
    REDIS_HALF_OPEN = "process to Redis half open"
    POSTGRES_CUT = "process cut off from PostgreSQL"
    POSTGRES_DELAYED = "process to PostgreSQL delayed"
    POSTGRES_FROZEN = "process to PostgreSQL held back"
    POSTGRES_HALF_OPEN = "process to PostgreSQL half open"
    SCRIPTS_FLUSHED = "scripts flushed from Redis"


_WEIGHTS: Final = {
    Kind.SERVER_KILLED: 4,
    Kind.REDIS_KILLED: 4,
    Kind.POSTGRES_KILLED: 2,
    Kind.WORKER_KILLED: 2,
}
"""How much more often than once a kind comes up; those not named: once."""

_SETTLING_S: Final = 1.5


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault: `at_s` from the start, lasting `for_s`, on the process it names (`""`: there is one only).

    `by_s` is the delay, for those that delay.
    """

    at_s: float
    kind: Kind
    target: str
    for_s: float
    by_s: float


def plan(seed: int, duration_s: float, count: int) -> list[Fault]:
    """Draw `count` faults in the order of their moments. Every kind comes up once before chance decides."""
    chance = random.Random(seed)  # noqa: S311 - a test's chance, not a secret
    kinds = list(Kind)
    chance.shuffle(kinds)
    weights = [_WEIGHTS.get(kind, 1) for kind in Kind]
    kinds = (kinds + chance.choices(list(Kind), weights, k=max(0, count - len(kinds))))[:count]
    chance.shuffle(kinds)
    moments = sorted(chance.uniform(_SETTLING_S, duration_s) for _ in kinds)
    return [_fault(chance, kind, at_s) for kind, at_s in zip(kinds, moments, strict=True)]


def _fault(chance: random.Random, kind: Kind, at_s: float) -> Fault:
    target = ""
    if kind in (Kind.SERVER_KILLED, Kind.SERVER_STOPPED):
        target = chance.choice(SERVERS)
    elif kind is Kind.WORKER_KILLED:
        target = MANY_WORKERS
    elif kind.name.startswith(("REDIS_", "POSTGRES_")) and "process" in kind:
        target = chance.choice((*SERVERS, FLUSHER))
    # Mostly short; now and then longer than every limit in the server (2 s, a lease's 5 s).
    for_s = chance.uniform(0.1, 1.5) if chance.random() < 0.8 else chance.uniform(1.5, 6.5)  # noqa: PLR2004
    return Fault(at_s, kind, target, for_s, chance.uniform(0.01, 0.4))
