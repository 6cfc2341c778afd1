"""What a session's income makes of it as time goes on: computed, not asked for."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final, NamedTuple

from game.accrual import RAN_BACK_MS, Amounts, after
from game.achievements import ACHIEVEMENTS, Counter
from game.arithmetic import EXACT

if TYPE_CHECKING:
    from collections.abc import Mapping

    from game.accrual import Flow

_GROWING: Final = (Counter.COOKED, Counter.EARNED)
"""The counters that income raises."""
_MOST_RUNS: Final = 64
"""Runs of equal seconds that are gone through one by one; a longer way is computed at once."""
_NOTHING: Final = Amounts(0, 0, 0, 0, 0, 0)


class Run(NamedTuple):
    """Equal seconds, from the first to the last: money, dishes, xp and stars, each with what one adds."""

    first_s: int
    last_s: int
    line: tuple[int, ...]


class Course:
    """A session as of `version`, from which each later second follows until something changes it.

    Until `joined_until_ms`, where that is positive, a process may compute. `flow` is None where nothing is
    earned without a click. `reached` counts the achievements whose thresholds the session has got to,
    announced or not.

    Equal seconds come in runs (`game.idle`). Within a run each amount is a line: `_base` in second `_first`,
    and `_step` more in each second up to `_last`; whole numbers below 2^53. Where the next second is not
    `_exact`, a run has one second. `_line` has in one piece what `shown` needs of a run: its first and last
    second, then each amount and its step.
    """

    __slots__ = (
        "_base",
        "_exact",
        "_first",
        "_last",
        "_line",
        "_next_cooked",
        "_next_earned",
        "_reaches_s",
        "_step",
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
        self._begin(0, amounts)

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

    def shown(self, seconds: int) -> tuple[float, float, float, float]:
        """Return money, dishes, xp and stars after so many seconds, to the last digit as Redis computes them.

        Hot: nearly every second is one of the run of the second before.
        """
        first, last, money, more_money, dishes, more_dishes, xp, more_xp, stars, more_stars = self._line
        if not first <= seconds <= last:
            self._find(seconds)
            return self.shown(seconds)
        part = seconds - first
        return (
            money + part * more_money,
            dishes + part * more_dishes,
            xp + part * more_xp,
            stars + part * more_stars,
        )

    def run_of(self, seconds: int) -> Run | None:
        """Return the run of a second that was just `shown`, up to the threshold of an achievement.

        None where amounts are not whole numbers below 2^53, or where no second of the run adds anything.
        """
        first, last, money, more_money, dishes, more_dishes, xp, more_xp, stars, more_stars = self._line
        adds = more_money or more_dishes or more_xp or more_stars
        if not self._exact or not first <= seconds <= last or not adds:
            return None
        line = (money, more_money, dishes, more_dishes, xp, more_xp, stars, more_stars)
        return Run(int(first), int(min(last, self._reaches_s - 1)), tuple(map(int, line)))

    def reaches(self, seconds: int) -> bool:
        """Whether income has got to the threshold of an achievement, in a second that was just `shown`."""
        return seconds >= self._reaches_s

    def _find(self, seconds: int) -> None:
        """Go to the run of a second.

        While whole numbers are exact it does not matter in how many steps they are added. Beyond 2^53 they
        are added in one step, as Redis does.
        """
        flow = self.flow
        if flow is None:
            self._begin(seconds, self.amounts)
            return
        runs = _MOST_RUNS if seconds > self._last else 0
        while runs and self._exact:
            runs -= 1
            part = self._last - self._first
            ends = (one + part * more for one, more in zip(self._base, self._step, strict=True))
            self._begin(self._last, Amounts(*ends))
            if seconds <= self._last:
                return
        self._begin(seconds, after(self.amounts, flow, seconds))

    def _begin(self, first: int, amounts: Amounts) -> None:
        """Begin a run with these amounts."""
        self._first = self._last = first
        self._base, self._step = amounts, _NOTHING
        self._exact, self._reaches_s = False, math.inf
        if self.flow is not None:
            self._extend(self.flow, first, amounts)
        base, step = self._base, self._step
        self._line = (
            first,
            self._last,
            *(base.money, step.money),
            *(base.dishes, step.dishes),
            *(base.xp, step.xp),
            *(base.accumulated, step.accumulated),
        )

    def _extend(self, flow: Flow, first: int, amounts: Amounts) -> None:
        """Find how long a run lasts, what its seconds add, and when it gets to a threshold."""
        if max(amounts) < EXACT:
            sold, lasts = flow.kitchen.run(amounts.dishes)
            base, step = Amounts(*map(int, amounts)), Amounts(*map(int, flow.second(sold)))
            exact_s = int(EXACT - 1 - max(base)) // max(1, *step)
            if not step.dishes:
                lasts = math.inf
            self._base, self._step = base, step
            self._last += int(min(lasts, exact_s))
            self._exact = exact_s > 0
        for amount, more, threshold in (
            (self._base.cooked, self._step.cooked, self._next_cooked),
            (self._base.earned, self._step.earned, self._next_earned),
        ):
            if amount >= threshold:
                self._reaches_s = first
            elif more and threshold < math.inf:
                self._reaches_s = min(self._reaches_s, first + math.ceil((threshold - amount) / more))


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
