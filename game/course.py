"""What a session's income makes of it as time goes on: computed, not asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from game.accrual import RAN_BACK_MS, Amounts, after
from game.achievements import ACHIEVEMENTS, Counter
from game.arithmetic import EXACT

if TYPE_CHECKING:
    from collections.abc import Mapping

    from game.accrual import Flow

_GROWING: Final = (Counter.COOKED, Counter.EARNED)
"""The counters that income raises."""
_MOST_STEPS: Final = 64
"""Seconds that are computed one by one; more are computed at once."""


class Course:
    """A session as of `version`, from which each later second follows until something changes it.

    Until `joined_until_ms`, where that is positive, a process may compute. `flow` is None where nothing is
    earned without a click. `reached` counts the achievements whose thresholds the session has got to,
    announced or not.
    """

    __slots__ = (
        "_next_cooked",
        "_next_earned",
        "_position",
        "_present",
        "_prices",
        "accrued_at_ms",
        "amounts",
        "flow",
        "joined_until_ms",
        "rank",
        "reached",
        "version",
    )

    def __init__(
        self,
        *,
        version: int,
        accrued_at_ms: int,
        joined_until_ms: int,
        amounts: Amounts,
        flow: Flow | None,
        counters: Mapping[Counter, float],
    ) -> None:
        self.version = version
        self.accrued_at_ms = accrued_at_ms
        self.joined_until_ms = joined_until_ms
        self.rank = int(counters[Counter.RANK])
        self.amounts = amounts
        self.flow = flow
        self.reached, self._next_cooked, self._next_earned = _thresholds(counters)
        self._position = 0
        self._present = amounts
        self._prices: dict[float, float] = {0.0: 0.0}

    def seconds(self, now_ms: int) -> int:
        """Return how many whole seconds of income the amounts lack; below 0 where the clock ran back."""
        return (now_ms - self.accrued_at_ms) // 1000

    def may_compute(self, now_ms: int) -> bool:
        """Whether the session's state at `now_ms`, Redis' time, may be computed and sent.

        Its version is one higher for each second; the next change leaves room for every second of the
        promise.
        """
        return now_ms <= self.joined_until_ms

    def ran_back(self, now_ms: int) -> bool:
        """Whether the clock ran back so far that the session's time is to be set again."""
        return now_ms - self.accrued_at_ms < -RAN_BACK_MS

    def after(self, seconds: int) -> Amounts:
        """Return the amounts after so many seconds, to the last digit as Redis computes them.

        Goes on from the seconds of the call before, while whole numbers are exact: then it does not matter in
        how many steps they are added. Beyond that it adds them in one step, as Redis does.
        """
        flow = self.flow
        if flow is None:
            return self.amounts
        if seconds < self._position or seconds > self._position + _MOST_STEPS:
            present = after(self.amounts, flow, seconds)
        else:
            present = self._stepped(flow, seconds - self._position)
        if max(present) >= EXACT:
            return after(self.amounts, flow, seconds)
        self._position, self._present = seconds, present
        return present

    def _stepped(self, flow: Flow, seconds: float) -> Amounts:
        """Go on by some seconds, in runs of equal ones; not exact beyond 2^53."""
        money, dishes, xp, accumulated, cooked, earned = self._present
        kitchen = flow.kitchen
        accumulated += seconds * flow.stars_per_second
        cooked += seconds * kitchen.cooked
        xp += seconds * flow.xp_per_second
        while seconds > 0:
            sold, lasts = kitchen.run(dishes)
            lasts = min(lasts, seconds)
            seconds -= lasts
            if sold > 0:
                price = self._prices.get(sold)
                if price is None:
                    price = self._price_of(flow, sold)
                money += lasts * price
                earned += lasts * price
                xp += lasts * flow.xp_per_sell
            dishes += lasts * (kitchen.cooked - sold)
        return Amounts(money, dishes, xp, accumulated, cooked, earned)

    def _price_of(self, flow: Flow, sold: float) -> float:
        """Remember what so many dishes bring; there are few such numbers in a course."""
        price = flow.kitchen.price_of(sold)
        if len(self._prices) < _MOST_STEPS:
            self._prices[sold] = price
        return price

    def reaches(self, amounts: Amounts) -> bool:
        """Whether income has got to the threshold of an achievement."""
        return amounts.cooked >= self._next_cooked or amounts.earned >= self._next_earned


def _thresholds(counters: Mapping[Counter, float]) -> tuple[int, float, float]:
    """Return how many achievements the counters have got to, and what dishes and money must get to next."""
    reached = 0
    following = dict.fromkeys(_GROWING, float("inf"))
    for one in ACHIEVEMENTS:
        if counters[one.counter] >= one.threshold:
            reached += 1
        elif one.counter in following:
            following[one.counter] = min(following[one.counter], one.threshold)
    return reached, following[Counter.COOKED], following[Counter.EARNED]
