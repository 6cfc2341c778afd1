"""Write every dirty session to PostgreSQL now, without regard to leases: `python -m scripts.flush`."""

from __future__ import annotations

import argparse
import sys
from functools import partial
from typing import Final

from persistence.writeback.batch import BULK_CONNECTIONS
from persistence.writeback.marks import EVERY_BUCKET, read_due
from runtime.exit_codes import UNFINISHED
from scripts.databases import Databases, fail, parser_for, progress, run
from scripts.flush_helpers import flush_together, helpers, most_processes, shares

_WORTH_A_PROCESS: Final = 20_000
"""Marked sessions: fewer are written before another process has started."""
_MOST_ASKED_FOR: Final = 64
"""Each takes up to 5 connections to PostgreSQL."""


async def flush(processes: int | None, databases: Databases) -> int:
    """Flush, say how many; returns 1 where some could not be written."""
    marked = (await read_due(databases.store, EVERY_BUCKET, 0)).dirty
    wanted = min(most_processes(), 1 + marked // _WORTH_A_PROCESS) if processes is None else processes
    with progress("flushed", marked) as shown, helpers(databases.settings, wanted - 1) as started:
        done = await flush_together(databases, started, shares(marked, wanted), shown.advance)
    for reason in done.lost:
        print(f"a helper could not go on, so its share was written without it: {reason}", file=sys.stderr)
    print(
        f"wrote {done.written} sessions; {done.reloaded} were newer in PostgreSQL, {done.gone} of no account"
    )
    if done.set_aside:
        return fail(UNFINISHED, f"{done.set_aside} could not be written, the last for: {done.last_error}")
    return 0


def number_of_processes(text: str) -> int:
    """Read how many processes are to flush."""
    if text.isdecimal() and 1 <= int(text) <= _MOST_ASKED_FOR:
        return int(text)
    raise argparse.ArgumentTypeError(f"give a whole number from 1 to {_MOST_ASKED_FOR}")


def main() -> int:
    """Parse the command line and run."""
    parser = parser_for(
        "scripts.flush",
        "Write every dirty session to PostgreSQL now. Exit code 1: some could not be written.",
    )
    parser.add_argument(
        "--processes",
        type=number_of_processes,
        metavar="N",
        help="that share the work (default: by what is to be written and the cores)",
    )
    return run(partial(flush, parser.parse_args().processes), connections=BULK_CONNECTIONS)


if __name__ == "__main__":
    sys.exit(main())
