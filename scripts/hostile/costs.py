"""Looks for the inputs that cost a parser most for their bytes: `python -m scripts.hostile.costs`.

Climbs from sound inputs: of many small changes the one that costs more is kept, with a fixed seed. The cost
is first the number of lines of Python that are executed, which is the same on every machine, then, for what
happens in C, the CPU that the worst inputs and their neighbours take. Prints the worst of each parser, and
ends with code 1 where one takes longer than a turn of the event loop.
"""

from __future__ import annotations

import argparse
import random
import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from scripts.hostile.parsers import PARSERS

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType

    from scripts.hostile.parsers import Parser

    Measure = Callable[[Parser, bytes], float]

TURN_US: Final = 1000.0
_LOOKS: Final = 5
_STACKED: Final = 3
_SHOWN: Final = 60


@dataclass(frozen=True, slots=True)
class Worst:
    """The costliest input that was found, and its cost."""

    data: bytes
    cost: float


def lines(parser: Parser, data: bytes) -> float:
    """Count the lines of Python that parsing executes: deterministic, and blind to what C does."""
    count = 0

    def trace(_frame: FrameType, event: str, _argument: Any) -> Callable[..., Any]:
        nonlocal count
        count += event == "line"
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        parser.parse(data)
    finally:
        sys.settrace(before)
    return count


def cpu_us(parser: Parser, data: bytes) -> float:
    """Measure the CPU that parsing takes, in µs: the least of some looks."""
    least_s = float("inf")
    for _ in range(_LOOKS):
        began_s = time.thread_time()
        parser.parse(data)
        least_s = min(least_s, time.thread_time() - began_s)
    return least_s * 1e6


def climb(
    parser: Parser,
    measure: Measure,
    evaluations: int,
    chance: random.Random,
    *,
    begin: tuple[bytes, ...] = (),
    most_bytes: int | None = None,
) -> Worst:
    """Look for the input of at most `most_bytes` that costs most, by so many tries."""
    bound = min(most_bytes or parser.most_bytes, parser.most_bytes)
    seeds = [seed[:bound] for seed in (*parser.seeds, *begin)]
    seeds += [(word * (bound // len(word)))[:bound] for word in parser.words]
    seeds += [seed + (word * bound)[: bound - len(seed)] for seed in parser.seeds for word in parser.words]
    worst = max((Worst(seed, measure(parser, seed)) for seed in seeds), key=lambda found: found.cost)
    for _ in range(max(0, evaluations - len(seeds))):
        data = worst.data
        for _ in range(chance.randint(1, _STACKED)):
            data = _changed(data, parser, chance, bound)
        cost = measure(parser, data)
        if cost > worst.cost:
            worst = Worst(data, cost)
    return worst


def _changed(data: bytes, parser: Parser, chance: random.Random, bound: int) -> bytes:
    """Change an input a little: cut, repeat, overwrite or insert something, within the bound."""
    start = chance.randint(0, len(data))
    stop = min(len(data), start + chance.choice((1, 2, 8, 64, 512)))
    piece = chance.choice((data[start:stop], chance.choice(parser.words), chance.randbytes(1)))
    times = chance.choice((1, 1, 2, 16, 256))
    kept = stop if chance.random() < 0.5 else start  # noqa: PLR2004 - one way or the other
    return (data[:start] + piece * times + data[kept:])[:bound]


def main() -> int:
    """Climb for each parser, and print what was found."""
    arguments = argparse.ArgumentParser(
        prog="python -m scripts.hostile.costs",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    arguments.add_argument("--evaluations", type=int, default=1500, help="of each parser and measure")
    arguments.add_argument("--seed", type=int, default=1)
    arguments.add_argument("--only", choices=sorted(PARSERS))
    options = arguments.parse_args()
    too_long = 0
    print("parser                bytes    lines  a byte       µs  a quarter, µs  the worst begins with")
    for name, parser in PARSERS.items():
        if options.only not in {None, name}:
            continue
        chance = random.Random(options.seed)  # noqa: S311 - the same inputs each time
        by_lines = climb(parser, lines, options.evaluations // 4, chance)
        worst = climb(parser, cpu_us, options.evaluations, chance, begin=(by_lines.data,))
        quarter = climb(
            parser, cpu_us, options.evaluations // 4, chance, most_bytes=max(64, len(worst.data) // 4)
        )
        took_us = cpu_us(parser, worst.data)
        too_long += took_us > TURN_US
        print(
            f"{name:20} {len(worst.data):6} {by_lines.cost:8.0f} {by_lines.cost / len(by_lines.data):7.2f}"
            f" {took_us:8.0f} {quarter.cost:14.0f}  {worst.data[:_SHOWN]!r}",
            flush=True,
        )
    return 1 if too_long else 0


if __name__ == "__main__":
    sys.exit(main())
