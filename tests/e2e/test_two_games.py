"""Two games on one Redis, by database number or by prefix: they never hear or touch each other."""

from __future__ import annotations

import asyncio
import os
from contextlib import ExitStack
from typing import TYPE_CHECKING

import httpx
import pytest

from tests.support.commands import run_command
from tests.support.game_server import GameServer, running_game
from tests.support.limits import LIMIT_S
from tests.support.players import EXTERNAL, PASSWORD, player, register

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable, Iterator

    import redis

    from tests.support.servers import PostgresServer, ValkeyServer


@pytest.fixture(params=["databases", "prefixes", "a prefix in a prefix"])
def settings(
    request: pytest.FixtureRequest,
    own_valkey: ValkeyServer,
    postgres_server: PostgresServer,
    empty_databases: Callable[[], str],
) -> list[dict[str, str]]:
    """Settings of two games that share a Redis, each with a PostgreSQL database: their user ids are alike."""
    url = own_valkey.url
    places = {
        "databases": [{}, {"REDIS_CONNECTION": f"{url}?db=3"}],
        "prefixes": [{"REDIS_PREFIX": "tea:"}, {"REDIS_PREFIX": "soup:"}],
        "a prefix in a prefix": [{}, {"REDIS_PREFIX": "session:"}],
    }
    return [
        {
            **EXTERNAL,
            "REDIS_CONNECTION": url,
            "DB_CONNECTION": postgres_server.dsn(empty_databases()),
            **place,
        }
        for place in places[request.param]
    ]


@pytest.fixture
def games(settings: list[dict[str, str]]) -> Iterator[list[GameServer]]:
    """A server of each game."""
    with ExitStack() as stack:
        yield [stack.enter_context(running_game(each)) for each in settings]


async def test_no_game_hears_or_touches_another(
    games: list[GameServer], settings: list[dict[str, str]]
) -> None:
    """Clicks and a deletion in one leave the other's player of the same id alone, and audits are clean."""
    one, other = games
    tokens = register(one), register(other)
    async with (
        player(one, tokens[0]["access_token"]) as anna,
        player(other, tokens[1]["access_token"]) as ben,
    ):
        assert (await anna.ask("session"))["session"]["dishes"] == 0
        await ben.ask("session", client="tab")
        for each in (anna, ben):
            await each.ask("upgrade_buy", id=1)
        before = await ben.ask("session")
        for _ in range(5):
            await anna.ask("cook")
        for place in settings:
            assert (await command("scripts.flush", place)).returncode == 0
            audited = await command("scripts.audit", place)
            assert "1 " in audited.stdout, audited.stdout
            assert audited.returncode == 0, audited.stdout
        await send(one, "DELETE", "/account", tokens[0]["access_token"], password=PASSWORD)
        after = await ben.ask("session")
        assert before["session"] == after["session"]
        assert {push["request_type"] for push in ben.pushes} <= {"achievement"}
        assert (await ben.ask("cook"))["dishes"] == 1


async def test_every_key_and_channel_begins_with_the_prefix(
    own_valkey: ValkeyServer, postgres_dsn: str
) -> None:
    """A user of Redis with rights to the prefix alone plays, logs in wrongly, logs out and is flushed."""
    own_valkey.ask("ACL", "SETUSER", "tea", "on", ">leaf", "resetchannels", "~tea:*", "&tea:*", "+@all")
    url = own_valkey.url.replace("unix://", "unix://tea:leaf@")
    mine = {
        **EXTERNAL,
        "AUTH_RATE": "10",
        "REDIS_CONNECTION": url,
        "REDIS_PREFIX": "tea:",
        "DB_CONNECTION": postgres_dsn,
    }
    with running_game(mine) as server, own_valkey.client() as client:
        tokens = register(server, "tea@example.com")
        await send(server, "POST", "/auth", "", code=401, email="tea@example.com", password="wrong password")
        kinds = kinds_of(client)
        async with player(server, tokens["access_token"]) as anna:
            await anna.ask("session")
            await anna.ask("upgrade_buy", id=1)
            async with player(server, tokens["access_token"]) as tablet:
                await tablet.ask("session")
                await anna.ask("cook")
                assert (await tablet.push("cook"))["dishes"] == 1
            assert (await command("scripts.flush", mine)).returncode == 0
            assert (await command("scripts.audit", mine)).returncode == 0
        assert (await command("scripts.restore", mine)).returncode == 0
        await send(server, "POST", "/logout", tokens["refresh_token"])
        kinds |= kinds_of(client)
        assert [key for key in keys_of(client) if not key.startswith("tea:")] == []
        assert {"session", "lease", "flushers", "throttle", "reconcile"} <= kinds


async def send(
    server: GameServer, method: str, path: str, token: str, *, code: int = 200, **fields: str
) -> None:
    """Send a request over HTTP, which must be answered with this code."""
    async with httpx.AsyncClient(timeout=LIMIT_S) as client:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        answer = await client.request(method, f"{server.url}{path}", headers=headers, json=fields)
        assert answer.status_code == code, answer.text


def keys_of(client: redis.Redis) -> list[str]:
    """List every key."""
    return list(client.scan_iter(count=1000))


def kinds_of(client: redis.Redis) -> set[str]:
    """Name the kinds of keys that the game with a prefix has now: some go by themselves."""
    return {key.split(":")[1] for key in keys_of(client) if key.startswith("tea:")}


async def command(module: str, settings: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """Run an operator's command while players go on answering the server's pings."""
    environment = {"PATH": os.environ["PATH"], "LOG_FORMAT": "json", **settings}
    return await asyncio.to_thread(run_command, module, environment=environment)
