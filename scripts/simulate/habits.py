"""How simulated players play: their pace, what they listen to, and when they are there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

MINUTE_S: Final = 60
HOUR_S: Final = 3_600
DAY_S: Final = 24 * HOUR_S


@dataclass(frozen=True, slots=True)
class Visit:
    """One time of a day at which a player is there, in seconds from the day's first visit."""

    from_s: int
    for_s: int


@dataclass(frozen=True, slots=True)
class Habit:
    """A way to play. Without `visits` the player never leaves.

    `advised`: buys what pays back first, and nothing else.
    """

    name: str
    clicks_per_s: float
    advised: bool = False
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
    )
}
"""The players of docs/balance.md, by name."""
