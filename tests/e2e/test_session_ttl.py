"""When a session leaves Redis: some time after its last connection, and only once PostgreSQL has it."""

from __future__ import annotations

import asyncio
import itertools
from typing import TYPE_CHECKING

import pytest

from tests.support.game_server import GameServer, running_game
from tests.support.limits import LIMIT_S
from tests.support.players import EXTERNAL, player
from tests.support.seeding import seeded_player
from tests.support.servers import PostgresServer, ValkeyServer, running_valkey

if TYPE_CHECKING:
    from collections.abc import Iterator

TTL_S = 9
"""A live session is touched at each third of it, so a busy machine has six seconds for that."""
GONE = -2
TOUCHES = 4
"""More than one life of a session that nobody touches."""


@pytest.fixture(scope="module")
def valkey() -> Iterator[ValkeyServer]:
    """A Valkey to look into."""
    with running_valkey() as server:
        yield server


@pytest.fixture(scope="module")
def short_lived(valkey: ValkeyServer, module_databases: dict[str, str]) -> dict[str, str]:
    """Settings under which sessions leave soon."""
    return {
        **EXTERNAL,
        **module_databases,
        "REDIS_CONNECTION": valkey.url,
        "SESSION_TTL_S": str(TTL_S),
        "FLUSH_INTERVAL_MS": "100",
    }


@pytest.fixture(scope="module")
def servers(short_lived: dict[str, str]) -> Iterator[tuple[GameServer, GameServer]]:
    """Two servers over the same databases."""
    with running_game(short_lived) as first, running_game(short_lived) as second:
        yield first, second


async def until_gone(valkey: ValkeyServer, key: str) -> None:
    """Wait until Redis has a session no more."""
    async with asyncio.timeout(LIMIT_S):
        while valkey.ask("EXISTS", key):  # noqa: ASYNC110 - Redis sends no event for it
            await asyncio.sleep(0.05)


async def until_touched(valkey: ValkeyServer, key: str, times: int) -> None:
    """Wait until a session was given its time to live again so often; fails once Redis has it no more."""
    lefts_ms: list[int] = []
    async with asyncio.timeout(LIMIT_S):
        while sum(later > earlier for earlier, later in itertools.pairwise(lefts_ms)) < times:
            left_ms = valkey.ask("PTTL", key)
            assert isinstance(left_ms, int)
            assert left_ms != GONE
            if left_ms > 0:  # it has no such time before it is saved
                lefts_ms.append(left_ms)
            await asyncio.sleep(0.05)


async def test_a_session_leaves_after_its_last_connection_and_comes_back(
    servers: tuple[GameServer, GameServer], valkey: ValkeyServer, module_databases: dict[str, str]
) -> None:
    """It is there while either of two servers has a connection, then gone, then back as it was."""
    anna = await seeded_player(module_databases["DB_CONNECTION"])
    async with player(servers[0], anna.token) as here:
        async with player(servers[1], anna.token) as there:
            await here.ask("cook", count=42)
            await there.ask("session")
        await until_touched(valkey, anna.key, TOUCHES)
        assert (await here.ask("level_check"))["current_rank"] == 0
        left = await here.ask("session", client="tab")
    await until_gone(valkey, anna.key)
    async with player(servers[1], anna.token) as there:
        back = await there.ask("session", client="tab")
    assert back["session"] == left["session"]
    assert back["version"] >= left["version"]
    assert back["saved_version"] >= left["version"]


async def test_two_processes_that_load_at_once_make_one_session(
    servers: tuple[GameServer, GameServer], valkey: ValkeyServer, module_databases: dict[str, str]
) -> None:
    """Clicks through both, the first of which find no session in Redis, all count once."""
    for _ in range(3):
        anna = await seeded_player(module_databases["DB_CONNECTION"], dishes=1000.0)
        async with player(servers[0], anna.token) as here, player(servers[1], anna.token) as there:
            answers = await asyncio.gather(*(each.ask("cook") for each in (here, there)))
            assert sorted(answer["dishes"] for answer in answers) == [1001, 1002]
            assert int(anna.fields(valkey, "dishes")[0]) == 1002


async def test_what_postgresql_lacks_stays(
    own_postgres: PostgresServer, own_valkey: ValkeyServer, short_lived: dict[str, str]
) -> None:
    """With PostgreSQL away a changed session outlives its time without a connection; then it goes."""
    databases = {"DB_CONNECTION": own_postgres.dsn(), "REDIS_CONNECTION": own_valkey.url}
    settings = {**short_lived, **databases}
    with running_game(settings) as server:
        anna = await seeded_player(own_postgres.dsn())
        async with player(server, anna.token) as each:
            await each.ask("session")
            own_postgres.kill()
            cooked = await each.ask("cook", count=42)
        await asyncio.to_thread(server.wait_for_log, '"flush_failed"', 3)
        dishes, version = anna.fields(own_valkey, "dishes", "version")
        assert dishes == "42"
        assert int(version) >= cooked["version"]  # an achievement may have come since
        assert own_valkey.ask("TTL", anna.key) == -1
        await asyncio.to_thread(own_postgres.start)
        await until_gone(own_valkey, anna.key)
        async with player(server, anna.token) as each:
            assert (await each.ask("session"))["session"]["dishes"] == 42
