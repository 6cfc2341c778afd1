"""The stored catalogue: read as one consistent whole, changed only where something really differs.

Every change of upgrades, boosts or levels raises `catalogue_state.generation` in its own transaction. Writers
take turns under an advisory lock; readers never wait for them.
"""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Final

import asyncpg

from game.catalogue import Boost, BoostType, Catalogue, Names, Upgrade, UpgradeId, UpgradeType
from persistence.durable.translated import translated
from persistence.errors import DurableError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence
    from typing import TypeAlias

    from asyncpg.pool import PoolConnectionProxy

    from persistence.durable.pool import Connection, Pool

    OneConnection: TypeAlias = Connection | PoolConnectionProxy[asyncpg.Record]
    Source: TypeAlias = Pool | OneConnection

_LOCK: Final = 0x4361_7461_6C6F_6775  # "Catalogu": one number for all writers of the catalogue
_TYPE_ORDER: Final = tuple(UpgradeType)
# A player who was away through more changes than these is paid as if the oldest of them had ended now.
_CHANGES: Final = """
SELECT generation, changed_at_ms FROM catalogue_changes ORDER BY generation DESC LIMIT 100
"""
_SELECT_UPGRADES: Final = """
SELECT upgrades.id, icon_name, name_ru, name_en, upgrade_type, price_factor, price, access_level,
       boosts.id AS boost_id, boosts.boost_type, (boosts.value * 100)::bigint AS value_hundredths
FROM upgrades JOIN boosts ON boosts.id = upgrades.boost_id
ORDER BY upgrades.id
"""
_ANY_ENTRY: Final = "SELECT EXISTS (SELECT FROM upgrades) OR EXISTS (SELECT FROM levels)"
_INSERT_UPGRADE_TYPES: Final = """
INSERT INTO upgrade_types (name, position)
SELECT name, position - 1 FROM unnest($1::text[]) WITH ORDINALITY AS kinds (name, position)
ON CONFLICT DO NOTHING RETURNING name
"""
_INSERT_BOOST_TYPES: Final = """
INSERT INTO boost_types SELECT unnest($1::text[]) ON CONFLICT DO NOTHING RETURNING name
"""
_UPSERT_BOOST: Final = """
INSERT INTO boosts (id, boost_type, value) VALUES ($1, $2, $3::bigint / 100.0)
ON CONFLICT (id) DO UPDATE SET boost_type = excluded.boost_type, value = excluded.value
"""
_UPSERT_UPGRADE: Final = """
INSERT INTO upgrades
    (id, icon_name, name_ru, name_en, upgrade_type, price_factor, price, access_level, boost_id)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $1)
ON CONFLICT (id) DO UPDATE
SET name_ru = excluded.name_ru, name_en = excluded.name_en, price_factor = excluded.price_factor,
    price = excluded.price, access_level = excluded.access_level
"""
_UPSERT_LEVEL: Final = """
INSERT INTO levels (rank, xp) VALUES ($1, $2) ON CONFLICT (rank) DO UPDATE SET xp = excluded.xp
"""


class CatalogueError(DurableError):
    """The catalogue cannot be read or written like this; nothing was changed.

    `faults` says why, a line each, for the operator who runs the seeds.
    """

    def __init__(self, faults: Sequence[str]) -> None:
        super().__init__("; ".join(faults))
        self.faults = tuple(faults)


@dataclass(frozen=True, slots=True)
class UpgradeEntry:
    """One upgrade with its boost and both names, as the data file and the tables hold it.

    `price` is whole money, `access_level` a rank, the boost's value is in hundredths.
    """

    id: int
    icon_name: str
    name_ru: str
    name_en: str
    upgrade_type: UpgradeType
    price_factor: float
    price: float
    access_level: int
    boost_type: BoostType
    value_hundredths: int


