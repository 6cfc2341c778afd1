"""Passive income second by second, as rules.md words it: integers and fractions, no doubles, no short cuts.

`looped` is the reference for some thousand seconds. `jumped` gives the same for millions: it leaps where
dishes only drain or only grow, always stopping short of a border, and where the dishes repeat.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from typing import Final

HALF: Final = Fraction(1, 2)
SHORT_OF_BORDER: Final = 3


def half_up(number: Fraction) -> int:
    """Round to the nearest whole number, halves up."""
    return math.floor(number + HALF)


@dataclass(frozen=True, slots=True)
class Staff:
    """What passive income depends on: sums of boosts in hundredths, the prestige boost in tenths."""

    sps: int = 0
    dps: int = 0
    mps: int = 0
    dpm: int = 0
    mpm: int = 0
    boost: int = 0
    last_rank: bool = False

    @property
    def portion(self) -> int:
        """Dishes sold per sell: starts at 1, is whole."""
        return 1 + self.sps // 100

    @property
    def cooked(self) -> int:
        """Dishes cooked in a second."""
        return math.ceil(Fraction(self.dps, 100) * _multiplier(self.dpm)) if self.dps else 0

    def price(self, dishes: int) -> int:
        """Money for dishes sold in one second."""
        factor = Fraction(self.boost, 10) if self.boost else Fraction(1)
        return math.ceil(Fraction(self.mps, 100) * _multiplier(self.mpm) * factor * dishes)

    @property
    def stars(self) -> int:
        """Ten-thousandths of a star accumulated in a second."""
        return half_up(Fraction(self.mps, 100) * _multiplier(self.mpm) / 20000 * 10000) if self.mps else 0

    @property
    def xp_of_sell(self) -> int:
        """Hundredths of xp for a second with a sell."""
        return 0 if self.last_rank else half_up(Fraction(5, 100) * Fraction(self.mps, 100) * 100)

    @property
    def xp_of_cooking(self) -> int:
        """Hundredths of xp for a second of cooking."""
        return (
            0 if self.last_rank or not self.dps else half_up(Fraction(2, 10) * Fraction(self.dps, 100) * 100)
        )


def _multiplier(hundredths: int) -> Fraction:
    return Fraction(hundredths, 100) if hundredths else Fraction(1)


@dataclass(slots=True)
class Gains:
    """What some seconds brought; `dishes` is what there is afterwards."""

    dishes: int
    money: int = 0
    xp: int = 0
    stars: int = 0
    cooked: int = 0


class Day:
    """Seconds of one staff, with what does not change from second to second computed once."""

    def __init__(self, staff: Staff) -> None:
        self.staff = staff
        self._stars, self._portion, self._cooked = staff.stars, staff.portion, staff.cooked
        self._xp_of_sell, self._xp_of_cooking = staff.xp_of_sell, staff.xp_of_cooking
        self._prices: dict[int, int] = {}

    def second(self, gains: Gains) -> None:
        """Let one second pass, in the order of the rules."""
        if self.staff.mps > 0:
            gains.stars += self._stars
            if gains.dishes >= 3:
                sold = min(self._portion, gains.dishes)
                if sold not in self._prices:
                    self._prices[sold] = self.staff.price(sold)
                gains.money += self._prices[sold]
                gains.dishes -= sold
                gains.xp += self._xp_of_sell
        if self.staff.dps > 0:
            gains.dishes += self._cooked
            gains.cooked += self._cooked
            gains.xp += self._xp_of_cooking


def looped(staff: Staff, dishes: int, seconds: int) -> Gains:
    """Let seconds pass one by one."""
    gains, day = Gains(dishes), Day(staff)
    for _ in range(seconds):
        day.second(gains)
    return gains


def jumped(staff: Staff, dishes: int, seconds: int) -> Gains:
    """Let seconds pass, leaping over those that are like the one before."""
    gains, day = Gains(dishes), Day(staff)
    left = seconds
    seen: dict[int, tuple[int, Gains]] = {}
    while left:
        leap = min(left, _like_this(staff, gains.dishes))
        if gains.dishes in seen and not leap:
            before_left, before = seen[gains.dishes]
            period = before_left - left
            leap_cycles = left // period
            if leap_cycles:
                for name in ("money", "xp", "stars", "cooked"):
                    now = getattr(gains, name)
                    setattr(gains, name, now + leap_cycles * (now - getattr(before, name)))
                left -= leap_cycles * period
                continue
        if leap:
            one = Gains(gains.dishes)
            day.second(one)
            gains.money += leap * one.money
            gains.xp += leap * one.xp
            gains.stars += leap * one.stars
            gains.cooked += leap * one.cooked
            gains.dishes += leap * (one.dishes - gains.dishes)
            left -= leap
        else:
            seen[gains.dishes] = left, Gains(gains.dishes, gains.money, gains.xp, gains.stars, gains.cooked)
            day.second(gains)
            left -= 1
    return gains


def _like_this(staff: Staff, dishes: int) -> int:
    """Return how many seconds are certainly like the next one, 0 where that is not plain to see."""
    if staff.mps == 0:
        return 1 << 60
    if dishes < max(3, staff.portion):
        return 0
    drained = staff.portion - staff.cooked
    if drained <= 0:
        return 1 << 60
    return max(0, (dishes - max(3, staff.portion)) // drained - SHORT_OF_BORDER)
