"""The catalogue of a running game changes: every process takes it over, no second has a wrong rate."""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import signal
import time
from typing import TYPE_CHECKING, Any

import asyncpg
import pytest

from seeds.files import UPGRADES
from tests.support.commands import run_command
from tests.support.game_server import GameServer, running_game
from tests.support.limits import LIMIT_S
from tests.support.players import EXTERNAL, Player, player
from tests.support.seeding import seeded_player
from tests.support.servers import PostgresServer, ValkeyServer, running_valkey

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

STOVE, OVEN = 68, 70


@pytest.fixture(scope="module")
def valkey() -> Iterator[ValkeyServer]:
    """A Valkey to look into."""
    with running_valkey() as server:
        yield server


@pytest.fixture(scope="module")
def game_settings(valkey: ValkeyServer, module_databases: dict[str, str]) -> dict[str, str]:
    """What both servers run with."""
    return {**EXTERNAL, **module_databases, "REDIS_CONNECTION": valkey.url}


@pytest.fixture(scope="module")
def running(game_settings: dict[str, str]) -> Iterator[tuple[GameServer, GameServer]]:
    """Two servers for all tests."""
    with running_game(game_settings) as first, running_game(game_settings) as second:
        yield first, second


@pytest.fixture
def pair(
    running: tuple[GameServer, GameServer], game_settings: dict[str, str]
) -> Iterator[tuple[GameServer, GameServer]]:
    """The two servers; afterwards their catalogue is that of the release again."""
    yield running
    seed(game_settings, UPGRADES)


def seed(settings: dict[str, str], file: Path) -> None:
    """Run the seed as an operator does."""
    words = ("seeds.create_upgrades", "--file", str(file))
    done = run_command(*words, environment={**os.environ, **settings})
    assert done.returncode == 0, done.stderr


def changed(folder: Path, **changes: Mapping[str, object]) -> Path:
    """Write the release's upgrades with other fields for some icons."""
    entries = json.loads(UPGRADES.read_text())
    for entry in entries:
        entry.update(changes.get(entry["icon_name"], {}))
    file = folder / "changed.json"
    file.write_text(json.dumps(entries))
    return file


def owned(session: dict[str, Any]) -> dict[int, int]:
    """Read what is owned, and how often."""
    return {upgrade["id"]: upgrade["times_bought"] for upgrade in session["upgrades"]["current"]}


async def until_sold_for(each: Player, upgrade_id: int, price: int) -> None:
    """Wait until a server shows an upgrade at a price."""
    await until_shown(each, upgrade_id, lambda upgrade: upgrade["price"] == price)


async def until_shown(each: Player, upgrade_id: int, wanted: Callable[[dict[str, Any]], bool]) -> None:
    """Wait until a server shows an upgrade as wanted."""
    async with asyncio.timeout(LIMIT_S):
        while True:
            listed = await each.ask("upgrade_list")
            for upgrade in [*listed["available"], *listed["current"]]:
                if upgrade["id"] == upgrade_id and wanted(upgrade):
                    return
            await asyncio.sleep(0.05)


async def test_both_servers_take_over_the_change_without_a_restart(
    pair: tuple[GameServer, GameServer], game_settings: dict[str, str], tmp_path: Path
) -> None:
    """Counts stay, the next cook has the new gain, the next purchase the new price, on either server."""
    anna = await seeded_player(game_settings["DB_CONNECTION"], bought="1:1,68:2", money=10_000.0)
    async with player(pair[0], anna.token) as here, player(pair[1], anna.token) as there:
        await there.ask("session")
        before = await here.ask("session")
        assert (await here.ask("cook"))["dishes"] == 1 + 2
        new = {"price": 50, "price_factor": 2, "value": 10}
        await asyncio.to_thread(seed, game_settings, changed(tmp_path, new_stove=new))
        await until_sold_for(here, STOVE, 50)
        assert (await here.ask("cook"))["dishes"] == 3 + (1 + 2 * 10)
        await until_sold_for(there, STOVE, 50)
        assert (await there.ask("cook"))["dishes"] == 24 + 21
        bought = await there.ask("upgrade_buy", id=STOVE)
        assert (bought["money"], bought["times_bought"]) == (10_000 - 50 * 2**2, 3)
        after = await here.ask("session")
        assert owned(before["session"]) == {1: 1, STOVE: 2}
        assert owned(after["session"]) == {1: 1, STOVE: 3}


async def test_seconds_before_the_change_are_paid_at_the_old_rate(
    pair: tuple[GameServer, GameServer], game_settings: dict[str, str], valkey: ValkeyServer, tmp_path: Path
) -> None:
    """Three ovens: 3 dishes a second up to the change, 15 after it, no second at another rate or twice."""
    anna = await seeded_player(game_settings["DB_CONNECTION"], bought="1:1,70:3")
    async with player(pair[0], anna.token) as here, player(pair[1], anna.token) as there:
        await here.ask("session")
        await there.ask("session")
        first = await here.push("passive")
        await here.ask("passive")
        accrued_ms, dishes = map(int, anna.fields(valkey, "accrued_at", "dishes"))
        assert first["dishes"] <= dishes
        await asyncio.to_thread(seed, game_settings, changed(tmp_path, pro_oven={"value": 5}))
        paid: list[tuple[int, int]] = [(accrued_ms, dishes)]
        async with asyncio.timeout(LIMIT_S):
            while sum(rate_of(*two) == 15 for two in steps(paid)) < 2:
                await here.ask("passive")
                now = anna.fields(valkey, "accrued_at", "dishes")
                if int(now[0]) != paid[-1][0]:
                    paid.append((int(now[0]), int(now[1])))
                await asyncio.sleep(0.02)
        # Two states may lie on either side of the change: both rates are in it then, each for whole seconds.
        old_seconds = [seconds_at_3((accrued_ms, dishes), state) for state in paid]
        assert all(seconds.is_integer() and seconds >= 0 for seconds in old_seconds)
        assert old_seconds == sorted(old_seconds), "no second at the old rate after one at the new"
        rates = [rate_of(*two) for two in steps(paid)]
        assert rates == sorted(rates)
        heard = [await there.push("passive") for _ in range(2)]
        assert heard[1]["dishes"] > heard[0]["dishes"]


