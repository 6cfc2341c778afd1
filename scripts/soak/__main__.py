"""Play for a long time and see that nothing grows and nothing is lost: `python -m scripts.soak --minutes 30`.

Starts a server of its own with two workers and embedded databases. Ends with 1 when memory or open files grew
past their bounds, or when anything was lost, counted twice, answered oddly or not cut off in time.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import random
import signal
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

from rich.console import Console
from rich.table import Table

from scripts.soak.growth import WARM_UP_SHARE, growths
from scripts.soak.nuisances import STORM_SIZE, Nuisance, dribble, storms
from scripts.soak.picture import draw
from scripts.soak.players import Player, SecondTab, Tally
from scripts.soak.stage import StageError, running_stage

if TYPE_CHECKING:
    from scripts.soak.growth import Growth
    from scripts.soak.stage import Sample, Stage

SAMPLES: Final = 360
LEAST_INTERVAL_S: Final = 1.0
TAB_EVERY: Final = 3
"""One player in so many has a second tab."""

AT_REST_WITHIN_S: Final = 30.0
KEPT: Final = 20
"""Files that a process may have more than at its start: pools of connections that were needed once."""

FAULTS_SHOWN: Final = 20


@dataclass(slots=True)
class Result:
    """What a soak found."""

    samples: list[Sample] = field(default_factory=list)
    tally: Tally = field(default_factory=Tally)
    seen: Nuisance = field(default_factory=Nuisance)
    faults: list[str] = field(default_factory=list)


def main() -> int:
    """Run the command; return its exit code."""
    options = _options().parse_args()
    chance = random.Random(options.seed)  # noqa: S311 - spreads load, no secret
    result = Result()
    # Ended in whatever way, it ends what it started.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        with running_stage() as stage:
            asyncio.run(_soak(stage, options, chance, result))
            result.faults += [f"the server logged {line}" for line in stage.faults()]
            result.faults += [f"{name} ended" for name in stage.ended()]
    except StageError as error:
        print(f"The server did not start: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 128 + signal.SIGINT
    result.faults += [*result.tally.faults, *result.seen.faults]
    found = growths(result.samples)
    result.faults += [
        f"{grown.name} grew by {grown.rise:.1f} {grown.unit}" for grown in found if not grown.is_flat
    ]
    _report(result, found)
    if options.plot is not None:
        crowd = f"{options.players} players, {options.dribblers} dribblers, storms of {STORM_SIZE} log-ins"
        title = f"{options.minutes:g} minutes, {crowd}, seed {options.seed}"
        draw(result.samples, title, options.plot)
        print(f"drawn: {options.plot}")
    return 1 if result.faults else 0


def _options() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m scripts.soak",
        description="Play for a long time and see that nothing grows and nothing is lost.",
    )
    parser.add_argument("--minutes", type=_minutes, default=30, help="how long (default: 30)")
    parser.add_argument("--players", type=int, default=30, help="who click and reconnect (default: 30)")
    parser.add_argument("--dribblers", type=int, default=12, help="who never get on (default: 12)")
    parser.add_argument("--seed", type=int, default=1, help="of who does what when (default: 1)")
    parser.add_argument(
        "--patience",
        type=_patience,
        default=1,
        help="factor of every limit of time, for a busy machine (default: 1)",
    )
    parser.add_argument("--plot", type=Path, help="draw memory and files into this .svg or .png")
    return parser


def _minutes(text: str) -> float:
    number = float(text)
    if not 0.2 <= number <= 7 * 24 * 60:  # noqa: PLR2004 - enough for a line, and a week
        raise argparse.ArgumentTypeError(f"give a number of minutes from 0.2, not {text}")
    return number


def _patience(text: str) -> float:
    factor = float(text)
    if not 1 <= factor <= 100:  # noqa: PLR2004 - half an hour for an answer
        raise argparse.ArgumentTypeError(f"give a factor from 1 to 100, not {text}")
    return factor


async def _soak(stage: Stage, options: argparse.Namespace, chance: random.Random, result: Result) -> None:
    """Let everybody in, look at the processes until the time is over, then wait until they are at rest."""
    loop = asyncio.get_running_loop()
    duration_s: float = options.minutes * 60
    began_s = loop.time()
    result.seen.patience = options.patience
    over = asyncio.Event()
    loop.call_later(duration_s, over.set)

    def fork() -> random.Random:
        return random.Random(chance.random())  # noqa: S311 - spreads load, no secret

    idle = stage.sample(0)
    tabs: list[asyncio.Task[None]] = []
    async with asyncio.TaskGroup() as group:
        for number in range(options.players):
            name, urls = f"player{number}", [stage.url]
            player = Player(name, urls, result.tally, fork(), patience=options.patience)
            group.create_task(player.play(over))
            if number % TAB_EVERY == 0:
                second = SecondTab(player, stage, result.tally, fork())
                tabs.append(group.create_task(second.look_on()))
        group.create_task(storms(stage.url, result.seen, fork(), over))
        for _ in range(options.dribblers):
            group.create_task(dribble(stage.port, result.seen, fork(), over, patience=options.patience))
        while not over.is_set():
            result.samples.append(stage.sample(loop.time() - began_s))
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(max(LEAST_INTERVAL_S, duration_s / SAMPLES)):
                    await over.wait()
        for tab in tabs:
            tab.cancel()
    result.faults += await _left_over(stage, idle, options.patience * AT_REST_WITHIN_S)


async def _left_over(stage: Stage, idle: Sample, within_s: float) -> list[str]:
    """Say which process holds more files than before anybody came, some time after everybody went."""
    loop = asyncio.get_running_loop()
    end_s = loop.time() + within_s
    while True:
        now = stage.sample(0)
        more = {name: now.files[name] - count for name, count in idle.files.items()}
        left = [
            f"{name}: {count} more than before anybody came" for name, count in more.items() if count > KEPT
        ]
        if not left or loop.time() > end_s:
            return left
        await asyncio.sleep(1)


def _report(result: Result, found: list[Growth]) -> None:
    table = Table(title=f"After a warm-up of {WARM_UP_SHARE:.0%} of the time")
    for heading in ("process", "of", "begins at", "ends at", "rises by", "bound", ""):
        table.add_column(heading, justify="left" if heading in ("process", "of", "") else "right")
    for grown in found:
        figures = (grown.first, grown.last, grown.rise, grown.bound)
        verdict = "flat" if grown.is_flat else "GROWS"
        table.add_row(grown.name, grown.unit, *(f"{figure:.1f}" for figure in figures), verdict)
    Console(width=100).print(table)
    tally, seen = result.tally, result.seen
    refused = ", ".join(f"{count} {code}" for code, count in sorted(tally.refused.items())) or "none"
    statuses = ", ".join(f"{status}: {count}" for status, count in sorted(seen.statuses.items()))
    print(f"clicks answered: {tally.answered}, {tally.duplicates} of them as duplicates")
    print(f"connections: {tally.connections}, tokens refreshed: {tally.refreshes}, copies: {tally.copies}")
    print(f"clicks refused and sent again: {refused}")
    print(f"log-ins, refreshes, log-outs, deletions by status: {statuses}")
    print(f"connections cut off: {seen.cut_off.total()}, the longest lived {seen.longest_s:.1f} s")
    for what in seen.cut_short:
        print(f"  sent once more, since {what}")
    print(f"lost, counted twice or out of order: {len(tally.faults)}; faults in all: {len(result.faults)}")
    for fault in result.faults[:FAULTS_SHOWN]:
        print(f"  {fault}")


if __name__ == "__main__":
    sys.exit(main())
