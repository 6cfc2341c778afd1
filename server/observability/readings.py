"""Figures of /metrics read again: one look at them, and what changed between two looks."""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import TYPE_CHECKING, Final

from prometheus_client.parser import text_string_to_metric_families

from server.observability.metric_families import PREFIX, WORKER

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

Labels = frozenset[tuple[str, str]]

_UP: Final = f"{PREFIX}worker_up"


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


def samples_of(text: str, **more: str) -> dict[str, dict[Labels, float]]:
    """Read the text of /metrics: values by name and labels, `more` labels among them. Raises ValueError."""
    samples: dict[str, dict[Labels, float]] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            labels = frozenset({**sample.labels, **more}.items())
            samples.setdefault(sample.name, {})[labels] = sample.value
    return samples


def change_between(before: Reading, after: Reading) -> Change:
    """Compare two readings of one server.

    A worker that did not answer the first time counts from the second on: what it counted until then did not
    all happen in between. One that was started again begins at 0, and counts from there.
    """
    fresh = {(WORKER, worker) for worker in _answering(after) - _answering(before)}
    if not fresh:
        return Change(before, after)
    samples = {name: dict(values) for name, values in before.samples.items()}
    for name, values in after.samples.items():
        news = {labels: value for labels, value in values.items() if not fresh.isdisjoint(labels)}
        samples.setdefault(name, {}).update(news)
    return Change(replace(before, samples=samples), after)


def _answering(reading: Reading) -> set[str]:
    return {dict(labels)[WORKER] for labels, up in reading.values(_UP) if up}


def all_together(changes: Iterable[Change]) -> Change:
    """Make one change of those of several servers, whose samples differ by a label."""
    before: dict[str, dict[Labels, float]] = {}
    after: dict[str, dict[Labels, float]] = {}
    first_s, last_s = [], []
    for change in changes:
        first_s.append(change.before.at_s)
        last_s.append(change.after.at_s)
        for reading, samples in ((change.before, before), (change.after, after)):
            for name, values in reading.samples.items():
                samples.setdefault(name, {}).update(values)
    return Change(
        Reading("", at_s=min(first_s, default=0.0), samples=before),
        Reading("", at_s=max(last_s, default=0.0), samples=after),
    )


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
        return sum(grown for _, grown in self._grown(name, **labels))

    def _grown(self, name: str, **labels: str) -> Iterator[tuple[Labels, float]]:
        before = self.before.samples.get(name, {})
        for found, value in self.after.values(name, **labels):
            earlier = before.get(found, 0.0)
            yield found, value - earlier if value >= earlier else value

    def rate(self, name: str, **labels: str) -> float:
        """How much a counter grew a second."""
        return self.growth(name, **labels) / self.seconds

    def quantile(self, share: float, name: str, **labels: str) -> float | None:
        """Estimate a quantile of what a histogram saw, as Prometheus does; None where it saw nothing."""
        buckets: dict[float, float] = {}
        for found, grown in self._grown(f"{name}_bucket", **labels):
            bound = float(dict(found)["le"])
            buckets[bound] = buckets.get(bound, 0.0) + grown
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
