"""Whether something grows: a line through its figures once they have settled. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from scripts.soak.stage import BACKENDS, POSTGRES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from scripts.soak.stage import Sample

WARM_UP_SHARE: Final = 1 / 3
"""Of the whole time: caches fill, pools open, the throttle's window comes to its level."""

MEMORY_BOUND_MIB: Final = 4.0
MEMORY_BOUND_SHARE: Final = 0.05
"""Of the level after the warm-up: what a process may grow by over the rest of the run."""

BACKEND_BOUND_MIB: Final = 0.5
"""More for each process of PostgreSQL: it keeps what it has learnt of tables and statements, each its own."""

FILES_BOUND: Final = 8.0
FILES_BOUND_SHARE: Final = 0.25
"""Of the level: connections to the databases come and go, and so do clients while they are counted, so the
line through open files is never quite level. What is kept once all have gone is judged apart."""


@dataclass(frozen=True, slots=True)
class Growth:
    """A series after its warm-up: the level of the line at its ends, and by how much it may rise."""

    name: str
    unit: str
    first: float
    last: float
    bound: float

    @property
    def rise(self) -> float:
        """How much higher the line ends than it began."""
        return self.last - self.first

    @property
    def is_flat(self) -> bool:
        """Whether it rose within its bound."""
        return self.rise <= self.bound


def growths(samples: Sequence[Sample]) -> list[Growth]:
    """Fit a line through each series after the warm-up; at least two samples must be left then."""
    start_s = samples[0].at_s + (samples[-1].at_s - samples[0].at_s) * WARM_UP_SHARE
    settled = [sample for sample in samples if sample.at_s >= start_s]
    times_s = [sample.at_s for sample in settled]
    found = []
    for name in settled[0].memory_mib:
        first, last = fitted_ends(times_s, [sample.memory_mib[name] for sample in settled])
        bound = MEMORY_BOUND_MIB + MEMORY_BOUND_SHARE * first
        if name == POSTGRES:
            bound += BACKEND_BOUND_MIB * settled[-1].files[BACKENDS]
        found.append(Growth(name, "MiB", first, last, bound))
    for name in settled[0].files:
        first, last = fitted_ends(times_s, [sample.files[name] for sample in settled])
        found.append(Growth(name, "files", first, last, FILES_BOUND + FILES_BOUND_SHARE * first))
    return found


def fitted_ends(times_s: Sequence[float], values: Sequence[float]) -> tuple[float, float]:
    """Return where the line of least squares through the values begins and ends."""
    middle_s = sum(times_s) / len(times_s)
    level = sum(values) / len(values)
    spread = sum((time_s - middle_s) ** 2 for time_s in times_s)
    slope = sum(
        (time_s - middle_s) * (value - level) for time_s, value in zip(times_s, values, strict=True)
    ) / (spread or 1.0)
    return level + slope * (times_s[0] - middle_s), level + slope * (times_s[-1] - middle_s)
