"""Samples in the form of Prometheus, each with the worker it comes from."""

from __future__ import annotations

from itertools import accumulate
from typing import TYPE_CHECKING, Final, TypeVar

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily

from server.observability.metrics import LATENCY_BUCKETS_S

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from prometheus_client.metrics_core import Metric

Values = TypeVar("Values", bound=tuple[str, ...])
"""A sample's values of its labels, in their order."""

PREFIX: Final = "clickcook_"
WORKER: Final = "worker"

_BOUNDS: Final = (*(repr(bound) for bound in LATENCY_BUCKETS_S), "+Inf")


class MetricFamilies:
    """Collects the families of one scrape; names are given without the project's prefix.

    Every label's values come from a set that this code knows: a client can make none up.
    """

    def __init__(self, worker: str) -> None:
        self.worker = worker
        self.made: list[Metric] = []

    def gauge(self, name: str, text: str, value: float) -> None:
        """Add a value that goes up and down."""
        self.gauges(name, text, (), {(): value})

    def gauges(self, name: str, text: str, labels: Sequence[str], values: Mapping[Values, float]) -> None:
        """Add several that differ by labels."""
        family = GaugeMetricFamily(PREFIX + name, text, labels=(*labels, WORKER))
        for each, value in values.items():
            family.add_metric((*each, self.worker), value)
        self.made.append(family)

    def counter(self, name: str, text: str, value: float) -> None:
        """Add a value that only grows; `_total` ends its name by itself."""
        self.counters(name, text, (), {(): value})

    def counters(self, name: str, text: str, labels: Sequence[str], values: Mapping[Values, float]) -> None:
        """Add several that differ by labels."""
        family = CounterMetricFamily(PREFIX + name, text, labels=(*labels, WORKER))
        for each, value in values.items():
            family.add_metric((*each, self.worker), value)
        self.made.append(family)

    def durations(
        self,
        name: str,
        text: str,
        labels: Sequence[str],
        values: Mapping[Values, tuple[Sequence[int], float]],
    ) -> None:
        """Add histograms of seconds: for each, the counts in the buckets of LATENCY_BUCKETS_S and the sum."""
        family = HistogramMetricFamily(PREFIX + name, text, labels=(*labels, WORKER))
        for each, (counts, sum_s) in values.items():
            buckets = list(zip(_BOUNDS, accumulate(counts), strict=True))
            family.add_metric((*each, self.worker), buckets, sum_s)
        self.made.append(family)
