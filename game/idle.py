"""Passive income of many seconds at once, in constant time. Twin of `persistence/live/lua/lib/income.lua`.

One second: with at least 3 dishes sell a portion (or all there are), then cook. Let s be the portion, D the
dishes cooked in a second, d the dishes there are, and `full` = max(3, s). Equal seconds come in runs:

- d >= full: full sells, each changing d by D - s; forever when D >= s, else for
  floor((d - full) / (s - D)) + 1 seconds.
- 3 <= d < full: one sell of all there is, after which d = D.
- d < 3: waiting until d reaches 3, for ceil((3 - d) / D) seconds, or forever when D = 0.

Only the first runs can be long. After a few of them d is in a cycle: with D >= s full sells forever; with D =
0 nothing more; with 3 <= D < s a sell of D each second; with D of 1 or 2 below s a cycle of at most 2 runs,
since no d in it is above D + 2. So: some runs to settle, one cycle measured, the rest multiplied, its
remainder run. A test goes through every small case to hold the two constants.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final, NamedTuple

from game.arithmetic import ceiling, floor, saturated

SETTLING_RUNS: Final = 4
CYCLE_RUNS: Final = 3
LEAST_SOLD: Final = 3.0
"""Dishes below which nothing is sold passively."""


@dataclass(frozen=True, slots=True)
class Kitchen:
    """What passive income depends on besides the dishes there are: whole numbers in the units of the hash.

    `cooked` dishes a second, `portion` dishes a sell; a dish sold brings `mPs_h` * `multiplier_h` *
    `factor_tenths` / 1e5 money, 0 when nothing is sold passively.
    """

    cooked: float
    portion: float
    sale_hundredths: float
    multiplier_hundredths: float
    factor_tenths: float

    @property
    def sells(self) -> bool:
        """Whether dishes are sold passively."""
        return self.sale_hundredths > 0

    def run(self, dishes: float) -> tuple[float, float]:
        """Return how many dishes are sold in the next second, and how many seconds in a row it is as many."""
        full = max(LEAST_SOLD, self.portion)
        if self.sells and dishes >= full:
            if self.cooked >= self.portion:
                return self.portion, math.inf
            return self.portion, floor((dishes - full) / (self.portion - self.cooked)) + 1
        if self.sells and dishes >= LEAST_SOLD:
            return dishes, 1.0
        if self.sells and self.cooked > 0:
            return 0.0, float(math.ceil((LEAST_SOLD - dishes) / self.cooked))
        return 0.0, math.inf

    def price_of(self, dishes: float) -> float:
        """Return the money for dishes sold together."""
        return ceiling(1e5, self.sale_hundredths, self.multiplier_hundredths, self.factor_tenths, dishes)


class Income(NamedTuple):
    """What some seconds bring: money gained, dishes then there, seconds in which something was sold."""

    money: float
    dishes: float
    sells: float


def income(seconds: float, dishes: float, kitchen: Kitchen) -> Income:
    """Return the sum over `seconds` (whole), starting with `dishes`, in constant time.

    Equals the loop exactly while every value stays below 2^53; beyond, within 1e-12 of the exact sum.
    """
    if not kitchen.sells:
        return Income(0.0, saturated(dishes + seconds * kitchen.cooked), 0.0)
    course = _Course(kitchen, dishes, seconds)
    for _ in range(SETTLING_RUNS):
        if course.left == 0:
            return course.income
        course.run()
    # A cycle's money is counted from 0: a difference of large sums has lost digits, and would be multiplied.
    settled, start, sells, left = course.money, course.dishes, course.sells, course.left
    course.money = 0.0
    for _ in range(CYCLE_RUNS):
        if course.left == 0:
            break
        course.run()
        if course.dishes == start:
            break
    if course.left > 0:
        course.repeat(left - course.left, course.sells - sells)
    course.money = saturated(settled + course.money)
    return course.income


class _Course:
    """Where the sum has got to."""

    __slots__ = ("dishes", "kitchen", "left", "money", "sells")

    def __init__(self, kitchen: Kitchen, dishes: float, seconds: float) -> None:
        self.kitchen = kitchen
        self.dishes = dishes
        self.left = seconds
        self.money = 0.0
        self.sells = 0.0

    @property
    def income(self) -> Income:
        return Income(self.money, self.dishes, self.sells)

    def run(self) -> None:
        """Go on by as many equal seconds as follow each other."""
        sold, lasts = self.kitchen.run(self.dishes)
        lasts = min(self.left, lasts)
        if sold > 0:
            self.money = saturated(self.money + lasts * self.kitchen.price_of(sold))
            self.sells += lasts
        self.dishes = saturated(max(0.0, self.dishes + lasts * (self.kitchen.cooked - sold)))
        self.left -= lasts

    def repeat(self, period: float, sells: float) -> None:
        """Go on to the end by cycles like the one just measured, and a part of one."""
        cycles = floor(self.left / period)
        self.money = saturated(self.money + cycles * self.money)
        self.sells += cycles * sells
        self.left -= cycles * period
        for _ in range(CYCLE_RUNS):
            if self.left == 0:
                break
            self.run()
