"""Play the catalogue for days in seconds and show its pacing: `python -m scripts.simulate --plot p.svg`."""

from __future__ import annotations

import argparse
import math
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

from scripts.simulate.simulation import simulate
from seeds.files import LEVELS, UPGRADES, SeedFileError, read_catalogue

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from scripts.simulate.course import Course

HOUR_S: Final = 3600
FIRST_HOURS: Final = 4
ROWS: Final = 24
MOST: Final = 1000
POINTS: Final = 700
PLACES: Final = {10: "food truck", 20: "small café", 40: "family restaurant", 70: "gastro restaurant"}
INK: Final = "#33312e"
LINE: Final = "#d9480f"
FAINT: Final = "#cfc8bd"


def main() -> int:
    """Run the command; return its exit code: 0, or 1 for a data file that is not one."""
    options = _options().parse_args()
    try:
        catalogue = read_catalogue("en", options.upgrades, options.levels)
    except SeedFileError as error:
        print("\n".join(error.faults), file=sys.stderr)
        return 1
    course = simulate(
        catalogue,
        round(options.days * 24 * HOUR_S),
        clicks_per_second=options.clicks_per_second,
        seed=options.seed,
        resets=not options.no_reset,
    )
    _print_table(course)
    _print_promises(course)
    if options.plot is not None:
        title = (
            f"Click & Cook: one player, {options.clicks_per_second:g} clicks a second, seed {options.seed}"
        )
        _draw(course, title, options.plot)
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
        "--clicks-per-second", type=_above_zero, default=5, help="cooks and sells (default: 5)"
    )
    parser.add_argument("--seed", type=int, default=1, help="of the hand's unsteadiness (default: 1)")
    parser.add_argument("--no-reset", action="store_true", help="never trade in for prestige")
    parser.add_argument("--plot", type=Path, help="draw the pacing into this .png or .svg")
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
        reached_s = course.reached_s(rank)
        print(f"rank {rank}: {clock(reached_s) if reached_s < math.inf else 'not reached'}")
    print(f"first prestige: {clock(course.resets[0]) if course.resets else 'not reached'}")
    if slowdowns := course.slowdowns(least_s=60):
        times, up = slowdowns[0]
        print(f"steepest rank: {up.rank} in run {up.run + 1} took {times:.1f} times the one before")
    print(f"different upgrades bought: {len(course.paybacks_s())}")


def _draw(course: Course, title: str, path: Path) -> None:
    import matplotlib as mpl  # noqa: PLC0415 - drawing is optional, and slow to load

    mpl.use("Agg")
    from matplotlib import pyplot as plt  # noqa: PLC0415 - after the choice of its backend

    mpl.rcParams |= {
        "svg.hashsalt": "pacing",  # the same picture is the same file
        "axes.edgecolor": FAINT,
        "text.color": INK,
        "axes.labelcolor": INK,
        "xtick.color": INK,
        "ytick.color": INK,
    }
    figure, rows = plt.subplots(3, 2, figsize=(12, 9), sharex="col", layout="constrained")
    figure.suptitle(title, fontsize=14)
    for column, until_s in enumerate((FIRST_HOURS * HOUR_S, course.samples[-1].at_s)):
        samples = [sample for sample in course.samples if sample.at_s <= until_s]
        samples = samples[:: max(1, len(samples) // POINTS)]
        hours = [sample.at_s / HOUR_S for sample in samples]
        ranks, money, purchases = (rows[row][column] for row in range(3))
        _draw_ranks(ranks, hours, [sample.rank for sample in samples])
        money.plot(
            hours, [max(1.0, sample.income) for sample in samples], color=LINE, label="earned a second"
        )
        money.plot(
            hours,
            [max(1.0, sample.money) for sample in samples],
            color=INK,
            linewidth=0.6,
            label="in the till",
        )
        money.set_yscale("log")
        money.legend(loc="upper left", frameon=False)
        purchases.plot(hours, [sample.purchases for sample in samples], color=LINE)
        purchases.set_xlabel("hours of play")
        ranks.set_title(f"the first {FIRST_HOURS} hours" if column == 0 else "all of it", fontsize=11)
        for axes in (ranks, money, purchases):
            axes.set_xlim(0, until_s / HOUR_S)
            axes.spines[["top", "right"]].set_visible(False)
            for at_s in course.resets:
                if at_s <= until_s:
                    axes.axvline(at_s / HOUR_S, color=FAINT, linewidth=0.8, zorder=0)
    for row, label in enumerate(("rank", "money", "purchases")):
        rows[row][0].set_ylabel(label)
    figure.text(0.995, 0.003, "grey lines: resets for prestige", ha="right", fontsize=9, color=INK)
    figure.savefig(path, dpi=110, metadata={"Date": None} if path.suffix == ".svg" else None)
    plt.close(figure)


def _draw_ranks(axes: Axes, hours: list[float], ranks: list[int]) -> None:
    axes.plot(hours, ranks, color=LINE)
    top = max(ranks)
    for rank, place in PLACES.items():
        if rank <= top:
            axes.axhline(rank, color=FAINT, linewidth=0.8, linestyle=":", zorder=0)
            axes.text(hours[-1], rank, f"{place} ", ha="right", va="bottom", fontsize=8, color=INK)


if __name__ == "__main__":
    raise SystemExit(main())
