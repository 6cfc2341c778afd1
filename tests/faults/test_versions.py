"""Versions on one connection where commands have to be sent again: nothing that came later may overtake."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

from tests.game_server import running_game
from tests.players import EXTERNAL, Player, player, register
from tests.servers import running_valkey

if TYPE_CHECKING:
    from tests.servers import ValkeyServer

CONNECTIONS = 6
ROUNDS = 40
CLICKS = 8


async def test_versions_never_go_back_where_commands_are_repeated(module_databases: dict[str, str]) -> None:
    """Scripts are flushed amid the clicks of two processes: on each connection versions only grow."""
    with running_valkey() as valkey:
        settings = {**EXTERNAL, **module_databases, "REDIS_CONNECTION": valkey.url}
        with running_game(settings) as first, running_game(settings) as second:
            token = register(first)["access_token"]
            async with contextlib.AsyncExitStack() as stack:
                joined = [
                    await stack.enter_async_context(player((first, second)[index % 2], token))
                    for index in range(CONNECTIONS)
                ]
                for each in joined:
                    await each.ask("session")
                await joined[0].ask("upgrade_buy", id=1)
                for each in joined:
                    each.pushes.clear()
                for _ in range(ROUNDS):
                    await one_round(valkey, joined)


async def one_round(valkey: ValkeyServer, joined: list[Player]) -> None:
    """Flush the scripts while everybody clicks and reads; check what each connection was told in turn."""
    flush = asyncio.to_thread(valkey.ask, "SCRIPT FLUSH")
    told, _ = await asyncio.gather(asyncio.gather(*(click_and_listen(each) for each in joined)), flush)
    for versions in told:
        assert versions == sorted(versions)


async def click_and_listen(each: Player) -> list[int]:
    """Send cooks and reads at once; return the versions of all that came until the last was answered."""
    last = ""
    for _ in range(CLICKS):
        await each.send("cook")
        last = await each.send("level_check")
    versions: list[int] = []
    while True:
        message = await each.receive()
        versions.append(message["data"]["version"])
        if message["request_id"] == last:
            return versions
