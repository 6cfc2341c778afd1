"""Metrics of storage: Redis, PostgreSQL, unsaved sessions, and cold loads."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from persistence.live.lane import Lane
    from persistence.recovery.cold_load import Loader
    from persistence.writeback.flusher import Flusher
    from server.observability.health import Health
    from server.observability.metric_families import MetricFamilies
    from server.observability.parts import Parts
    from server.observability.probes import Probes

_RECOVERIES: Final = frozenset(
    {"load", "refresh", "noscript", "moved", "ask", "tryagain", "loading", "clusterdown", "readonly", "oom"}
)
"""Why a command was not answered at once; Redis may know further words, which count as `other`."""

_LANE_GAUGES: Final[tuple[tuple[str, str, Callable[[Lane], float]], ...]] = (
    ("redis_up", "Whether the connection to this Redis is up.", lambda lane: lane.up),
    ("redis_lane_depth", "Commands that wait for their replies.", lambda lane: lane.depth),
)
_LANE_COUNTERS: Final[tuple[tuple[str, str, Callable[[Lane], float]], ...]] = (
    ("redis_commands", "Commands sent to Redis.", lambda lane: lane.totals.sent),
    ("redis_replies", "Replies of Redis.", lambda lane: lane.totals.replies),
    ("redis_batches", "Writes to Redis' socket, each with many commands.", lambda lane: lane.totals.batches),
    ("redis_publications", "Publications heard.", lambda lane: lane.totals.publications),
    ("redis_replies_lost", "Commands whose reply was lost.", lambda lane: lane.totals.lost),
    ("redis_connects", "Connections made to Redis.", lambda lane: lane.totals.connects),
)


def add_storage(families: MetricFamilies, parts: Parts, probes: Probes) -> None:
    """Add all families of this page."""
    _add_redis(families, parts.health, probes)
    _add_postgresql(families, parts, probes)
    if parts.health.flusher is not None:
        _add_flushes(families, parts.health.flusher)
    _add_loads(families, parts.loader, parts.sessions.recoveries)


def _add_redis(families: MetricFamilies, health: Health, probes: Probes) -> None:
    lanes = {("game", lane.name): lane for lane in health.lanes.all}
    lanes |= {("beside", lane.name): lane for lane in health.bulk_lanes.all}
    for name, text, read in _LANE_GAUGES:
        families.gauges(name, text, ("role", "redis"), {key: read(lane) for key, lane in lanes.items()})
    for name, text, read in _LANE_COUNTERS:
        families.counters(name, text, ("role", "redis"), {key: read(lane) for key, lane in lanes.items()})
    families.gauge(
        "redis_durability_risks",
        "Ways in which Redis could lose answered requests.",
        len(health.risks()),
    )
    families.durations(
        "redis_round_trip_seconds",
        "A PING once a second among the other commands of a connection.",
        ("role",),
        {(role,): (found.counts, found.sum_s) for role, found in probes.redis.items()},
    )


def _add_postgresql(families: MetricFamilies, parts: Parts, probes: Probes) -> None:
    families.gauge(
        "postgresql_up", "Whether PostgreSQL answered the last look.", not parts.health.catalogues.trouble
    )
    families.durations(
        "postgresql_round_trip_seconds",
        "An empty SELECT once a second, its wait for a connection of the pool included.",
        (),
        {(): (probes.postgresql.counts, probes.postgresql.sum_s)},
    )
    families.counters(
        "probe_failures",
        "Such questions that had no answer within 2 s.",
        ("part",),
        {(part,): number for part, number in probes.failures.items()},
    )
    idle = parts.pool.get_idle_size()
    families.gauges(
        "postgresql_connections",
        "Connections of the pool for requests.",
        ("state",),
        {("idle",): idle, ("used",): parts.pool.get_size() - idle},
    )


def _add_flushes(families: MetricFamilies, flusher: Flusher) -> None:
    totals = flusher.totals
    families.gauge(
        "dirty_sessions", "Sessions that PostgreSQL lacks, in this flusher's buckets.", totals.dirty
    )
    families.gauge(
        "dirty_oldest_age_seconds", "How long the oldest of them has waited.", totals.oldest_age_ms / 1000
    )
    families.gauge("flush_rate", "Sessions a second in the last pass.", totals.rate_per_s)
    families.gauge("flush_failing", "Batches that failed in a row until now.", totals.failing)
    families.counter("flush_failures", "Batches that failed.", totals.failures)
    families.counter("flush_batches", "Batches that went through.", totals.batches)
    families.counter("flush_write_seconds", "What PostgreSQL took for them.", totals.write_s)
    outcomes = {
        "written": totals.written,
        "set_aside": totals.set_aside,
        "reloaded": totals.reloaded,
        "gone": totals.gone,
        "vanished": totals.vanished,
    }
    families.counters(
        "flushed_sessions",
        "Dirty sessions by what became of them: written, refused by PostgreSQL and quarantined, replaced by "
        "PostgreSQL's newer one, of a deleted account, or no longer in Redis.",
        ("result",),
        {(result,): number for result, number in outcomes.items()},
    )


def _add_loads(families: MetricFamilies, loader: Loader, recoveries: Mapping[str, int]) -> None:
    totals = loader.totals
    results = {
        "loaded": totals.loaded,
        "created": totals.created,
        "verified": totals.verified,
        "replaced": totals.replaced,
        "failed": totals.failed,
        "refused": totals.refused_full,
    }
    families.counters(
        "cold_loads",
        "Sessions brought from PostgreSQL, by result; `verified` ones were compared after Redis came back.",
        ("result",),
        {(result,): number for result, number in results.items()},
    )
    families.gauge("cold_loads_waiting", "Players who wait for a cold load.", loader.waiting)
    reasons = dict.fromkeys((*sorted(_RECOVERIES), "other"), 0)
    for word, number in recoveries.items():
        reasons[word if word in _RECOVERIES else "other"] += number
    families.counters(
        "recoveries",
        "Commands that needed more than one exchange with Redis, by reason.",
        ("reason",),
        {(reason,): number for reason, number in reasons.items()},
    )
