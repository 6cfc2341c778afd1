"""Fifty clients who know where to push, on 200 connections, beside fifty honest players who lose nothing."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Final

import httpx

from scripts.hostile import crowd
from scripts.hostile.attackers import CONNECTIONS
from tests.support.game_server import GameServer, running_game
from tests.support.limits import LIMIT_S
from tests.support.players import EXTERNAL, PASSWORD, Player, joined

if TYPE_CHECKING:
    from collections.abc import Sequence

HONEST: Final = 50
ATTACKERS: Final = 3
CLICKS: Final = 40
SECONDS: Final = 5 * LIMIT_S
DEFAULTS: Final = {"AUTH_RATE": "10", "CLICK_RATE": "50", "MAX_CONNECTIONS_PER_IP": "200"}


async def test_no_click_is_lost_or_refused_beside_them(module_databases: dict[str, str]) -> None:
    """Each is applied once, in order, on the connection it was sent on; the server reports no fault."""
    with running_game({**EXTERNAL, **DEFAULTS, **module_databases}) as game:
        tokens = await accounts(game)
        async with contextlib.AsyncExitStack() as stack:
            honest = [await joined(stack, game, each["access_token"]) for each in tokens[:HONEST]]
            for each in honest:
                await each.ask("upgrade_buy", id=1)
            attackers = await crowd.begin(game.port, SECONDS, *await theirs(game, tokens[HONEST:]))
            await asyncio.gather(*(click(each, index) for index, each in enumerate(honest)))
            visits = await attackers.end()
            for index, each in enumerate(honest):
                session = await each.ask("session", client=f"honest{index}")
                assert (session["session"]["dishes"], session["last_seq"]) == (CLICKS, CLICKS)
                assert {message["request_type"] for message in each.pushes} <= {"achievement"}
        assert visits.total() >= CONNECTIONS
        assert not [line for line in game.log.splitlines() if '"error"' in line or "Traceback" in line]


async def click(player: Player, index: int) -> None:
    """Click some times, the next when the last was answered; each must count, and only once."""
    for number in range(1, CLICKS + 1):
        answer = await player.ask("cook", client=f"honest{index}", seq=number)
        assert (answer["applied"], answer["dishes"]) == (1, number)


async def accounts(game: GameServer) -> list[dict[str, str]]:
    """Open the accounts of all; return their tokens."""
    async with httpx.AsyncClient(base_url=game.url, timeout=LIMIT_S) as client:
        emails = [f"crowd{number}@example.com" for number in range(HONEST + ATTACKERS)]
        bodies = [{"email": email, "password": PASSWORD} for email in emails]
        return [(await client.post("/reg", json=body)).json()["tokens"] for body in bodies]


async def theirs(
    game: GameServer, tokens: Sequence[dict[str, str]]
) -> tuple[list[list[str]], list[list[str]]]:
    """Log the attackers in once more; return what `crowd.begin` needs of them."""
    access = []
    async with httpx.AsyncClient(base_url=game.url, timeout=LIMIT_S) as client:
        for number, first in enumerate(tokens):
            account = {"email": f"crowd{HONEST + number}@example.com", "password": PASSWORD}
            second = (await client.post("/auth", json=account)).json()["tokens"]
            other = tokens[number - 1]
            access.append([each["access_token"] for each in (first, second, other)])
    return access, [[each["refresh_token"]] * 2 for each in tokens]
