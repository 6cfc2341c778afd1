"""Hold Redis and PostgreSQL against each other: `python -m scripts.audit`.

Prints a line for each difference. With `--repair` what differs is marked, so that the next flush writes it
again.
"""

from __future__ import annotations

import sys
from functools import partial

from persistence.durable.sessions import count_sessions
from persistence.recovery.audit import AuditTotals, audit, repair
from runtime.exit_codes import UNFINISHED
from scripts.databases import Databases, parser_for, progress, run


async def compare(max_lag_s: float, mends: bool, databases: Databases) -> int:
    """Audit, and repair where asked; returns 1 where anything differs."""
    store, pool = databases.store, databases.pool
    totals = AuditTotals()
    with progress("audited", None) as shown:
        async for differences in audit(store, pool, max_lag_s, totals):
            for difference in differences:
                print(f"user {difference.user_id}: {difference.what}")
            if mends and differences:
                await repair(store, differences)
            shown.advance(totals.sessions - shown.done)
    saved = await count_sessions(pool)
    mended = ", marked to be written again" if mends and totals.differences else ""
    print(
        f"{totals.sessions} sessions in Redis, {totals.dirty} of them dirty, {saved} in PostgreSQL: "
        f"{totals.differences} differences{mended}"
    )
    return UNFINISHED if totals.differences else 0


def main() -> int:
    """Parse the command line and run."""
    parser = parser_for(
        "scripts.audit",
        "Compare all sessions in Redis with PostgreSQL. Exit code 1: a version in PostgreSQL is newer, a "
        "clean session differs, or a session is dirty for too long.",
    )
    parser.add_argument(
        "--max-lag-s",
        type=float,
        default=60.0,
        metavar="S",
        help="how long a session may be dirty: 60; 0 fails on any",
    )
    parser.add_argument(
        "--repair", action="store_true", help="mark what differs, so that it is written again"
    )
    options = parser.parse_args()
    return run(partial(compare, options.max_lag_s, options.repair))


if __name__ == "__main__":
    sys.exit(main())
