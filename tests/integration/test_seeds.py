"""Seeding a real PostgreSQL: repeatable, all or nothing, and noticed only where something really changed."""

from __future__ import annotations

import asyncio
import json
import os
import time
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from game.catalogue import UpgradeId
from persistence.durable import catalogue
from persistence.durable.catalogue import CatalogueError, UpgradeEntry
from persistence.durable.migrate import migrate
from persistence.durable.pool import connect, open_pool
from persistence.errors import DurableUnavailable
from runtime.embedded import embedded_servers
from runtime.settings import read_settings
from seeds.files import LEVELS, UPGRADES, read_catalogue, read_levels, read_upgrades
from seeds.start import seed_if_empty
from tests.support.commands import run_command
from tests.support.limits import LIMIT_S
from tests.support.servers import fresh_folder

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import asyncpg

    from persistence.durable.pool import Connection

ROOT = Path(__file__).parents[2]


@pytest.fixture
async def database(postgres_dsn: str) -> AsyncIterator[Connection]:
    """A connection to a migrated database without a catalogue."""
    await migrate(postgres_dsn)
    connection = await connect(postgres_dsn)
    yield connection
    await connection.close()


@pytest.fixture
async def seeded(database: Connection) -> Connection:
    """The same with the catalogue of this release."""
    await catalogue.write_enums(database)
    await catalogue.write_upgrades(database, read_upgrades())
    await catalogue.write_levels(database, read_levels())
    return database


@dataclass(frozen=True, slots=True)
class Ended:
    """What a command left."""

    code: int | None
    out: str
    err: str


async def _seed(module: str, *arguments: str, **environ: str) -> Ended:
    """Run a seed as an operator would, with nothing else set, out of reach of anybody's `.env`."""
    kept = {name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ}
    environment = kept | {"LOG_LEVEL": "error", "PYTHONPATH": str(ROOT)} | environ
    words = (f"seeds.{module}", *arguments)
    done = await asyncio.to_thread(run_command, *words, environment=environment, folder=ROOT / "tests")
    return Ended(done.returncode, done.stdout, done.stderr)


def _changed(entries: tuple[UpgradeEntry, ...], upgrade_id: int, **changes: object) -> list[UpgradeEntry]:
    return [
        replace(entry, **changes) if entry.id == upgrade_id else entry  # type: ignore[arg-type]  # any field
        for entry in entries
    ]


async def test_enums_are_created_once(database: Connection) -> None:
    """The first run adds each type and says so, the second finds nothing to do."""
    changes = await catalogue.write_enums(database)
    assert len(changes) == 14
    assert changes[0] == "upgrade type dish: added"
    assert await catalogue.write_enums(database) == []
    kinds = await database.fetch("SELECT name FROM upgrade_types ORDER BY position")
    assert [row["name"] for row in kinds] == ["dish", "equipment", "global", "staff", "point"]


async def test_what_was_seeded_is_read(seeded: Connection) -> None:
    """The stored catalogue equals the data files, in wire order, in either language."""
    for language in ("ru", "en"):
        expected = replace(read_catalogue(language), generation=2)
        assert await catalogue.read(seeded, language) == expected


async def test_a_pool_will_do_as_well(seeded: Connection, postgres_dsn: str) -> None:
    """The catalogue and its generation are read through a pool too."""
    async with await open_pool(postgres_dsn) as pool:
        assert await catalogue.read(pool, "ru") == await catalogue.read(seeded, "ru")
        assert await catalogue.read_generation(pool) == 2


async def test_seeding_again_changes_nothing(seeded: Connection) -> None:
    """Equal files leave the generation alone: no process reads the catalogue again for nothing."""
    assert await catalogue.write_upgrades(seeded, read_upgrades()) == []
    assert await catalogue.write_levels(seeded, read_levels()) == []
    assert await catalogue.read_generation(seeded) == 2


async def test_a_changed_upgrade_raises_the_generation(seeded: Connection) -> None:
    """Each field that differs is reported and stored; the generation grows by one."""
    entries = _changed(read_upgrades(), 2, price=170.0, value_hundredths=30, name_en="Cola")
    assert await catalogue.write_upgrades(seeded, entries) == [
        "upgrade 2 (cola): name_en Iced Cola → Cola, price 100.0 → 170.0, value_hundredths 15 → 30"
    ]
    assert await catalogue.read_generation(seeded) == 3
    cola = (await catalogue.read(seeded, "en")).by_id[UpgradeId(2)]
    assert (cola.name, cola.price, cola.boost.value_hundredths) == ("Cola", 170, 30)


async def test_a_new_upgrade_is_added(seeded: Connection) -> None:
    """An id that was not there is added, the others stay as they are."""
    extra = replace(read_upgrades()[-1], id=82, icon_name="commis", name_ru="Kommis", name_en="Commis")
    assert await catalogue.write_upgrades(seeded, [*read_upgrades(), extra]) == ["upgrade 82 (commis): added"]
    assert len((await catalogue.read(seeded, "ru")).upgrades) == 82


