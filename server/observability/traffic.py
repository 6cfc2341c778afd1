"""Figures of what players do: connections, requests, HTTP answers, ticks, and the limits they ran into."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from server.observability.metrics import CLOSE_CODES
from server.protocol.fields import REQUEST_TYPES

if TYPE_CHECKING:
    from server.auth.passwords import PasswordHasher
    from server.mail.outbox import Outbox
    from server.observability.metric_families import MetricFamilies
    from server.observability.metrics import RequestMetrics
    from server.observability.parts import Parts
    from server.ws.dispatch import Dispatch
    from server.ws.hub import Hub
    from server.ws.ticker import Ticker

_AT_ONCE: Final = 1000
_SLOW_READER: Final = "4000"
_INTERNAL_ERROR: Final = 500
_SHOWN_AT_ZERO: Final = ("ok", "unavailable")
"""Prometheus sees no increase where a series begins above zero: what alerts look for is there at once."""

ROUTES: Final = (
    "/reg",
    "/auth",
    "/refresh",
    "/logout",
    "/logout/everywhere",
    "/guest",
    "/claim",
    "/email",
    "/forgot",
    "/reset",
    "/password",
    "/account",
    "/export",
    "/features",
    "/readyz",
    "/metrics",
    "file",
)
"""Where a fault of ours is looked for."""

_RESULT_OF_STATUS: Final = {
    200: "ok",
    401: "wrong",
    409: "taken",
    400: "malformed",
    413: "malformed",
    415: "malformed",
    429: "throttled",
    503: "unavailable",
}
_RESULTS: Final = ("ok", "wrong", "taken", "malformed", "throttled", "unavailable", "failed")
_ENTRANCES: Final = {"/auth": "log_in", "/reg": "registration", "/refresh": "refresh"}


@dataclass(slots=True)
class Crowd:
    """The WebSocket connections of a moment, counted."""

    unauthenticated: int = 0
    attached: int = 0
    joined: int = 0
    closing: int = 0
    busy: int = 0
    inbox_messages: int = 0
    unsent_bytes: int = 0
    slow: int = 0


async def count_crowd(dispatch: Dispatch) -> Crowd:
    """Count the connections, some at a time: no click waits for a scrape."""
    crowd = Crowd()
    exchanges = list(dispatch.exchanges)
    for start in range(0, len(exchanges), _AT_ONCE):
        for exchange in exchanges[start : start + _AT_ONCE]:
            connection = exchange.connection
            if connection.closing:
                crowd.closing += 1
            elif exchange.player is None:
                crowd.unauthenticated += 1
            elif exchange.joined:
                crowd.joined += 1
            else:
                crowd.attached += 1
            unsent_bytes = connection.unsent_bytes
            crowd.busy += exchange.busy
            crowd.inbox_messages += len(exchange.inbox or ())
            crowd.unsent_bytes += unsent_bytes
            crowd.slow += unsent_bytes > 0
        await asyncio.sleep(0)
    return crowd


def add_traffic(families: MetricFamilies, parts: Parts, crowd: Crowd) -> None:
    """Add all families of this page."""
    _add_requests(families, parts.metrics)
    _add_connections(families, parts, crowd)
    _add_http(families, parts.metrics, parts.hasher)
    _add_mail(families, parts.outbox)
    _add_ticks(families, parts.ticker, parts.hub)
    families.counters("limits_hit", "What a limit refused or ended.", ("limit",), _limits_hit(parts))


def _add_requests(families: MetricFamilies, metrics: RequestMetrics) -> None:
    results = {(kind, result): 0 for kind in sorted(REQUEST_TYPES) for result in _SHOWN_AT_ZERO}
    families.counters(
        "requests",
        "Requests over WebSockets, by type and result.",
        ("type", "result"),
        results | metrics.results,
    )
    families.durations(
        "request_duration_seconds",
        "From the reading of a request to its answer; refused ones are not timed.",
        (),
        {(): (metrics.latency_counts, metrics.latency_sum_s)},
    )


def _add_connections(families: MetricFamilies, parts: Parts, crowd: Crowd) -> None:
    counts = parts.counts
    states = {
        "http": counts.total - len(parts.dispatch.exchanges),
        "stranger": crowd.unauthenticated,
        "attached": crowd.attached,
        "joined": crowd.joined,
        "closing": crowd.closing,
        "refused": counts.turning_away,
    }
    families.gauges(
        "connections",
        "Open connections: HTTP, or WebSockets without a token yet, with one, with a session, closing; "
        "and those that are refused because there is no room.",
        ("state",),
        {(state,): max(0, number) for state, number in states.items()},
    )
    families.gauge("users", "Players with at least one connection.", len(parts.hub.players))
    families.gauge("requests_in_flight", "Connections whose request is being answered.", crowd.busy)
    families.gauge("inbox_messages", "Messages that wait for those before them.", crowd.inbox_messages)
    families.gauge("outbox_bytes", "Written, but not yet taken by the peers.", crowd.unsent_bytes)
    families.gauge("outbox_connections", "Connections with bytes that wait for their peer.", crowd.slow)
    families.counters(
        "connections_closed",
        "Ends of WebSocket connections, by close code.",
        ("code",),
        {(code,): parts.metrics.closes.get(code, 0) for code in (*CLOSE_CODES.values(), "other")},
    )


def _add_http(families: MetricFamilies, metrics: RequestMetrics, hasher: PasswordHasher) -> None:
    answers = {(route, _INTERNAL_ERROR): 0 for route in ROUTES}
    families.counters(
        "http_requests",
        "Answers over HTTP, by route and status.",
        ("route", "status"),
        {(route, str(status)): number for (route, status), number in (answers | metrics.http).items()},
    )
    entrances = {(name, result): 0 for name in _ENTRANCES.values() for result in _RESULTS}
    for (route, status), number in metrics.http.items():
        if route in _ENTRANCES:
            entrances[_ENTRANCES[route], _RESULT_OF_STATUS.get(status, "failed")] += number
    families.counters(
        "log_ins", "Log-ins, registrations and refreshes, by result.", ("kind", "result"), entrances
    )
    families.gauge("passwords_waiting", "Passwords being hashed or checked, or waiting.", hasher.occupied)


def _add_mail(families: MetricFamilies, outbox: Outbox | None) -> None:
    sent, failed, waiting = (0, 0, 0) if outbox is None else outbox.figures
    families.counters(
        "mails", "Mails, by what became of them.", ("result",), {("sent",): sent, ("failed",): failed}
    )
    families.gauge("mails_waiting", "Mails to be sent, or to be tried again.", waiting)


def _add_ticks(families: MetricFamilies, ticker: Ticker, hub: Hub) -> None:
    families.counter("ticks", "Players whose passive income was looked at.", ticker.ticks)
    families.counter("ticks_paid", "Computed amounts of passive income that were sent.", ticker.paid)
    families.counter("ticks_asked", "Times Redis was asked to pay a player's income.", ticker.asked)
    families.gauge("tick_delay_seconds", "How late the last slot of ticks was.", ticker.late_ms / 1000)
    families.counter("publications", "News of players from other processes.", hub.publications)
    families.counter("copies", "State changes sent to a player's other connections.", hub.copies)
    families.counter("snapshots", "Sessions sent to connections that had missed news.", hub.snapshots)


def _limits_hit(parts: Parts) -> dict[tuple[str, ...], float]:
    metrics = parts.metrics
    hits = {
        "click_rate": metrics.with_result("rate_limited"),
        "connections": parts.counts.refused,
        "connections_per_user": parts.hub.refused_per_user,
        "log_in_failures": metrics.with_status(429),
        "passwords_waiting": parts.hasher.refused,
        "slow_reader": metrics.closes.get(_SLOW_READER, 0),
        "redis_queue": sum(lane.totals.refused_full for lane in parts.health.lanes.all),
        "cold_loads_waiting": parts.loader.totals.refused_full,
    }
    return {(limit,): number for limit, number in hits.items()}
