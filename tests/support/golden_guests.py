"""Golden guests when a test wants them: for the id of the next account one has just come, and no other."""

from __future__ import annotations

import itertools
import time
from typing import Final

import asyncpg

from game.golden import EVERY_MS, STAYS_MS, comes_ms
from game.session import UserId

JUST_MS: Final = 5_000
"""So long ago at most the guest has come: nearly all of the stay is left."""


async def let_one_come(dsn: str) -> int:
    """Choose the id of the next account, and return the number of the guest who is there for it."""
    connection = await asyncpg.connect(dsn)
    try:
        last = await connection.fetchval("SELECT coalesce(max(id), 0) FROM accounts")
        now_ms = int(time.time() * 1000)
        number = (now_ms - JUST_MS) // EVERY_MS
        wanted, found = next(
            (user_id, each)
            for user_id, each in itertools.product(range(last + 1, last + 100_000), (number, number + 1))
            if 0 <= now_ms - comes_ms(UserId(user_id), each) <= JUST_MS
            and comes_ms(UserId(user_id), each - 1) + STAYS_MS < now_ms
            and comes_ms(UserId(user_id), each + 1) > now_ms + STAYS_MS
        )
        await connection.execute("SELECT setval(pg_get_serial_sequence('accounts', 'id'), $1, false)", wanted)
    finally:
        await connection.close()
    return found
