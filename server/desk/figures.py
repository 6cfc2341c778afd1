"""The last quarter of an hour of the game, over all workers: from what /metrics says, looked at regularly."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from typing import TYPE_CHECKING, Any, Final

import structlog

from server.desk.troubles import troubles_of
from server.observability.metric_families import PREFIX, WORKER
from server.observability.readings import Change, Reading, samples_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

    from server.http.service_routes import Readiness
    from server.observability.readings import Labels

_log = structlog.get_logger(__name__)

EVERY_S: Final = 5.0
KEPT_S: Final = 900.0

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


class Figures:
    """Looks every few seconds, and keeps a quarter of an hour. Run `run` in a supervised task.

    `render` gives the text of /metrics for all workers, `readiness` says in words how the parts of this
    process are.
    """

    def __init__(
        self,
        render: Callable[[], Awaitable[bytes]],
        readiness: Callable[[], Readiness],
        *,
        every_s: float = EVERY_S,
    ) -> None:
        self._render = render
        self._readiness = readiness
        self._every_s = every_s
        self._points: deque[dict[str, Any]] = deque(maxlen=int(KEPT_S / every_s))
        self._last: Reading | None = None
        self._processes: list[dict[str, Any]] = []
        self._troubles: list[dict[str, Any]] = []

    async def run(self) -> None:
        """Look until cancelled; a look that fails is left out."""
        while True:
            try:
                await self.take(await self._render())
            except Exception:  # noqa: BLE001 - figures must not end the server
                _log.exception("desk_look_failed")
            await asyncio.sleep(self._every_s)

    async def take(self, text: bytes) -> None:
        """Take one look's text; the first gives the beginning of what is counted.

        Reading takes some milliseconds in all: in steps, between which clicks are served.
        """
        samples: dict[str, dict[Labels, float]] = {}
        for family in wanted(text):
            samples |= samples_of(family)
            await asyncio.sleep(0)
        now = Reading("", samples=samples)
        change = Change(self._last or now, now)
        if self._last is not None:
            self._points.append(_point(change))
            await asyncio.sleep(0)
        self._last = now
        processes = []
        for worker in _workers(now):
            processes.append(_process(change, worker))
            await asyncio.sleep(0)
        self._processes = processes
        self._troubles = troubles_of(change, self._readiness().parts)

    def shown(self) -> dict[str, Any]:
        """Return everything for the page: the points of the last 15 minutes, processes, what is wrong."""
        readiness = self._readiness()
        return {
            "every_s": self._every_s,
            "points": list(self._points),
            "processes": self._processes,
            "troubles": self._troubles,
            "parts": dict(readiness.parts),
            "condition": readiness.condition.value,
        }


def wanted(text: bytes) -> list[str]:
    """Return the families that are shown, a text each: reading all of them would take twice as long."""
    _before, *families = (b"\n" + text).split(b"\n# HELP ")
    return [f"# HELP {family.decode()}\n" for family in families if family.partition(b" ")[0] in _NAMES]


_NAMES: Final = frozenset(_HEADS) | frozenset(head + b"_total" for head in _HEADS)
"""A counter's head names it with or without `_total`, as the format of the text says."""


def _workers(reading: Reading) -> list[str]:
    found = (dict(labels)[WORKER] for labels, _ in reading.values(f"{PREFIX}worker_up"))
    return sorted(found, key=int)


def _point(change: Change) -> dict[str, Any]:
    """Return one point of every curve; rates are those since the look before."""
    after = change.after
    # Only who flushes knows the backlog: with FLUSHER=off that is another process.
    flushes = any(after.values(f"{PREFIX}dirty_sessions"))
    return {
        "at": round(time.time(), 1),
        "users": after.total(f"{PREFIX}users"),
        "joined": after.total(f"{PREFIX}connections", state="joined"),
        "clicks": _clicks(change),
        "requests": change.rate(f"{PREFIX}requests_total"),
        "p50_ms": _ms(change.quantile(0.5, f"{PREFIX}request_duration_seconds")),
        "p99_ms": _ms(change.quantile(0.99, f"{PREFIX}request_duration_seconds")),
        "refusals": _refusals(change),
        "backlog": after.total(f"{PREFIX}dirty_sessions") if flushes else None,
        "backlog_age_s": after.most(f"{PREFIX}dirty_oldest_age_seconds") if flushes else None,
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


def _process(change: Change, worker: str) -> dict[str, Any]:
    """Return what one worker does."""
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
