"""Texts of clients stay texts: none becomes code, a key, a field, a pattern or a second message."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import asyncpg
import httpx
import pytest
import redis

from tests.support.game_server import running_game
from tests.support.limits import LIMIT_S
from tests.support.players import EXTERNAL, PASSWORD, player, register
from tests.support.servers import ValkeyServer, running_valkey

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tests.support.game_server import GameServer

NAMES = (
    "x:y",
    "1:2:3:4",
    "a b c",
    "money",
    "c:",
    "c:c:x",
    "version",
    "*",
    "[a-z]?",
    "%s %f %%",
    "'; DROP TABLE accounts; --",
    "$1",
    "')\nredis.call('FLUSHALL')--",
    "\r\n*1\r\n$8\r\nFLUSHALL\r\n",
    "session:{1}:1",
    '"},"x":{"',
    "\\",
    "\u2028\x7f\x01",
    "👩‍🍳" * 16,
    "constructor",
)


@pytest.fixture(scope="module")
def valkey() -> Iterator[ValkeyServer]:
    """A Valkey of the module's own, which a test may empty."""
    with running_valkey() as server:
        yield server


@pytest.fixture(scope="module")
def settings(valkey: ValkeyServer, module_databases: dict[str, str]) -> dict[str, str]:
    """Settings of a server on it."""
    return {**EXTERNAL, **module_databases, "REDIS_CONNECTION": valkey.url}


@pytest.fixture
def game(settings: Mapping[str, str]) -> Iterator[GameServer]:
    """A server that a test may stop."""
    with running_game(settings) as server:
        yield server


async def test_no_name_of_a_client_is_more_than_a_name(
    game: GameServer, valkey: ValkeyServer, settings: dict[str, str]
) -> None:
    """Each odd name counts its own numbers once, changes no other field, and outlives an emptied Redis."""
    async with player(game) as anna:
        await anna.ask("session")
        bought = await anna.ask("upgrade_buy", id=1)
        assert bought["times_bought"] == 1
        for count, name in enumerate(NAMES, 1):
            assert (await anna.ask("cook", client=name, seq=count))["dishes"] == count
            again = await anna.ask("cook", client=name, seq=count)
            assert (again["dishes"], again["duplicate"]) == (count, True)
        before = await anna.ask("session", client=NAMES[0])
        token = anna.token
    fields = fields_of_the_session(valkey)
    clients = {name for name in fields if name.startswith("c:")}
    assert clients == {f"c:{name}" for name in NAMES}
    assert [name for name in fields if not name.startswith("c:") and not name.isidentifier()] == []
    assert game.stop() == 0
    valkey.ask("FLUSHALL")
    game.start()
    async with player(game, token) as anna:
        after = (await anna.ask("session", client=NAMES[0]))["session"]
        assert after == before["session"]
        for count, name in enumerate(NAMES, 1):
            assert (await anna.ask("session", client=name))["last_seq"] == count


async def test_no_request_id_breaks_out_of_its_answer(game: GameServer) -> None:
    """Quotes, braces, control characters and separators come back letter by letter, in one message each."""
    async with player(game) as anna:
        await anna.ask("session")
        for request_id in NAMES:
            await anna.socket.send(request("level_check", anna.token, request_id))
            answer = await anna.receive()
            assert (answer["request_id"], answer["request_type"]) == (request_id, "level_check")
            await anna.socket.send(request("no such thing" + request_id, anna.token, request_id))
            answer = await anna.receive()
            assert answer == {
                "message_type": "response",
                "request_id": request_id,
                "request_type": "error",
                "data": {"code": "unknown_request", "message": "unknown request_type"},
            }


async def test_no_public_name_is_more_than_a_name(game: GameServer, settings: dict[str, str]) -> None:
    """What is no printable name is refused; quotes and SQL are stored as they are and harm nobody."""
    async with player(game) as anna:
        await anna.ask("session")
        for name in ("\0", "a\nb", "\u202egnp", "\u200b", "", " ", "a" * 65, "a@b"):
            assert "code" in await anna.ask("name_set", name=name), repr(name)
        for name in ("'; DROP--", "$1 OR 1=1", "<b>x</b>", "%s%s", "Robert'); --"):
            assert await anna.ask("name_set", name=name) == {"name": name}
        mine = (await anna.ask("leaderboard"))["me"]
        assert mine["name"] == "Robert'); --"
    connection = await asyncpg.connect(settings["DB_CONNECTION"])
    try:
        assert await connection.fetchval("SELECT count(*) FROM accounts WHERE display_name = $1", name) == 1
    finally:
        await connection.close()


EMAILS = ("o'brien--@example.com", "%25{1}*?$^|`~@example.com", "a/**/or/**/1=1@example.com")

NOBODY: tuple[Any, ...] = (
    "' OR '1'='1",
    "a@b.c'; --",
    "%@example.com",
    "o_brien--@example.com",
    "a\0@b.co",
    ["a"],
)


async def test_no_log_in_breaks_out_of_its_query(game: GameServer) -> None:
    """Addresses with every character that HTML allows are accounts of their own; the rest is refused."""
    for email in EMAILS:
        await asyncio.to_thread(register, game, email)
    async with httpx.AsyncClient(base_url=game.url, timeout=LIMIT_S) as client:
        for email in EMAILS:
            answer = await client.post("/auth", json={"email": email, "password": PASSWORD})
            assert answer.status_code == 200
        wrong: list[Any] = [
            "' OR '1'='1",
            "a@b.c'; --",
            "%@example.com",
            "o_brien--@example.com",
            "a\0@b.co",
            ["a"],
        ]
        for odd in wrong:
            answer = await client.post("/auth", json={"email": odd, "password": PASSWORD})
            assert answer.status_code in (400, 401), odd
        for odd_password in ("x' OR '1'='1", "\0" * 10, "$2b$12$" + "." * 53):
            answer = await client.post("/auth", json={"email": EMAILS[0], "password": odd_password})
            assert answer.status_code == (400 if "\0" in odd_password else 401)


def request(request_type: str, token: str, request_id: str) -> str:
    """Write a request with an id of the test's own."""
    data = {"token": token}
    return json.dumps(
        {"message_type": "request", "request_id": request_id, "request_type": request_type, "data": data}
    )


def fields_of_the_session(valkey: ValkeyServer) -> list[str]:
    """Return the names of the fields of the only session there is."""
    with redis.Redis.from_url(valkey.url) as client:
        (key,) = client.keys("session:*")
        return [name.decode() for name in client.hkeys(key)]