async def test_it_is_known_since_when_a_generation_holds(seeded: Connection) -> None:
    """The newest first; income up to then is paid at the rates of the generation before."""
    before_ms = time.time() * 1000 - 1
    await catalogue.write_upgrades(seeded, _changed(read_upgrades(), 2, price=999.0))
    read = await catalogue.read(seeded, "ru")
    (generation, since_ms), *earlier = read.changes
    assert generation == read.generation == 3
    assert before_ms <= since_ms <= time.time() * 1000
    assert [number for number, _ in earlier] == [2, 1]
    assert (read.ended_ms(2), read.ended_ms(3)) == (since_ms, None)


async def test_an_upgrade_is_never_removed(seeded: Connection) -> None:
    """A file that lacks upgrades is refused with a line for each, and nothing of it is stored."""
    entries = _changed(read_upgrades(), 2, price=999.0)[:-2]
    with pytest.raises(CatalogueError) as caught:
        await catalogue.write_upgrades(seeded, entries)
    assert caught.value.faults == (
        "upgrade 80 (waiter) is missing: players may own it, so it is never removed",
        "upgrade 81 (chef) is missing: players may own it, so it is never removed",
    )
    assert await catalogue.read(seeded, "ru") == replace(read_catalogue("ru"), generation=2)


async def test_an_upgrade_keeps_its_identity(seeded: Connection) -> None:
    """An id that means another icon would hand players what they never bought: refused."""
    with pytest.raises(CatalogueError) as caught:
        await catalogue.write_upgrades(seeded, _changed(read_upgrades(), 81, icon_name="commis"))
    assert caught.value.faults == (
        "upgrade 81 (chef) has icon_name commis: players may own it, so it stays chef",
    )


async def test_upgrades_need_the_enums(database: Connection) -> None:
    """Seeding upgrades first is refused with a line that says what to run."""
    with pytest.raises(CatalogueError, match=r"run seeds\.create_enums"):
        await catalogue.write_upgrades(database, read_upgrades())
    assert await catalogue.read_generation(database) == 0


async def test_a_changed_rank_raises_the_generation(seeded: Connection) -> None:
    """A rank that differs is reported and stored; fewer ranks than stored are refused."""
    xps = [101, *read_levels()[1:]]
    assert await catalogue.write_levels(seeded, xps) == ["rank 1: xp 100 → 101"]
    assert (await catalogue.read(seeded, "ru")).level_xp[:3] == (0, 101, 254)
    assert await catalogue.read_generation(seeded) == 3
    with pytest.raises(CatalogueError, match="ranks 100 to 100 are missing: a rank is never removed"):
        await catalogue.write_levels(seeded, xps[:-1])


async def test_an_empty_catalogue_is_not_played(database: Connection) -> None:
    """Reading before the first seed is refused with a line that says what to run."""
    with pytest.raises(CatalogueError, match="the catalogue is empty"):
        await catalogue.read(database, "ru")


async def test_a_reader_sees_one_generation(seeded: Connection, postgres_dsn: str) -> None:
    """While a change is under way readers go on with the whole of the old one and don't wait."""
    async with _second_connection(postgres_dsn) as reader:
        async with seeded.transaction():
            await catalogue.write_levels(seeded, [101, *read_levels()[1:]])
            async with asyncio.timeout(LIMIT_S):
                assert await catalogue.read(reader, "ru") == replace(read_catalogue("ru"), generation=2)
        assert (await catalogue.read(reader, "ru")).generation == 3


async def test_postgres_away(postgres_dsn: str) -> None:
    """A connection that broke is reported as unavailable, for the caller to try again."""
    await migrate(postgres_dsn)
    connection = await connect(postgres_dsn)
    connection.terminate()
    with pytest.raises(DurableUnavailable):
        await catalogue.read(connection, "ru")
    with pytest.raises(DurableUnavailable):
        await catalogue.read_generation(connection)
    with pytest.raises(DurableUnavailable):
        await catalogue.write_enums(connection)


async def test_the_start_seeds_an_empty_database_once(database: Connection, postgres_dsn: str) -> None:
    """Processes that start together seed once between them; a later start finds the work done."""
    async with await open_pool(postgres_dsn) as pool, await open_pool(postgres_dsn) as other:
        await asyncio.gather(*(seed_if_empty(each) for each in (pool, other, pool, other)))
        assert await catalogue.read(database, "ru") == replace(read_catalogue("ru"), generation=2)
        assert not await seed_if_empty(pool)


async def test_the_start_leaves_an_operators_catalogue_alone(seeded: Connection, postgres_dsn: str) -> None:
    """A price that an operator changed survives the next start."""
    await catalogue.write_upgrades(seeded, _changed(read_upgrades(), 2, price=999.0))
    async with await open_pool(postgres_dsn) as pool:
        assert not await seed_if_empty(pool)
    assert (await catalogue.read(seeded, "ru")).by_id[UpgradeId(2)].price == 999


