"""Counters of the hot path as plain integers; the exporter reads them when it is asked."""

from __future__ import annotations

from bisect import bisect_left
from typing import Final

from server.protocol.close_codes import CloseCode

LATENCY_BUCKETS_S: Final = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)
"""Upper bounds of the latency histogram; one more bucket takes slower requests."""

CLOSE_CODES: Final = {int(code): str(int(code)) for code in CloseCode} | {1005: "1005"}
"""The close codes that are counted one by one: a peer may send any, so the others are `other`."""


class Durations:
    """How long something took, in the buckets of LATENCY_BUCKETS_S."""

    __slots__ = ("counts", "last_s", "sum_s")

    def __init__(self) -> None:
        self.counts = [0] * (len(LATENCY_BUCKETS_S) + 1)
        self.sum_s = 0.0
        self.last_s = 0.0

    def observe(self, seconds: float) -> None:
        """Count one."""
        self.counts[bisect_left(LATENCY_BUCKETS_S, seconds)] += 1
        self.sum_s += seconds
        self.last_s = seconds


class RequestMetrics:
    """Requests by type and result, how long the answered ones took, HTTP answers, ends of connections."""

    __slots__ = ("closes", "http", "latency_counts", "latency_sum_s", "results")

    def __init__(self) -> None:
        self.results: dict[tuple[str, str], int] = {}
        self.latency_counts = [0] * (len(LATENCY_BUCKETS_S) + 1)
        self.latency_sum_s = 0.0
        self.http: dict[tuple[str, int], int] = {}
        self.closes: dict[str, int] = {}

    def count(self, request_type: str, result: str) -> None:
        """Count one request without its time: it was refused, or it waited for more than Redis."""
        key = (request_type, result)
        self.results[key] = self.results.get(key, 0) + 1

    def observe(self, request_type: str, result: str, seconds: float) -> None:
        """Count one request with the time from its reading to its answer."""
        key = (request_type, result)
        self.results[key] = self.results.get(key, 0) + 1
        self.latency_counts[bisect_left(LATENCY_BUCKETS_S, seconds)] += 1
        self.latency_sum_s += seconds

    def count_http(self, route: str, status: int) -> None:
        """Count one HTTP answer by its route, never by a path that a client made up."""
        key = (route, status)
        self.http[key] = self.http.get(key, 0) + 1

    def count_close(self, code: int) -> None:
        """Count the end of a WebSocket connection."""
        name = CLOSE_CODES.get(code, "other")
        self.closes[name] = self.closes.get(name, 0) + 1

    def with_result(self, result: str) -> int:
        """How many requests of any type had a result."""
        return sum(number for (_, found), number in self.results.items() if found == result)

    def with_status(self, *statuses: int) -> int:
        """How many HTTP answers on any route had one of these statuses."""
        return sum(number for (_, status), number in self.http.items() if status in statuses)
