"""Load saved sessions from PostgreSQL into Redis: `python -m scripts.restore`.

Never over a session that is as new, but over an older one, whose connections are notified.
"""

from __future__ import annotations

import argparse
import re
import sys
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Final

from game.session import UserId
from persistence.durable.sessions import count_sessions
from persistence.recovery.restore import RESTORE_CONNECTIONS, Restored, restore, restore_users
from runtime.exit_codes import UNFINISHED
from scripts.databases import Databases, fail, parser_for, progress, run

if TYPE_CHECKING:
    from collections.abc import Sequence

_UNITS: Final = {"m": "minutes", "h": "hours", "d": "days"}


def moment(text: str) -> datetime:
    """Read `90m`, `24h`, `7d` (ago) or a date and time in ISO form, in UTC unless it says otherwise."""
    if match := re.fullmatch(r"(\d{1,6})([mhd])", text):
        return datetime.now(UTC) - timedelta(**{_UNITS[match[2]]: int(match[1])})
    try:
        parsed = datetime.fromisoformat(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r} is neither like 24h nor like 2026-01-31T10:00") from error
    return parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)


async def load(users: Sequence[UserId], since: datetime | None, databases: Databases) -> int:
    """Restore, say how many; returns 1 where Redis refused some."""
    store, pool, ttl_s = databases.store, databases.pool, databases.settings.session_ttl_s
    if users:
        restored = await restore_users(store, pool, ttl_s, users)
    else:
        with progress("restored", await count_sessions(pool, active_since=since)) as shown:

            def show(so_far: Restored) -> None:
                shown.advance(so_far.seen - shown.done)

            restored = await restore(store, pool, ttl_s, active_since=since, on_progress=show)
    print(f"loaded {restored.loaded} sessions; {restored.kept} in Redis were as new or newer")
    if restored.refused:
        return fail(UNFINISHED, f"Redis refused {restored.refused}: it is full, raise its maxmemory")
    return 0


def main() -> int:
    """Parse the command line and run."""
    parser = parser_for(
        "scripts.restore", "Load saved sessions into Redis. Exit code 1: a full Redis refused some."
    )
    some = parser.add_mutually_exclusive_group()
    some.add_argument(
        "--user", type=int, action="append", default=[], metavar="ID", help="only this one; repeatable"
    )
    some.add_argument(
        "--active-since", type=moment, metavar="WHEN", help="only those saved since: 24h, 7d or a date"
    )
    options = parser.parse_args()
    work = partial(load, [UserId(user) for user in options.user], options.active_since)
    return run(work, connections=RESTORE_CONNECTIONS)


if __name__ == "__main__":
    sys.exit(main())
