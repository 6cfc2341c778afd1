"""The seeds at the server's start: a database that nobody seeded gets the catalogue of this release."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from persistence.durable.catalogue import write_if_empty
from seeds.files import read_levels, read_upgrades

if TYPE_CHECKING:
    from persistence.durable.pool import Pool


async def seed_if_empty(pool: Pool) -> bool:
    """Seed enums, upgrades and ranks where there is no upgrade and no rank; return whether it did.

    One transaction, safe when several processes start together: writers take turns, and the second one
    finds nothing to change. A catalogue that an operator changed is left alone. Raises
    DurableUnavailable: try again.
    """
    entries, xps = await asyncio.to_thread(read_upgrades), await asyncio.to_thread(read_levels)
    return await write_if_empty(pool, entries, xps)
