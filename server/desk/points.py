"""What the desk draws of two looks at /metrics: a point of every curve, and what each process does. Pure."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from server.observability.metric_families import PREFIX, WORKER

if TYPE_CHECKING:
    from collections.abc import Iterable

    from server.observability.readings import Change, Reading

_FAMILIES: Final = (
    "condition",
    "connections",
    "users",
    "requests",
    "request_duration_seconds",
    "limits_hit",
    "dirty_sessions",
    "dirty_oldest_age_seconds",
    "flush_failing",
    "flushed_sessions",
    "redis_up",
    "redis_durability_risks",
    "redis_round_trip_seconds",
    "postgresql_up",
    "postgresql_round_trip_seconds",
    "loop_delay_seconds",
    "log_lines_lost",
    "mails",
    "worker_up",
)
_HEADS: Final = (
    *(f"{PREFIX}{name}".encode() for name in _FAMILIES),
    b"process_cpu_seconds",
    b"process_resident_memory_bytes",
)
_CLICKS: Final = ("cook", "sell")
_SERVED: Final = ("ok", "duplicate", "unchanged")


def wanted(text: bytes) -> list[str]:
    """Return the families that are shown, a text each: reading all of them would take twice as long."""
    _before, *families = (b"\n" + text).split(b"\n# HELP ")
    return [f"# HELP {family.decode()}\n" for family in families if family.partition(b" ")[0] in _NAMES]


_NAMES: Final = frozenset(_HEADS) | frozenset(head + b"_total" for head in _HEADS)
"""A counter's head names it with or without `_total`, as the format of the text says."""


def workers_of(reading: Reading) -> list[str]:
    """Name the workers of one server's reading, those that do not answer among them."""
    found = (dict(labels)[WORKER] for labels, _ in reading.values(f"{PREFIX}worker_up"))
    return sorted(found, key=int)


class Backlog(NamedTuple):
    """How many sessions wait to be saved, and how long the oldest has; None where nobody knows."""

    sessions: float | None = None
    age_s: float | None = None


def backlog_in(reading: Reading) -> Backlog | None:
    """Return the backlog of all flushers in a reading; None with FLUSHER=off, where they are elsewhere."""
    if not any(reading.values(f"{PREFIX}dirty_sessions")):
        return None
    age_s = reading.most(f"{PREFIX}dirty_oldest_age_seconds")
    return Backlog(reading.total(f"{PREFIX}dirty_sessions"), age_s)


def point_of(change: Change, backlog: Backlog) -> dict[str, Any]:
    """Return one point of every curve, over all that was looked at; rates are those since the look before."""
    after = change.after
    return {
        "at": round(time.time(), 1),
        "users": after.total(f"{PREFIX}users"),
        "joined": after.total(f"{PREFIX}connections", state="joined"),
        "clicks": _clicks(change),
        "requests": change.rate(f"{PREFIX}requests_total"),
        "p50_ms": _ms(change.quantile(0.5, f"{PREFIX}request_duration_seconds")),
        "p99_ms": _ms(change.quantile(0.99, f"{PREFIX}request_duration_seconds")),
        "refusals": _refusals(change),
        "backlog": backlog.sessions,
        "backlog_age_s": backlog.age_s,
        "redis_up": min((value for _, value in after.values(f"{PREFIX}redis_up")), default=0),
        "redis_p99_ms": _ms(change.quantile(0.99, f"{PREFIX}redis_round_trip_seconds", role="game")),
        "postgresql_up": min((value for _, value in after.values(f"{PREFIX}postgresql_up")), default=0),
        "postgresql_p99_ms": _ms(change.quantile(0.99, f"{PREFIX}postgresql_round_trip_seconds")),
    }


def _clicks(change: Change, **labels: str) -> float:
    name = f"{PREFIX}requests_total"
    return sum(change.rate(name, type=kind, result="ok", **labels) for kind in _CLICKS)


def _refusals(change: Change) -> dict[str, float]:
    """Return refusals a second by kind: results of requests, and limits that were run into."""
    name, limits = f"{PREFIX}requests_total", f"{PREFIX}limits_hit_total"
    rates = {kind: change.rate(name, result=kind) for kind in _kinds(change.after, name, "result")}
    rates |= {kind: change.rate(limits, limit=kind) for kind in _kinds(change.after, limits, "limit")}
    # The limit of clicks is a result of requests as well.
    left_out = {*_SERVED, "click_rate"}
    return {kind: rate for kind, rate in sorted(rates.items()) if rate > 0 and kind not in left_out}


def _kinds(reading: Reading, name: str, label: str) -> set[str]:
    return {dict(labels)[label] for labels, _ in reading.values(name)}


def process_of(change: Change, worker: str) -> dict[str, Any]:
    """Return what one worker of a server does."""
    after, own = change.after, {WORKER: worker}
    conditions: Iterable[str] = (
        dict(labels)["condition"] for labels, is_so in after.values(f"{PREFIX}condition", **own) if is_so
    )
    return {
        "worker": int(worker),
        "up": after.total(f"{PREFIX}worker_up", **own) > 0,
        "condition": next(iter(conditions), ""),
        "users": after.total(f"{PREFIX}users", **own),
        "joined": after.total(f"{PREFIX}connections", state="joined", **own),
        "clicks": _clicks(change, **own),
        "p99_ms": _ms(change.quantile(0.99, f"{PREFIX}request_duration_seconds", **own)),
        "loop_p99_ms": _ms(change.quantile(0.99, f"{PREFIX}loop_delay_seconds", **own)),
        "cpu": change.rate("process_cpu_seconds_total", **own),
        "memory_bytes": after.total("process_resident_memory_bytes", **own),
    }


def _ms(seconds: float | None) -> float | None:
    return None if seconds is None else round(1000 * seconds, 2)
