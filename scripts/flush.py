"""Write every dirty session to PostgreSQL now, without regard to leases: `python -m scripts.flush`."""

from __future__ import annotations

import sys

from persistence.writeback.batch import BULK, BULK_CONNECTIONS, Saver
from persistence.writeback.flusher import Flusher
from persistence.writeback.marks import EVERY_BUCKET, read_due
from runtime.exit_codes import UNFINISHED
from scripts.databases import Databases, fail, parser_for, progress, run


async def flush(databases: Databases) -> int:
    """Flush, say how many; returns 1 where some could not be written."""
    store = databases.store
    flusher = Flusher(Saver(store, databases.writer, databases.settings.session_ttl_s), portions=BULK)
    marked = (await read_due(store, EVERY_BUCKET, 0)).dirty
    with progress("flushed", marked) as shown:
        written = await flusher.flush_once(shown.advance)
    totals = flusher.totals
    print(
        f"wrote {written} sessions; {totals.reloaded} were newer in PostgreSQL, {totals.gone} of no account"
    )
    if totals.set_aside:
        return fail(UNFINISHED, f"{totals.set_aside} could not be written, the last for: {totals.last_error}")
    return 0


def main() -> int:
    """Parse the command line and run."""
    parser_for(
        "scripts.flush",
        "Write every dirty session to PostgreSQL now. Exit code 1: some could not be written.",
    ).parse_args()
    return run(flush, connections=BULK_CONNECTIONS)


if __name__ == "__main__":
    sys.exit(main())
