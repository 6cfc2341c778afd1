"""Guests on running servers: a claim loses nothing that any tab did, wherever the tabs are connected."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import httpx
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from tests.support.game_server import GameServer, running_game
from tests.support.limits import LIMIT_S
from tests.support.players import EXTERNAL, Player, player

if TYPE_CHECKING:
    from collections.abc import Iterator

PASSWORD = "a kitchen of my own"
SANDWICH = 1
REVOKED = 4001
TABS = 4
CLICKS_AFTER = 5


@pytest.fixture(scope="module")
def servers(module_databases: dict[str, str]) -> Iterator[tuple[GameServer, GameServer]]:
    """Two servers over the same databases, the second with two workers."""
    settings = {**EXTERNAL, **module_databases}
    with running_game(settings) as first, running_game({**settings, "WORKERS": "2"}) as second:
        yield first, second


@dataclass(slots=True)
class Browser:
    """What the tabs of one browser share: the pair of tokens that was stored last."""

    tokens: dict[str, str]
    changed: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def store(self, tokens: dict[str, str]) -> None:
        """Store another pair for all tabs."""
        async with self.changed:
            self.tokens = tokens
            self.changed.notify_all()

    async def newer_than(self, access_token: str) -> str:
        """Wait until another tab has stored another pair; returns its access token."""
        async with asyncio.timeout(LIMIT_S), self.changed:
            await self.changed.wait_for(lambda: self.tokens["access_token"] != access_token)
            return self.tokens["access_token"]


@dataclass(slots=True)
class Tab:
    """A tab that clicks without a rest, numbers its clicks, and resends what was not answered."""

    server: GameServer
    browser: Browser
    name: str
    seq: int = 0
    codes: list[int] = field(default_factory=list)
    began: asyncio.Event = field(default_factory=asyncio.Event)

    async def play(self) -> None:
        """Click until a newer pair is stored, and a few times more with that."""
        token = self.browser.tokens["access_token"]
        until = None
        while True:
            try:
                async with connect(
                    self.server.websocket_url, open_timeout=LIMIT_S, compression=None
                ) as socket:
                    each = Player(socket, token)
                    while until is None or self.seq < until:
                        answer = await each.ask("cook", client=self.name, seq=self.seq + 1)
                        assert "code" not in answer, answer
                        self.seq += 1
                        self.began.set()
                    return
            except ConnectionClosed as closed:
                self.codes.append(closed.rcvd.code if closed.rcvd else 1006)
                token = await self.browser.newer_than(token)
                until = self.seq + CLICKS_AFTER


async def post(server: GameServer, path: str, bearer: str = "", **fields: str) -> httpx.Response:
    """Ask a route, with a bearer token where there is one."""
    headers = {"Authorization": f"Bearer {bearer}"} if bearer else {}
    async with httpx.AsyncClient(base_url=server.url, timeout=LIMIT_S) as client:
        return await client.post(path, json=fields, headers=headers)


async def guest(server: GameServer) -> dict[str, str]:
    """Begin to play, with a sandwich to cook; returns the tokens."""
    answer = await post(server, "/guest")
    assert answer.status_code == 200
    tokens: dict[str, str] = answer.json()["tokens"]
    async with player(server, tokens["access_token"]) as each:
        assert (await each.ask("session"))["session"]["user_email"] == ""
        assert "code" not in await each.ask("upgrade_buy", id=SANDWICH)
    return tokens


async def test_claiming_while_every_tab_clicks(servers: tuple[GameServer, GameServer]) -> None:
    """Tabs on three processes click on: each click counts once, and each was closed with 4001 just once."""
    browser = Browser(await guest(servers[0]))
    before = browser.tokens
    tabs = [Tab(servers[index % 2], browser, f"tab{index}") for index in range(TABS)]
    playing = [asyncio.create_task(tab.play()) for tab in tabs]
    async with asyncio.timeout(LIMIT_S):
        await asyncio.gather(*(tab.began.wait() for tab in tabs))
    claimed = await post(
        servers[1], "/claim", before["access_token"], email="clicks@example.com", password=PASSWORD
    )
    assert claimed.status_code == 200
    await browser.store(claimed.json()["tokens"])
    async with asyncio.timeout(LIMIT_S):
        await asyncio.gather(*playing)
    assert [tab.codes for tab in tabs] == [[REVOKED]] * TABS
    for server in servers:
        async with player(server, browser.tokens["access_token"]) as each:
            session = (await each.ask("session"))["session"]
            assert session["dishes"] == sum(tab.seq for tab in tabs)
            assert session["user_email"] == "clicks@example.com"
        assert (await post(server, "/refresh", before["refresh_token"])).status_code == 401
        async with player(server, before["access_token"]) as late:
            assert (await late.ask("session"))["code"] == "token_invalid"


async def test_two_tabs_claim_at_once_on_two_servers(servers: tuple[GameServer, GameServer]) -> None:
    """One pair comes of it; what both tabs cooked is the account's, which its e-mail opens."""
    tokens = await guest(servers[0])
    async with (
        player(servers[0], tokens["access_token"]) as first,
        player(servers[1], tokens["access_token"]) as second,
    ):
        for each in (first, second):
            assert "code" not in await each.ask("cook", count=7)
        answers = await asyncio.gather(
            *(
                post(server, "/claim", tokens["access_token"], email=email, password=PASSWORD)
                for server, email in zip(servers, ("left@example.com", "right@example.com"), strict=True)
            )
        )
        for each in (first, second):
            async with asyncio.timeout(LIMIT_S):
                await each.socket.wait_closed()
            assert each.socket.close_code == REVOKED
    assert sorted(answer.status_code for answer in answers) in ([200, 401], [200, 409])
    won = next(answer.json()["tokens"] for answer in answers if answer.status_code == httpx.codes.OK)
    async with player(servers[1], won["access_token"]) as each:
        session = (await each.ask("session"))["session"]
    assert session["dishes"] == 14
    logged_in = await post(servers[0], "/auth", email=session["user_email"], password=PASSWORD)
    assert logged_in.status_code == 200