async def read(source: Source, language: str) -> Catalogue:
    """Read the whole catalogue of one generation, in wire order; each `name` is in `language` (ru or en).

    Raises CatalogueError when it was never seeded: run the seeds. DurableUnavailable: try again later.
    """
    with translated():
        async with (
            _connection(source) as connection,
            connection.transaction(isolation="repeatable_read", readonly=True),
        ):
            generation: int = await connection.fetchval("SELECT generation FROM catalogue_state")
            entries = await _read_entries(connection)
            xps = await _read_levels(connection)
            changes = await connection.fetch(_CHANGES)
    if not entries or not xps:
        raise CatalogueError(
            ["the catalogue is empty: run seeds.create_enums, create_upgrades, create_levels_xps"]
        )
    catalogue = catalogue_of_entries(entries, xps, language, generation)
    return replace(catalogue, changes=tuple((row["generation"], row["changed_at_ms"]) for row in changes))


async def read_generation(source: Source) -> int:
    """Read which generation is stored, 0 before the first seed. Raises DurableUnavailable: try again."""
    with translated():
        generation: int = await source.fetchval("SELECT generation FROM catalogue_state")
    return generation


def catalogue_of_entries(
    entries: Sequence[UpgradeEntry], xps: Sequence[int], language: str, generation: int
) -> Catalogue:
    """Build the catalogue from entries and the xp of ranks 1, 2, …; a boost has its upgrade's number."""
    ordered = sorted(
        entries, key=lambda entry: (_TYPE_ORDER.index(entry.upgrade_type), entry.price, entry.id)
    )
    return Catalogue(
        generation=generation,
        language=language,
        upgrades=tuple(
            Upgrade(
                id=UpgradeId(entry.id),
                name=entry.name_en if language == "en" else entry.name_ru,
                names=Names(entry.name_ru, entry.name_en),
                icon_name=entry.icon_name,
                upgrade_type=entry.upgrade_type,
                price_factor=entry.price_factor,
                price=entry.price,
                access_level=entry.access_level,
                boost=Boost(entry.id, entry.boost_type, entry.value_hundredths),
            )
            for entry in ordered
        ),
        level_xp=(0, *xps),
    )


async def write_enums(source: Source) -> list[str]:
    """Add the missing types of upgrades and boosts; return those added. Safe to repeat."""
    async with _writing(source) as connection:
        types = await connection.fetch(_INSERT_UPGRADE_TYPES, [kind.value for kind in UpgradeType])
        boosts = await connection.fetch(_INSERT_BOOST_TYPES, [kind.value for kind in BoostType])
    return [f"upgrade type {row['name']}: added" for row in types] + [
        f"boost type {row['name']}: added" for row in boosts
    ]


async def write_upgrades(source: Source, entries: Sequence[UpgradeEntry]) -> list[str]:
    """Make the stored upgrades equal to `entries`, all or nothing; say each change. Safe to repeat.

    Raises CatalogueError when a stored upgrade is missing from `entries` or has another icon or type there:
    players may own it, in Redis too, where this transaction cannot look. Also when the enums are missing.
    """
    async with _writing(source) as connection:
        stored = {entry.id: entry for entry in await _read_entries(connection)}
        wanted = {entry.id: entry for entry in entries}
        if faults := [fault for old in stored.values() if (fault := _refusal(old, wanted.get(old.id)))]:
            raise CatalogueError(faults)
        changed = [entry for entry in entries if stored.get(entry.id) != entry]
        try:
            await connection.executemany(
                _UPSERT_BOOST, [(e.id, e.boost_type.value, e.value_hundredths) for e in changed]
            )
            await connection.executemany(
                _UPSERT_UPGRADE,
                [
                    (
                        e.id,
                        e.icon_name,
                        e.name_ru,
                        e.name_en,
                        e.upgrade_type.value,
                        e.price_factor,
                        e.price,
                        e.access_level,
                    )
                    for e in changed
                ],
            )
        except asyncpg.ForeignKeyViolationError as error:
            raise CatalogueError(
                ["the types of upgrades and boosts are missing: run seeds.create_enums"]
            ) from error
        if changed:
            await _raise_generation(connection)
    return [_describe(stored.get(entry.id), entry) for entry in changed]


