"""Break things under a running game and check that nothing answered is lost: `python -m scripts.chaos`."""

from __future__ import annotations

import argparse
import asyncio
import logging
import random
import shutil
import signal
import sys
import tempfile
from pathlib import Path
from typing import Final

import structlog

from scripts.chaos.plan import plan
from scripts.chaos.report import table
from scripts.chaos.run import Outcome, run

MOST_FAULTS_SHOWN: Final = 40


def main() -> int:
    """Run the command; exit code 0 when all that was promised held, 1 when not, 130 when interrupted."""
    options = _options().parse_args()
    seed = options.seed if options.seed is not None else random.randrange(10**6)  # noqa: S311 - a test's chance
    print(f"seed {seed}", flush=True)
    # Ended in whatever way, it ends what it started.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    faults = plan(seed, options.duration_s, options.faults)
    # Sockets need a short path, and PostgreSQL's user must be able to enter.
    folder = Path(tempfile.mkdtemp(prefix="cc-chaos-", dir="/tmp"))
    folder.chmod(0o711)
    print(f"logs and the book: {folder}", flush=True)
    try:
        outcome = asyncio.run(
            run(
                folder,
                faults,
                duration_s=options.duration_s,
                users=options.users,
                seed=seed,
                patience=options.patience,
                say=lambda line: print(line, flush=True),
            )
        )
    except KeyboardInterrupt:
        return 130
    written = table(outcome, seed)
    print(f"\n{written}")
    if options.table is not None:
        options.table.write_text(written + "\n")
    if outcome.is_clean and not options.keep:
        shutil.rmtree(folder, ignore_errors=True)
    return _say(outcome, seed)


def _say(outcome: Outcome, seed: int) -> int:
    if outcome.is_clean:
        print("\nNothing answered was lost, nothing was counted twice.")
        return 0
    wrong = outcome.wrong
    for line in wrong[:MOST_FAULTS_SHOWN]:
        print(f"WRONG: {line}", file=sys.stderr)
    more = len(wrong) - MOST_FAULTS_SHOWN
    if more > 0:
        print(f"… and {more} more", file=sys.stderr)
    print(f"replay the faults with --seed {seed}", file=sys.stderr)
    return 1


def _options() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m scripts.chaos", description=__doc__)
    parser.add_argument(
        "--for", dest="duration_s", type=float, default=600, metavar="S", help="seconds of faults (600)"
    )
    parser.add_argument("--faults", type=int, default=220, help="how many in that time (220)")
    parser.add_argument("--users", type=int, default=18, help="players, a third of each kind (18)")
    parser.add_argument(
        "--seed", type=int, help="replay the faults of an earlier run; drawn and printed if not given"
    )
    parser.add_argument(
        "--patience", type=float, default=1, help="factor of every limit of time, for a busy machine (1)"
    )
    parser.add_argument("--table", type=Path, help="write the table into this file too")
    parser.add_argument("--keep", action="store_true", help="keep logs and the book of a clean run")
    return parser


if __name__ == "__main__":
    sys.exit(main())
