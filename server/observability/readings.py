"""Figures of /metrics read again: one look at them, and what changed between two looks."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING

from prometheus_client.parser import text_string_to_metric_families

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

Labels = frozenset[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Reading:
    """What a server said at `at_s`. `error` says why it said nothing; then everything else is empty.

    `parts` are those of /readyz: the state of each by its name. `samples` are by name and labels.
    """

    url: str
    at_s: float = field(default_factory=time.monotonic)
    condition: str = ""
    parts: Mapping[str, str] = field(default_factory=dict)
    samples: Mapping[str, Mapping[Labels, float]] = field(default_factory=dict)
    error: str = ""

    @property
    def serves(self) -> bool:
        """Whether players should be sent there."""
        return self.condition in {"ok", "degraded"}

    def values(self, name: str, **labels: str) -> Iterator[tuple[Labels, float]]:
        """Go through the samples of a name that have these labels."""
        for found, value in self.samples.get(name, {}).items():
            if labels.items() <= found:
                yield found, value

    def total(self, name: str, **labels: str) -> float:
        """Add up the samples of a name, over all workers."""
        return sum(value for _, value in self.values(name, **labels))

    def most(self, name: str) -> float:
        """Return the largest sample of a name; 0 without one."""
        return max((value for _, value in self.values(name)), default=0.0)


def samples_of(text: str) -> dict[str, dict[Labels, float]]:
    """Read the text of /metrics: values by name and labels. Raises ValueError."""
    samples: dict[str, dict[Labels, float]] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            samples.setdefault(sample.name, {})[frozenset(sample.labels.items())] = sample.value
    return samples


@dataclass(frozen=True, slots=True)
class Change:
    """What happened between two readings of one server."""

    before: Reading
    after: Reading

    @property
    def seconds(self) -> float:
        """The time between the two."""
        return max(self.after.at_s - self.before.at_s, 1e-3)

    def growth(self, name: str, **labels: str) -> float:
        """How much a counter grew, over all workers; one that was reset counts from 0."""
        before = self.before.samples.get(name, {})
        grown = 0.0
        for found, value in self.after.values(name, **labels):
            earlier = before.get(found, 0.0)
            grown += value - earlier if value >= earlier else value
        return grown

    def rate(self, name: str, **labels: str) -> float:
        """How much a counter grew a second."""
        return self.growth(name, **labels) / self.seconds

    def quantile(self, share: float, name: str, **labels: str) -> float | None:
        """Estimate a quantile of what a histogram saw, as Prometheus does; None where it saw nothing."""
        buckets: dict[float, float] = {}
        for found, _ in self.after.values(f"{name}_bucket", **labels):
            bound = dict(found)["le"]
            grown = self.growth(f"{name}_bucket", **labels, le=bound)
            buckets[float(bound)] = grown
        bounds = sorted(buckets)
        seen = max(buckets.values(), default=0.0)
        if not seen:
            return None
        wanted = share * seen
        for lower, upper in pairwise([0.0, *bounds]):
            below, until = buckets.get(lower, 0.0), buckets[upper]
            if until >= wanted:
                if upper == float("inf"):
                    return lower
                return lower + (upper - lower) * (wanted - below) / max(until - below, 1e-9)
        return max(bounds)
