"""The rate limit of clicks: a token bucket as a GCRA. Twin of `persistence/live/lua/lib/draw.lua`."""

from __future__ import annotations

import math
from dataclasses import dataclass

from game.arithmetic import floor
from game.errors import RateLimited


@dataclass(frozen=True, slots=True)
class Limit:
    """One click each `interval_us` in the long run (0: no limit), `burst` at once."""

    interval_us: float
    burst: int


UNLIMITED = Limit(0.0, 1)


def draw(wanted: float, tat_us: float, now_us: float, limit: Limit) -> tuple[float, float]:
    """Return how many of `wanted` clicks may pass, and the moment at which the bucket is then full again.

    Intervals are taken to the nearest quarter µs: their sums with the time are then exact (until 2041), so a
    full bucket holds `burst` clicks and not one less. A `tat_us` further ahead than a debt can be (the clock
    ran back, the limit was lowered) counts as all but one click of it. Raises RateLimited when none may pass.
    """
    interval_us = floor(limit.interval_us * 4 + 0.5) / 4
    size = limit.burst * interval_us
    debt = max(tat_us - now_us, 0.0)
    if debt > size:
        debt = size - interval_us
    passed = min(wanted, floor((size - debt) / interval_us))
    if passed < 1:
        raise RateLimited(max(math.ceil((debt + interval_us - size) / 1000), 1))
    return passed, now_us + debt + passed * interval_us