async def test_a_player_whom_redis_no_longer_has_is_paid_at_the_rates_of_each_time(
    pair: tuple[GameServer, GameServer], game_settings: dict[str, str], valkey: ValkeyServer, tmp_path: Path
) -> None:
    """Away for 100 s with three ovens, the change in the last few: only these are paid at the new rate."""
    dsn = game_settings["DB_CONNECTION"]
    anna, bert = await seeded_player(dsn, bought="1:1,70:3"), await seeded_player(dsn)
    async with player(pair[0], anna.token) as here:
        await here.ask("session")
        await until_shown(here, OVEN, lambda upgrade: upgrade["boost"]["value"] == 1)
        await here.ask("cook")
    async with asyncio.timeout(LIMIT_S):
        while anna.fields(valkey, "dirty") != ["0"]:  # noqa: ASYNC110 - it happens in another process
            await asyncio.sleep(0.05)
    valkey.ask("DEL", anna.key)
    connection = await asyncpg.connect(dsn)
    try:
        saved = await connection.fetchrow(
            "UPDATE sessions SET accrued_at = accrued_at - 100000 WHERE user_id = $1"
            " RETURNING dishes, accrued_at",
            anna.user_id,
        )
    finally:
        await connection.close()
    assert saved is not None
    before_ms = time.time() * 1000
    await asyncio.to_thread(seed, game_settings, changed(tmp_path, pro_oven={"value": 5, "price": 777}))
    after_ms = time.time() * 1000
    async with player(pair[1], bert.token) as other:
        await other.ask("session")
        await until_sold_for(other, OVEN, 777)
    async with player(pair[1], anna.token) as there:
        await there.ask("session")
        paid_ms, held = map(int, anna.fields(valkey, "accrued_at", "dishes"))
    dishes = held - saved["dishes"]
    least = 3 * (before_ms - saved["accrued_at"]) + 15 * (paid_ms - after_ms)
    most = 3 * (after_ms - saved["accrued_at"]) + 15 * (paid_ms - before_ms)
    # A second on either side of the change is paid at one rate.
    assert least / 1000 - 15 <= dishes <= most / 1000 + 15


async def test_a_player_without_income_is_paid_when_a_change_gives_some(
    pair: tuple[GameServer, GameServer], game_settings: dict[str, str], tmp_path: Path
) -> None:
    """What a stove raises becomes dishes a second: its idle owner is sent the income on both servers."""
    anna = await seeded_player(game_settings["DB_CONNECTION"], bought="1:1,68:2")
    async with player(pair[0], anna.token) as here, player(pair[1], anna.token) as there:
        await here.ask("session")
        await there.ask("session")
        new = {"boost_type": "dPs", "value": 2}
        file = changed(tmp_path, new_stove=new, gas_burner={"access_level": 0, "price": 30})
        await asyncio.to_thread(seed, game_settings, file)
        for each in (here, there):
            told = await each.push("passive")
            assert told["dishes"] % 4 == 0
            assert told["dishes"] > 0


def steps(paid: list[tuple[int, int]]) -> list[tuple[tuple[int, int], tuple[int, int]]]:
    """Pair each state with the next."""
    return list(itertools.pairwise(paid))


def seconds_at_3(first: tuple[int, int], state: tuple[int, int]) -> float:
    """How many seconds between two states were paid 3 dishes, where all others were paid 15."""
    (first_ms, first_dishes), (ms, dishes) = first, state
    return (15 * (ms - first_ms) / 1000 - (dishes - first_dishes)) / 12


def rate_of(before: tuple[int, int], after: tuple[int, int]) -> float:
    """Dishes a second between two states (time in ms, dishes)."""
    return (after[1] - before[1]) * 1000 / (after[0] - before[0])


async def test_a_server_that_cannot_read_the_newer_catalogue_says_unavailable(
    own_postgres: PostgresServer, own_valkey: ValkeyServer, tmp_path: Path
) -> None:
    """The other server knows it, PostgreSQL is away: nothing is applied at an older rate."""
    databases = {"DB_CONNECTION": own_postgres.dsn(), "REDIS_CONNECTION": own_valkey.url}
    settings = {**EXTERNAL, **databases}
    with running_game(settings) as knows, running_game(settings) as behind:
        anna = await seeded_player(settings["DB_CONNECTION"], bought="1:1,68:2")
        async with player(knows, anna.token) as here, player(behind, anna.token) as there:
            await here.ask("session")
            await there.ask("session")
            behind.send(signal.SIGSTOP)
            try:
                file = changed(tmp_path, new_stove={"price": 50, "value": 10})
                await asyncio.to_thread(seed, settings, file)
                await until_sold_for(here, STOVE, 50)
                assert (await here.ask("cook"))["dishes"] == 1 + 2 * 10
                own_postgres.kill()
            finally:
                behind.send(signal.SIGCONT)
            refused = await there.ask("cook", client="tab", seq=1)
            assert (refused["code"], "maybe_applied" in refused) == ("unavailable", False)
            assert "request_failed" not in behind.log
            await asyncio.to_thread(own_postgres.start)
            async with asyncio.timeout(LIMIT_S):
                while "code" in (cooked := await there.ask("cook", client="tab", seq=1)):
                    assert cooked["code"] == "unavailable"
            assert cooked["dishes"] == 42
