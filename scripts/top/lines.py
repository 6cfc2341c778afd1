"""The figures that are shown, in their order, each as a short text."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

    from server.observability.readings import Change

_MIB: Final = 2**20
_KIB: Final = 2**10
_MANY: Final = 10_000


def _whole(value: float) -> str:
    return f"{value:,.0f}"


def _rate(value: float) -> str:
    return f"{value:,.0f}/s" if value >= 10 or value == 0 else f"{value:.1f}/s"  # noqa: PLR2004 - two digits


def _span(seconds: float | None) -> str:
    if seconds is None:
        return "-"
    return f"{1000 * seconds:.1f} ms" if seconds < 1 else f"{seconds:.1f} s"


def _bytes(value: float) -> str:
    return f"{value / _KIB:,.0f} KiB" if value < _MANY * _KIB else f"{value / _MIB:,.0f} MiB"


def _both(change: Change, name: str, **labels: str) -> str:
    """Show the median and the 99th percentile of a histogram."""
    return f"{_span(change.quantile(0.5, name, **labels))} / {_span(change.quantile(0.99, name, **labels))}"


def _errors(change: Change) -> float:
    names = ("unavailable", "failed")
    return sum(change.rate("clickcook_requests_total", result=name) for name in names)


LINES: Final[tuple[tuple[str, Callable[[Change], str]], ...]] = (
    ("condition", lambda c: c.after.condition),
    (
        "workers up",
        lambda c: (
            f"{c.after.total('clickcook_worker_up'):.0f} of {len(c.after.samples['clickcook_worker_up'])}"
        ),
    ),
    ("users", lambda c: _whole(c.after.total("clickcook_users"))),
    ("connections: playing", lambda c: _whole(c.after.total("clickcook_connections", state="joined"))),
    ("connections: all", lambda c: _whole(c.after.total("clickcook_connections"))),
    ("cooks", lambda c: _rate(c.rate("clickcook_requests_total", type="cook", result="ok"))),
    ("requests", lambda c: _rate(c.rate("clickcook_requests_total"))),
    ("unavailable", lambda c: _rate(_errors(c))),
    ("latency p50 / p99", lambda c: _both(c, "clickcook_request_duration_seconds")),
    ("Redis p50 / p99", lambda c: _both(c, "clickcook_redis_round_trip_seconds", role="game")),
    ("PostgreSQL p50 / p99", lambda c: _both(c, "clickcook_postgresql_round_trip_seconds")),
    ("waiting for Redis", lambda c: _whole(c.after.total("clickcook_redis_lane_depth"))),
    ("unsent to players", lambda c: _bytes(c.after.total("clickcook_outbox_bytes"))),
    ("dirty sessions", lambda c: _whole(c.after.total("clickcook_dirty_sessions"))),
    ("oldest dirty", lambda c: _span(c.after.most("clickcook_dirty_oldest_age_seconds"))),
    ("flushed", lambda c: _rate(c.rate("clickcook_flushed_sessions_total", result="written"))),
    ("flush failures", lambda c: _whole(c.after.total("clickcook_flush_failures_total"))),
    ("quarantined", lambda c: _whole(c.after.total("clickcook_flushed_sessions_total", result="set_aside"))),
    ("cold loads", lambda c: _rate(c.rate("clickcook_cold_loads_total", result="loaded"))),
    ("log-ins", lambda c: _rate(c.rate("clickcook_log_ins_total", kind="log_in", result="ok"))),
    ("log-ins refused", lambda c: _rate(_refused(c))),
    ("limits hit", lambda c: _rate(c.rate("clickcook_limits_hit_total"))),
    ("ticks", lambda c: _rate(c.rate("clickcook_ticks_total"))),
    ("event loop late p99", lambda c: _span(c.quantile(0.99, "clickcook_loop_delay_seconds"))),
    ("CPU", lambda c: f"{100 * c.rate('process_cpu_seconds_total'):.0f} %"),
    ("memory", lambda c: _bytes(c.after.total("process_resident_memory_bytes"))),
)
"""A name and what shows its value; rates are those of the time between the two readings."""


def _refused(change: Change) -> float:
    every = change.rate("clickcook_log_ins_total", kind="log_in")
    return every - change.rate("clickcook_log_ins_total", kind="log_in", result="ok")


def troubles(change: Change) -> list[str]:
    """Say what is not well, in the server's own words."""
    after = change.after
    if after.error:
        return [f"does not answer: {after.error}"]
    found = [] if after.serves else [f"players should not be sent there: {after.condition}"]
    return found + [
        f"{name}: {state}" for name, state in after.parts.items() if state.partition(";")[0] != "ok"
    ]
