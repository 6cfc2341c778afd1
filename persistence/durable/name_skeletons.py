"""Skeletons of names that were chosen before there were any, or by an older release."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import asyncpg
import structlog

from persistence.durable.names import skeletons
from persistence.durable.translated import translated

if TYPE_CHECKING:
    from persistence.durable.pool import Pool

_log = structlog.get_logger(__name__)

_BATCH: Final = 500
_MISSING: Final = """
SELECT id, display_name FROM accounts
WHERE display_name IS DISTINCT FROM skeleton_of AND display_name IS NOT NULL AND id > $1 ORDER BY id LIMIT $2
"""
_FILL: Final = """
UPDATE accounts SET skeleton_of = $2,
    skeleton_typed = CASE WHEN EXISTS (
        SELECT FROM accounts AS other WHERE other.skeleton_typed = $3 AND other.id <> $1
    ) THEN NULL ELSE $3 END,
    skeleton_capitals = CASE WHEN EXISTS (
        SELECT FROM accounts AS other WHERE other.skeleton_capitals = $4 AND other.id <> $1
    ) THEN NULL ELSE $4 END
WHERE id = $1 AND display_name = $2
"""


async def fill_skeletons(pool: Pool) -> int:
    """Compute what is missing, the oldest account first; returns how many names it was.

    A name whose look another account has keeps standing, without a skeleton. Safe to repeat and to run twice
    at once; what somebody chooses at the same moment is left for the next time. Raises DurableUnavailable.
    """
    filled, after = 0, 0
    with translated():
        while rows := await pool.fetch(_MISSING, after, _BATCH):
            for row in rows:
                after, name = row["id"], row["display_name"]
                try:
                    await pool.execute(_FILL, row["id"], name, *skeletons(name))
                except asyncpg.UniqueViolationError:
                    continue
                filled += 1
    if filled:
        _log.info("name_skeletons_filled", names=filled)
    return filled