async def write_levels(source: Source, xps: Sequence[int]) -> list[str]:
    """Make the stored ranks equal to `xps` (rank 1, 2, …), all or nothing; say each change. Safe to repeat.

    Raises CatalogueError when fewer ranks are given than stored: players may have reached them.
    """
    async with _writing(source) as connection:
        stored = await _read_levels(connection)
        if len(xps) < len(stored):
            raise CatalogueError(
                [f"ranks {len(xps) + 1} to {len(stored)} are missing: a rank is never removed"]
            )
        known = dict(enumerate(stored, start=1))
        changed = [(rank, xp) for rank, xp in enumerate(xps, start=1) if known.get(rank) != xp]
        await connection.executemany(_UPSERT_LEVEL, changed)
        if changed:
            await _raise_generation(connection)
    return [
        f"rank {rank}: xp {known[rank]} → {xp}" if rank in known else f"rank {rank}: added, {xp} xp"
        for rank, xp in changed
    ]


async def write_if_empty(pool: Pool, entries: Sequence[UpgradeEntry], xps: Sequence[int]) -> bool:
    """Write enums, upgrades and ranks where there is no upgrade and no rank; return whether it did.

    One transaction, safe when several processes start together: writers take turns, and the second one
    finds nothing to change. Raises DurableUnavailable: try again.
    """
    with translated():
        async with pool.acquire() as connection, connection.transaction():
            if await connection.fetchval(_ANY_ENTRY):
                return False
            await write_enums(connection)
            await write_upgrades(connection, entries)
            await write_levels(connection, xps)
            return True


@asynccontextmanager
async def _connection(source: Source) -> AsyncIterator[OneConnection]:
    if isinstance(source, asyncpg.Pool):
        async with source.acquire() as connection:
            yield connection
    else:
        yield source


@asynccontextmanager
async def _writing(source: Source) -> AsyncIterator[OneConnection]:
    with translated():
        async with _connection(source) as connection, connection.transaction():
            await connection.execute("SELECT pg_advisory_xact_lock($1)", _LOCK)
            yield connection


async def _raise_generation(connection: OneConnection) -> None:
    await connection.execute(
        "WITH raised AS (UPDATE catalogue_state SET generation = generation + 1 RETURNING generation) "
        "INSERT INTO catalogue_changes (generation) SELECT generation FROM raised"
    )


async def _read_entries(connection: OneConnection) -> list[UpgradeEntry]:
    return [
        UpgradeEntry(
            id=row["id"],
            icon_name=row["icon_name"],
            name_ru=row["name_ru"],
            name_en=row["name_en"],
            upgrade_type=UpgradeType(row["upgrade_type"]),
            price_factor=row["price_factor"],
            price=row["price"],
            access_level=row["access_level"],
            boost_type=BoostType(row["boost_type"]),
            value_hundredths=row["value_hundredths"],
        )
        for row in await connection.fetch(_SELECT_UPGRADES)
    ]


async def _read_levels(connection: OneConnection) -> list[int]:
    return [row["xp"] for row in await connection.fetch("SELECT xp FROM levels ORDER BY rank")]


def _refusal(old: UpgradeEntry, new: UpgradeEntry | None) -> str | None:
    name = f"upgrade {old.id} ({old.icon_name})"
    if new is None:
        return f"{name} is missing: players may own it, so it is never removed"
    for field_name in ("icon_name", "upgrade_type"):
        before, after = getattr(old, field_name), getattr(new, field_name)
        if before != after:
            return f"{name} has {field_name} {after}: players may own it, so it stays {before}"
    return None


def _describe(old: UpgradeEntry | None, new: UpgradeEntry) -> str:
    name = f"upgrade {new.id} ({new.icon_name})"
    if old is None:
        return f"{name}: added"
    differences = [
        f"{field.name} {getattr(old, field.name)} → {getattr(new, field.name)}"
        for field in fields(new)
        if getattr(old, field.name) != getattr(new, field.name)
    ]
    return f"{name}: {', '.join(differences)}"
