"""What is wrong with the game, by name: the page says each in words, and what to do. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from server.observability.metric_families import PREFIX, WORKER

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from server.observability.readings import Change

SERVER_AWAY: Final = "server_away"
TROUBLES: Final = (
    SERVER_AWAY,
    "worker_down",
    "redis_away",
    "redis_refuses",
    "redis_not_durable",
    "postgresql_away",
    "backlog_late",
    "flush_failing",
    "quarantined",
    "requests_unavailable",
    "requests_failed",
    "loop_late",
    "log_lost",
    "mails_failing",
    "connections_refused",
)
"""Every name; a test holds the page's words against them."""

_LATE_S: Final = 30.0
"""As `server/observability/health.py` has it: a dirty session waits one flush interval."""
_LOOP_LATE_S: Final = 0.1
_OK: Final = "ok"


def troubles_of(change: Change, parts: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Name what is wrong with one server; a detail is a number, or the server's own words, or nothing.

    `parts` are those of /readyz, of one of its workers.
    """
    yield from _storage(change, parts)
    yield from _serving(change)


def backlog_trouble(age_s: float) -> tuple[str, str] | None:
    """Name a backlog whose oldest session waits for too long."""
    return ("backlog_late", f"{age_s:.0f} s") if age_s > _LATE_S else None


def _storage(change: Change, parts: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    after = change.after
    redis = parts.get("redis", _OK)
    if any(not up for _, up in after.values(f"{PREFIX}redis_up")):
        yield "redis_away", "" if redis == _OK else redis
    elif redis != _OK:
        yield "redis_refuses", redis
    if after.most(f"{PREFIX}redis_durability_risks"):
        yield "redis_not_durable", parts.get("redis_durability", "")
    if any(not up for _, up in after.values(f"{PREFIX}postgresql_up")):
        words = parts.get("postgresql", _OK)
        yield "postgresql_away", "" if words == _OK else words
    if late := backlog_trouble(after.most(f"{PREFIX}dirty_oldest_age_seconds")):
        yield late
    if after.most(f"{PREFIX}flush_failing"):
        yield "flush_failing", f"{after.most(f'{PREFIX}flush_failing'):.0f}"
    if change.growth(f"{PREFIX}flushed_sessions_total", result="set_aside"):
        yield "quarantined", ""


def _serving(change: Change) -> Iterator[tuple[str, str]]:
    after = change.after
    for labels, up in after.values(f"{PREFIX}worker_up"):
        if not up:
            yield "worker_down", dict(labels)[WORKER]
    for name, result in (("requests_unavailable", "unavailable"), ("requests_failed", "failed")):
        rate = change.rate(f"{PREFIX}requests_total", result=result)
        if rate:
            yield name, f"{rate:.1f}/s"
    late_s = change.quantile(0.99, f"{PREFIX}loop_delay_seconds") or 0.0
    if late_s > _LOOP_LATE_S:
        yield "loop_late", f"{1000 * late_s:.0f} ms"
    lost = change.growth(f"{PREFIX}log_lines_lost_total")
    if lost:
        yield "log_lost", f"{lost:.0f}"
    if change.growth(f"{PREFIX}mails_total", result="failed"):
        yield "mails_failing", ""
    refused = change.growth(f"{PREFIX}limits_hit_total", limit="connections")
    if refused:
        yield "connections_refused", f"{refused:.0f}"
