"""What the rules promise about pacing: each promise with its measure, its limits, and whom it is made to."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from game.catalogue import BoostType
from scripts.simulate.habits import DAY_S, HABITS, HOUR_S, MINUTE_S
from scripts.simulate.simulation import simulate

if TYPE_CHECKING:
    from collections.abc import Callable

    from game.catalogue import Catalogue
    from scripts.simulate.course import Course

TOO_SHORT_TO_FEEL_S: Final = 30
"""After the first reset, a rank that took less counts as that long: 1 second after 3 is no slow-down."""
LONGEST_FIRST_RUN_S: Final = 6 * HOUR_S
LONGEST_LAZY_RUN_S: Final = 5 * DAY_S
AT_FIVE: Final = frozenset({"steady", "advised", "attentive"})
LAZY: Final = frozenset({"lazy"})
EVERYBODY: Final = frozenset(HABITS) - {"thrifty"}
"""All who follow the advice."""
NEVER_AWAY: Final = EVERYBODY - LAZY


def first_run(catalogue: Catalogue, name: str, seed: int = 1, *, attentive: bool = False) -> Course:
    """Play as one of the players until the first reset, and on until the player stands there again.

    `attentive`: the player serves golden guests, also where it is not the player's habit.
    """
    longest_s = LONGEST_LAZY_RUN_S if name in LAZY else LONGEST_FIRST_RUN_S
    habit = HABITS[name]
    habit = replace(habit, attentive=attentive or habit.attentive)
    return simulate(catalogue, longest_s, habit=habit, seed=seed, until=_every_minute(_is_back))


def _is_back(course: Course) -> bool:
    return len(course.resets) > 1 or (bool(course.resets) and course.way_back() < math.inf)


def _every_minute(question: Callable[[Course], bool]) -> Callable[[Course], bool]:
    """Ask only after each minute of play, as looking through a course takes long."""
    seen = 0

    def ask(course: Course) -> bool:
        nonlocal seen
        if len(course.samples) == seen:
            return False
        seen = len(course.samples)
        return question(course)

    return ask


def clock(seconds: float) -> str:
    """Write a time of play as hours, minutes and seconds, without hours where there are none."""
    if seconds == math.inf:
        return "never"
    whole = round(seconds)
    hours = f"{whole // HOUR_S}:" if whole >= HOUR_S else ""
    return f"{hours}{whole // MINUTE_S % 60:0{2 if hours else 1}}:{whole % MINUTE_S:02}"


def _number(value: float) -> str:
    return f"{value:.2f}" if value < math.inf else "never"


def _hours(value: float) -> str:
    return f"{value:.1f} h"


def _stars(value: float) -> str:
    return f"{value:.0f}"


@dataclass(frozen=True, slots=True)
class Promise:
    """One promise: it is kept where the measure is within the limits, both included."""

    text: str
    measure: Callable[[Course], float]
    players: frozenset[str]
    shown: Callable[[float], str] = clock
    at_least: float = -math.inf
    at_most: float = math.inf

    def kept(self, course: Course) -> bool:
        """Say whether a course keeps it."""
        return self.at_least <= self.measure(course) <= self.at_most


def _slowest(course: Course, least_s: int, run: int) -> float:
    return max((times for times, _ in course.slowdowns(least_s, run)), default=0.0)


def _night(course: Course) -> float:
    nights = course.nights_from(HOUR_S, runs=1)
    return min((night.worth_h for night in nights), default=math.inf)


PROMISES: Final = (
    Promise(
        "the first dish that cooks itself within 4 minutes",
        lambda course: course.first_s(BoostType.DISHES_PER_SECOND),
        EVERYBODY,
        at_most=4 * MINUTE_S,
    ),
    Promise(
        "the first money that comes by itself within 8 minutes",
        lambda course: course.first_s(BoostType.MONEY_PER_SECOND),
        EVERYBODY,
        at_most=8 * MINUTE_S,
    ),
    Promise(
        "in the first half hour a purchase at least every 2 minutes, at 5 clicks a second",
        lambda course: course.longest_wait_s(30 * MINUTE_S),
        AT_FIVE,
        at_most=2 * MINUTE_S,
    ),
    Promise(
        "rank 10 within 20 to 40 minutes, at 5 clicks a second",
        lambda course: course.reached_s(10),
        AT_FIVE,
        at_least=20 * MINUTE_S,
        at_most=40 * MINUTE_S,
    ),
    Promise(
        "rank 10 within 60 minutes, at 1 click a second",
        lambda course: course.reached_s(10),
        frozenset({"calm"}),
        at_most=HOUR_S,
    ),
    Promise(
        "at each moment something on sale pays back within 10 minutes",
        lambda course: course.longest_payback(runs=2).least_payback_s,
        EVERYBODY,
        at_most=10 * MINUTE_S,
    ),
    Promise(
        "no rank takes over 3 times the one before it",
        lambda course: _slowest(course, 1, run=0),
        NEVER_AWAY,
        _number,
        at_most=3,
    ),
    Promise(
        "nor on the way back after the first prestige",
        lambda course: _slowest(course, TOO_SHORT_TO_FEEL_S, run=1),
        NEVER_AWAY,
        _number,
        at_most=3,
    ),
    Promise(
        "a night of 8 hours, after the first hour, is worth 2 hours of clicking",
        _night,
        EVERYBODY,
        _hours,
        at_least=2,
    ),
    Promise(
        "the first prestige after 2 to 4 hours, at 5 clicks a second",
        lambda course: min(course.resets, default=math.inf),
        AT_FIVE,
        at_least=2 * HOUR_S,
        at_most=4 * HOUR_S,
    ),
    Promise(
        "it brings at least 20 stars",
        lambda course: next(iter(course.stars_at_resets), 0.0),
        EVERYBODY,
        _stars,
        at_least=20,
    ),
    Promise(
        "the way back takes at most half as long",
        lambda course: course.way_back(),
        EVERYBODY,
        _number,
        at_most=0.5,
    ),
    Promise(
        "no golden guest brings more than a minute of play",
        lambda course: max((guest.worth_s for guest in course.guests), default=0.0),
        frozenset({"attentive"}),
        at_most=MINUTE_S,
    ),
)
"""In the order of the rules."""