async def test_a_client_that_knows_no_guests_plays_as_one(servers: tuple[GameServer, GameServer]) -> None:
    """A guest's pair does for a plain client what an account's does: no request is refused for it."""
    tokens = await guest(servers[0])
    async with player(servers[1], tokens["access_token"]) as each:
        assert (await each.ask("cook"))["dishes"] == 1
        assert (await each.ask("sell"))["dishes"] == 0
        assert "current_rank" in await each.ask("level_check")
        assert "available" in await each.ask("upgrade_list")
    renewed = await post(servers[0], "/refresh", tokens["refresh_token"])
    assert renewed.status_code == 200
    assert (await post(servers[1], "/logout", renewed.json()["tokens"]["refresh_token"])).status_code == 200


async def test_a_guest_takes_everything_along_and_goes(servers: tuple[GameServer, GameServer]) -> None:
    """The export of one server has what was played on the other; after the deletion there is nothing."""
    tokens = await guest(servers[0])
    headers = {"Authorization": f"Bearer {tokens['access_token']}"}
    async with (
        player(servers[0], tokens["access_token"]) as each,
        httpx.AsyncClient(base_url=servers[1].url, headers=headers, timeout=LIMIT_S) as client,
    ):
        assert (await each.ask("cook", count=3))["dishes"] == 3
        kept = (await client.get("/export")).json()
        assert kept["account"]["guest"] is True
        assert kept["live"]["dishes"] == 3
        assert kept["live"]["bought"] == {str(SANDWICH): 1}
        assert len(kept["log_ins"]) == 1
        assert (await client.delete("/account")).json() == {"status": 0}
        async with asyncio.timeout(LIMIT_S):
            await each.socket.wait_closed()
        assert each.socket.close_code == REVOKED
        assert (await client.get("/export")).status_code == 401
        assert (await client.delete("/account")).status_code == 401
