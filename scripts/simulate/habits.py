"""How simulated players play: their pace, what they listen to, and when they are there."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass
from typing import Final

from scripts.simulate.advice import USUAL_CLICKS_PER_S, XP_WORTH

MINUTE_S: Final = 60
HOUR_S: Final = 3_600
DAY_S: Final = 24 * HOUR_S
LEAST_SEEN_S: Final = 10
"""Clicks of a shorter time say nothing about a pace."""


@dataclass(frozen=True, slots=True)
class Visit:
    """One time of a day at which a player is there, in seconds from the day's first visit."""

    from_s: int
    for_s: int


class ShownPace:
    """The pace as the page sees it: of the last minute, to the half. Twin of Pace in server/web/advice.js."""

    def __init__(self) -> None:
        self._clicks: deque[int] = deque(maxlen=MINUTE_S)

    def count(self, clicks: int, seconds: int) -> None:
        """Count the next seconds, clicked in evenly."""
        self._clicks += (
            clicks * (second + 1) // seconds - clicks * second // seconds for second in range(seconds)
        )

    @property
    def per_s(self) -> float:
        """Clicks a second; the usual ones before enough seconds have shown another pace."""
        seconds = len(self._clicks)
        if seconds < LEAST_SEEN_S:
            return USUAL_CLICKS_PER_S
        return math.floor(2 * sum(self._clicks) / seconds + 0.5) / 2


@dataclass(frozen=True, slots=True)
class Habit:
    """A way to play. Without `visits` the player never leaves.

    `advised`: buys what the page says, at the pace that the page sees, not at the player's own.
    `xp_worth`: as XP_WORTH; with 0 nothing is bought for its xp. `attentive`: serves each golden guest that
    comes while the player is there.
    """

    name: str
    clicks_per_s: float
    advised: bool = False
    xp_worth: float = XP_WORTH
    attentive: bool = False
    visits: tuple[Visit, ...] = ()

    def next_visit_s(self, now_s: int) -> int:
        """Say when the player is there next: now, or at the beginning of a visit."""
        day_s, at_s = now_s - now_s % DAY_S, now_s % DAY_S
        for visit in self.visits:
            if at_s < visit.from_s + visit.for_s:
                return max(now_s, day_s + visit.from_s)
        return day_s + DAY_S if self.visits else now_s


HABITS: Final = {
    habit.name: habit
    for habit in (
        Habit("calm", 1),
        Habit("steady", 5),
        Habit("eager", 20),
        Habit(
            "lazy",
            5,
            visits=(
                Visit(0, 10 * MINUTE_S),
                Visit(5 * HOUR_S, 10 * MINUTE_S),
                Visit(12 * HOUR_S, 10 * MINUTE_S),
            ),
        ),
        Habit("advised", 5, advised=True),
        Habit("attentive", 5, attentive=True),
        Habit("thrifty", 5, xp_worth=0.0),
    )
}
"""The players of docs/balance.md, by name."""