async def test_the_commands_seed_an_empty_database(postgres_dsn: str) -> None:
    """The three commands in a row, with only DB_CONNECTION set, make a catalogue; each says what it did."""
    enums = await _seed("create_enums", DB_CONNECTION=postgres_dsn)
    assert (enums.code, enums.err, len(enums.out.splitlines())) == (0, "", 14)
    upgrades = await _seed("create_upgrades", DB_CONNECTION=postgres_dsn)
    assert (upgrades.code, upgrades.err, len(upgrades.out.splitlines())) == (0, "", 81)
    levels = await _seed("create_levels_xps", DB_CONNECTION=postgres_dsn)
    assert (levels.code, levels.err, len(levels.out.splitlines())) == (0, "", 100)
    assert await _seed("create_upgrades", DB_CONNECTION=postgres_dsn) == Ended(0, "nothing to change\n", "")
    async with _second_connection(postgres_dsn) as connection:
        assert (await catalogue.read(connection, "ru")).generation == 2


async def test_a_command_takes_another_file(seeded: Connection, postgres_dsn: str, tmp_path: Path) -> None:
    """`--file` names the operator's own prices, or ranks."""
    entries = json.loads(UPGRADES.read_text(encoding="utf-8"))
    entries[1]["price"] = 165
    path = tmp_path / "mine.json"
    path.write_text(json.dumps(entries))
    ended = await _seed("create_upgrades", "--file", str(path), DB_CONNECTION=postgres_dsn)
    assert ended == Ended(0, "upgrade 2 (cola): price 100.0 → 165.0\n", "")
    levels = json.loads(LEVELS.read_text(encoding="utf-8"))
    levels[0]["xp"] = 90
    path.write_text(json.dumps(levels))
    ended = await _seed("create_levels_xps", "--file", str(path), DB_CONNECTION=postgres_dsn)
    assert ended == Ended(0, "rank 1: xp 100 → 90\n", "")
    assert await catalogue.read_generation(seeded) == 4


async def test_a_command_refuses_a_bad_file(postgres_dsn: str, tmp_path: Path) -> None:
    """Faults are lines on standard error, the exit code is 1, there is no trace."""
    entries = json.loads(UPGRADES.read_text(encoding="utf-8"))
    entries[1]["price"] = -1
    path = tmp_path / "mine.json"
    path.write_text(json.dumps(entries))
    ended = await _seed("create_upgrades", "--file", str(path), DB_CONNECTION=postgres_dsn)
    assert ended == Ended(1, "", "mine.json: entry 2: price -1 is not a number from 0 to 1000000000000000\n")


@pytest.mark.parametrize(
    ("address", "code", "start"),
    [
        ("nonsense", 2, "DB_CONNECTION"),
        ("postgresql://nobody@127.0.0.1:1/none", 1, "DB_CONNECTION: PostgreSQL does"),
    ],
)
async def test_a_command_says_what_is_wrong_with_the_database(address: str, code: int, start: str) -> None:
    """An address that is none, or where nobody answers, is one line."""
    ended = await _seed("create_enums", DB_CONNECTION=address)
    assert (ended.code, ended.out, ended.err.count("\n")) == (code, "", 1)
    assert ended.err.startswith(start)


@pytest.mark.parametrize("module", ["create_enums", "create_upgrades", "create_levels_xps"])
async def test_a_command_explains_itself(module: str) -> None:
    """`--help` says what the command does and where it looks for the database."""
    ended = await _seed(module, "--help")
    assert (ended.code, ended.err) == (0, "")
    assert "DB_CONNECTION" in ended.out


async def test_a_command_reaches_the_embedded_database() -> None:
    """Without DB_CONNECTION it seeds the database of a running server, and of one that is stopped, alike."""
    with fresh_folder("seeds") as folder:
        environ = {"DATA_DIR": str(folder), "REDIS_CONNECTION": "unix:///none"}
        secrets = dict.fromkeys(("ACCESS_TOKEN_SECRET", "REFRESH_TOKEN_SECRET"), "x" * 32)
        settings = read_settings(environ | secrets, dotenv=None)
        lost: list[str] = []
        with embedded_servers(settings, on_loss=lambda: lost.append("lost")):
            ended = await _seed("create_enums", DATA_DIR=str(folder))
            assert (ended.code, ended.err, len(ended.out.splitlines())) == (0, "", 14)
        assert await _seed("create_enums", DATA_DIR=str(folder)) == Ended(0, "nothing to change\n", "")
        assert lost == []


@asynccontextmanager
async def _second_connection(dsn: str) -> AsyncIterator[asyncpg.Connection[asyncpg.Record]]:
    connection = await connect(dsn)
    try:
        yield connection
    finally:
        await connection.close()
