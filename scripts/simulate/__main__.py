"""Play the catalogue for days in seconds and show its pacing: `python -m scripts.simulate --plot p.svg`."""

from __future__ import annotations

import argparse
import math
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from game.catalogue import BoostType
from scripts.simulate.habits import HABITS, HOUR_S
from scripts.simulate.picture import draw, title_of
from scripts.simulate.simulation import simulate
from seeds.files import LEVELS, UPGRADES, SeedFileError, read_catalogue

if TYPE_CHECKING:
    from scripts.simulate.course import Course

ROWS: Final = 24
MOST: Final = 1000


def main() -> int:
    """Run the command; return its exit code: 0, or 1 for a data file that is not one."""
    options = _options().parse_args()
    try:
        catalogue = read_catalogue("en", options.upgrades, options.levels)
    except SeedFileError as error:
        print("\n".join(error.faults), file=sys.stderr)
        return 1
    habit = HABITS[options.habit]
    if options.clicks_per_second is not None:
        habit = replace(habit, clicks_per_s=options.clicks_per_second)
    course = simulate(
        catalogue,
        round(options.days * 24 * HOUR_S),
        habit=habit,
        seed=options.seed,
        resets=not options.no_reset,
    )
    _print_table(course)
    _print_promises(course)
    if options.plot is not None:
        options.plot.write_text(draw(course, title_of(habit, options.seed)), encoding="utf-8")
        print(f"drawn: {options.plot}")
    return 0


def _options() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m scripts.simulate",
        description="A sensible player plays the rules without a server; the pacing is printed and drawn.",
    )
    parser.add_argument(
        "--days", type=_above_zero, default=2, help="days of play without a break (default: 2)"
    )
    parser.add_argument(
        "--habit", choices=sorted(HABITS), default="steady", help="how the player plays (default: steady)"
    )
    parser.add_argument("--clicks-per-second", type=_above_zero, help="another pace than the habit's")
    parser.add_argument("--seed", type=int, default=1, help="of the hand's unsteadiness (default: 1)")
    parser.add_argument("--no-reset", action="store_true", help="never trade in for prestige")
    parser.add_argument("--plot", type=Path, help="draw the pacing into this .svg")
    parser.add_argument("--upgrades", type=Path, default=UPGRADES, help="another data file to try")
    parser.add_argument("--levels", type=Path, default=LEVELS, help="another data file to try")
    return parser


def _above_zero(text: str) -> float:
    number = float(text)
    if not 0 < number <= MOST:
        raise argparse.ArgumentTypeError(f"give a number above 0, at most {MOST}")
    return number


def clock(seconds: float) -> str:
    """Write a time of play as hours, minutes and seconds."""
    whole = round(seconds)
    return f"{whole // HOUR_S}:{whole // 60 % 60:02}:{whole % 60:02}"


def _when(at_s: float) -> str:
    return clock(at_s) if at_s < math.inf else "never"


def _print_table(course: Course) -> None:
    print(
        f"{'time':>9} {'rank':>5} {'money':>10} {'money/s':>10} {'purchases':>10} {'stars':>12} {'resets':>7}"
    )
    for sample in course.samples[:: max(1, len(course.samples) // ROWS)]:
        resets = sum(1 for at_s in course.resets if at_s <= sample.at_s)
        print(
            f"{clock(sample.at_s):>9} {sample.rank:>5} {sample.money:>10.3g} {sample.income:>10.3g} "
            f"{sample.purchases:>10} {sample.stars:>12.1f} {resets:>7}"
        )


def _print_promises(course: Course) -> None:
    print(
        f"\nlongest wait for a purchase in the first half hour: {clock(course.longest_wait_s(HOUR_S // 2))}"
    )
    for rank in (10, 20, 40, 70, 100):
        print(f"rank {rank}: {_when(course.reached_s(rank))}")
    print(f"first prestige: {clock(course.resets[0]) if course.resets else 'not reached'}")
    print(f"cooks by itself from {_when(course.first_s(BoostType.DISHES_PER_SECOND))}")
    print(f"sells by itself from {_when(course.first_s(BoostType.MONEY_PER_SECOND))}")
    worst = course.longest_payback(runs=1)
    print(f"best upgrade on sale, first run: within {worst.least_payback_s:.0f} s, at {clock(worst.at_s)}")
    if course.nights_from(HOUR_S, runs=1):
        night = course.worst_night(HOUR_S, runs=1)
        print(f"a night from 1 hour on, first run: at least {night.worth_h:.1f} h, at {clock(night.at_s)}")
    if course.resets:
        stars, *_ = course.stars_at_resets
        print(f"it brings {stars:.0f} stars; the way back takes {course.way_back():.2f} of that run")
    if slowdowns := course.slowdowns(least_s=1, run=0):
        times, up = slowdowns[0]
        print(f"steepest rank of the first run: {up.rank} took {times:.1f} times the one before")
    print(f"different upgrades bought: {len(course.paybacks_s())}")


if __name__ == "__main__":
    raise SystemExit(main())
