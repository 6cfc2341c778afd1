"""Break things under a running game and judge what every player saw: `python -m scripts.chaos`.

All worlds one after the other, each with its share of the faults; `--world` chooses.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import random
import shutil
import signal
import sys
import tempfile
import traceback
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

import structlog

from scripts.chaos.history.events import History
from scripts.chaos.plan import plan
from scripts.chaos.programs import nursery_of
from scripts.chaos.report import table
from scripts.chaos.run import Outcome, Script, run
from scripts.chaos.world import WORLDS, Cast, possible_worlds

if TYPE_CHECKING:
    from collections.abc import Sequence

    from scripts.chaos.plan import Fault, Kind

MOST_FAULTS_SHOWN: Final = 40
SECONDS_A_FAULT: Final = 3.0
OUR_MODULES: Final = ("server.__main__", "server.app", "persistence.flusher")


def main() -> int:
    """Run the command; exit code 0 when all that was promised held, 1 when not, 130 when interrupted."""
    options = _options().parse_args()
    seed = options.seed if options.seed is not None else random.randrange(10**6)  # noqa: S311 - a test's chance
    print(f"seed {seed}", flush=True)
    # Ended in whatever way, it ends what it started.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    logging.disable(logging.CRITICAL)
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    worlds = options.world or possible_worlds()
    share = max(1, round(options.faults / len(worlds)))
    duration_s = options.duration_s / len(worlds) if options.duration_s else SECONDS_A_FAULT * share
    script = Script(
        duration_s=duration_s,
        faults=partial(_drawn, seed, duration_s, share),
        users=options.users,
        seed=seed,
        patience=options.patience,
    )
    try:
        with nursery_of(OUR_MODULES, wanted=options.fork) as nursery:
            outcomes = [_play(world, script, Cast(nursery=nursery), keep=options.keep) for world in worlds]
    except KeyboardInterrupt:
        return 130
    written = table(outcomes, seed)
    print(f"\n{written}")
    if options.table is not None:
        options.table.write_text(written + "\n")
    return _say(outcomes, seed)


def _play(world: str, script: Script, cast: Cast, *, keep: bool) -> Outcome:
    """Play in one world and say what was wrong; its folder stays where something was, or to `keep` it."""
    # Sockets need a short path, and PostgreSQL's user must be able to enter.
    folder = Path(tempfile.mkdtemp(prefix="cc-chaos-", dir="/tmp"))
    folder.chmod(0o711)
    print(f"{world}: logs and the history in {folder}", flush=True)
    try:
        outcome = asyncio.run(run(world, folder, script, _say_now, cast))
    except Exception:  # noqa: BLE001 - the other worlds are played, and this one is wrong
        outcome = Outcome(world, History({}), unexpected=[f"broke off: {traceback.format_exc()}"])
    outcome.history.write(folder / "history.jsonl")
    for line in outcome.wrong:
        print(f"WRONG: {line}", flush=True)
    if not outcome.wrong and not keep:
        shutil.rmtree(folder, ignore_errors=True)
    return outcome


def _drawn(seed: int, duration_s: float, count: int, kinds: Sequence[Kind]) -> list[Fault]:
    return plan(seed, duration_s, count, kinds)


def _say_now(line: str) -> None:
    print(line, flush=True)


def _say(outcomes: Sequence[Outcome], seed: int) -> int:
    wrong = [line for outcome in outcomes for line in outcome.wrong]
    if not wrong:
        print("\nEvery promise was kept.")
        return 0
    for line in wrong[:MOST_FAULTS_SHOWN]:
        print(f"WRONG: {line}", file=sys.stderr)
    more = len(wrong) - MOST_FAULTS_SHOWN
    if more > 0:
        print(f"… and {more} more", file=sys.stderr)
    print(f"repeat the faults with --seed {seed}", file=sys.stderr)
    return 1


def _options() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m scripts.chaos", description=__doc__)
    parser.add_argument(
        "--for", dest="duration_s", type=float, metavar="S", help="seconds of faults in all (3 a fault)"
    )
    parser.add_argument("--faults", type=int, default=220, help="how many over all worlds (220)")
    parser.add_argument("--users", type=int, default=6, help="players in a world, two or three tabs each (6)")
    parser.add_argument(
        "--world", action="append", choices=list(WORLDS), help="play in this world; may be given again"
    )
    parser.add_argument(
        "--seed", type=int, help="replay the faults of an earlier run; drawn and printed if not given"
    )
    parser.add_argument(
        "--patience", type=float, default=1, help="factor of every limit of time, for a busy machine (1)"
    )
    parser.add_argument(
        "--fork",
        action="store_true",
        help="fork the servers from one that has imported them: starts are cheaper",
    )
    parser.add_argument("--table", type=Path, help="write the tables into this file too")
    parser.add_argument("--keep", action="store_true", help="keep logs and the history of a clean run")
    return parser


if __name__ == "__main__":
    sys.exit(main())
