"""A log-in that ended is refused at once, and its connections are closed on every process."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import asyncpg
import httpx
import jwt
import pytest

from tests.e2e.test_errors import close_code
from tests.support.game_server import running_game
from tests.support.limits import LIMIT_S
from tests.support.players import EXTERNAL, PASSWORD, Player, player, register

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from websockets.asyncio.client import ClientConnection

    from tests.support.game_server import GameServer

REVOKED = 4001


@pytest.fixture(scope="module")
def servers(module_databases: dict[str, str]) -> Iterator[tuple[GameServer, GameServer]]:
    """Two servers over the same databases, the second with two workers."""
    settings = {**EXTERNAL, **module_databases}
    with running_game(settings) as first, running_game({**settings, "WORKERS": "2"}) as second:
        yield first, second


class LogIns:
    """One user with two log-ins, each playing on both servers."""

    def __init__(self, ended: dict[str, str], other: dict[str, str]) -> None:
        self.ended = ended
        self.other = other
        self.ended_players: list[Player] = []
        self.other_players: list[Player] = []


@pytest.fixture
async def log_ins(
    servers: tuple[GameServer, GameServer], request: pytest.FixtureRequest
) -> AsyncIterator[LogIns]:
    """A user who plays with two log-ins on two servers."""
    email = f"{request.node.name.removeprefix('test_')[:50].replace('_', '.')}@example.com"
    ended = await asyncio.to_thread(register, servers[0], email)
    answer = await post(servers[1], "/auth", "", {"email": email, "password": PASSWORD})
    found = LogIns(ended, answer.json()["tokens"])
    async with (
        player(servers[0], ended["access_token"]) as first,
        player(servers[1], ended["access_token"]) as second,
        player(servers[0], found.other["access_token"]) as third,
        player(servers[1], found.other["access_token"]) as fourth,
    ):
        found.ended_players, found.other_players = [first, second], [third, fourth]
        for each in (first, second, third, fourth):
            assert "session" in await each.ask("session")
        yield found


async def test_a_log_out_ends_one_log_in_everywhere(
    servers: tuple[GameServer, GameServer], log_ins: LogIns
) -> None:
    """Its connections close with 4001 on both servers; the other log-in plays on."""
    closing = asyncio.gather(*(revoked(each.socket) for each in log_ins.ended_players))
    assert (await post(servers[1], "/logout", log_ins.ended["refresh_token"])).status_code == 200
    await closing
    await refused_everywhere(servers, log_ins.ended)
    await plays_on(log_ins.other_players)


async def test_a_stolen_token_ends_its_log_in_everywhere(
    servers: tuple[GameServer, GameServer], log_ins: LogIns, module_databases: dict[str, str]
) -> None:
    """A refresh token used again after 30 s closes thief and owner alike; the other log-in plays on."""
    assert (await post(servers[0], "/refresh", log_ins.ended["refresh_token"])).status_code == 200
    await make_refreshes_older(module_databases["DB_CONNECTION"])
    closing = asyncio.gather(*(revoked(each.socket) for each in log_ins.ended_players))
    assert (await post(servers[1], "/refresh", log_ins.ended["refresh_token"])).status_code == 401
    await closing
    await refused_everywhere(servers, log_ins.ended)
    await plays_on(log_ins.other_players)


async def test_a_changed_password_ends_every_log_in_everywhere(
    servers: tuple[GameServer, GameServer], log_ins: LogIns
) -> None:
    """Its own is dead as well: no token from before it is good for anything, and the new pair plays on."""
    refreshed = await post(servers[1], "/refresh", log_ins.other["refresh_token"])
    own = refreshed.json()["tokens"]
    players = [*log_ins.ended_players, *log_ins.other_players]
    closing = asyncio.gather(*(revoked(each.socket) for each in players))
    body = {"password": PASSWORD, "new_password": "another horse"}
    changed = await post(servers[0], "/password", own["access_token"], body)
    assert changed.status_code == 200
    for before in (log_ins.other, own, log_ins.ended):
        await refused_everywhere(servers, before)
    await closing
    after = changed.json()["tokens"]
    assert family_of(after) not in {family_of(own), family_of(log_ins.ended)}
    for server in servers:
        async with player(server, after["access_token"]) as each:
            assert "session" in await each.ask("session")
    assert (await post(servers[1], "/refresh", after["refresh_token"])).status_code == 200


async def test_of_two_changed_passwords_one_counts(
    servers: tuple[GameServer, GameServer], log_ins: LogIns
) -> None:
    """Two changes at once on two servers: one gets a pair, and nothing but that pair is good."""
    answers = await asyncio.gather(
        *(
            post(server, "/password", tokens["access_token"], {"password": PASSWORD, "new_password": new})
            for server, tokens, new in zip(
                servers, (log_ins.ended, log_ins.other), ("another horse", "a third horse"), strict=True
            )
        )
    )
    assert sorted(answer.status_code for answer in answers) == [200, 401]
    for before in (log_ins.ended, log_ins.other):
        await refused_everywhere(servers, before)
    winner = next(answer.json()["tokens"] for answer in answers if answer.status_code == httpx.codes.OK)
    assert (await post(servers[0], "/refresh", winner["refresh_token"])).status_code == 200


async def test_a_deleted_account_ends_every_log_in_everywhere(
    servers: tuple[GameServer, GameServer], log_ins: LogIns
) -> None:
    """All of its connections close, and nothing of its tokens is accepted any more."""
    players = [*log_ins.ended_players, *log_ins.other_players]
    closing = asyncio.gather(*(revoked(each.socket) for each in players))
    async with httpx.AsyncClient(base_url=servers[1].url, timeout=LIMIT_S) as client:
        headers = {"Authorization": f"Bearer {log_ins.ended['access_token']}"}
        gone = await client.request("DELETE", "/account", json={"password": PASSWORD}, headers=headers)
        assert gone.status_code == 200
    await closing
    await refused_everywhere(servers, log_ins.ended)
    await refused_everywhere(servers, log_ins.other)


def family_of(tokens: dict[str, str]) -> str:
    """Read the family of a pair."""
    family: str = jwt.decode(tokens["access_token"], options={"verify_signature": False})["fam"]
    return family


async def revoked(socket: ClientConnection) -> None:
    """Read until the connection is closed as revoked."""
    assert await close_code(socket) == REVOKED


async def refused_everywhere(servers: tuple[GameServer, GameServer], tokens: dict[str, str]) -> None:
    """Check that both kinds of token are refused at once, over HTTP and on new connections."""
    for server in servers:
        assert (await post(server, "/refresh", tokens["refresh_token"])).status_code == 401
        body = {"password": PASSWORD, "new_password": "a third horse"}
        assert (await post(server, "/password", tokens["access_token"], body)).status_code == 401
        async with player(server, tokens["access_token"]) as late:
            assert (await late.ask("session"))["code"] == "token_invalid"


async def plays_on(players: list[Player]) -> None:
    """Check that a log-in was left alone."""
    for each in players:
        assert "current_rank" in await each.ask("level_check")


async def post(
    server: GameServer, path: str, bearer: str, body: dict[str, str] | None = None
) -> httpx.Response:
    """Ask a route, with a bearer token where there is one."""
    async with httpx.AsyncClient(base_url=server.url, timeout=LIMIT_S) as client:
        headers = {"Authorization": f"Bearer {bearer}"} if bearer else {}
        return await client.post(path, json=body or {}, headers=headers)


async def make_refreshes_older(dsn: str) -> None:
    """Let a minute pass for every refresh token that was used."""
    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute(
            "UPDATE refresh_tokens SET used_at = used_at - interval '1 minute' WHERE used_at IS NOT NULL"
        )
    finally:
        await connection.close()
