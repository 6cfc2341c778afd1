"""Versions on one connection where commands have to be sent again: nothing that came later may overtake."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any

from tests.support.game_server import running_game
from tests.support.players import EXTERNAL, Player, joined, player, register
from tests.support.seeding import seeded_player
from tests.support.servers import running_valkey

if TYPE_CHECKING:
    from tests.support.servers import ValkeyServer

CONNECTIONS = 6
ROUNDS = 40
CLICKS = 8
KILLS = 4
TICKS = 3
PRO_OVENS = "70:3"
"""Three dishes and 0.6 xp a second."""


async def test_versions_never_go_back_where_commands_are_repeated(module_databases: dict[str, str]) -> None:
    """Scripts are flushed during the clicks of two processes: on each connection versions only grow."""
    with running_valkey() as valkey:
        settings = {**EXTERNAL, **module_databases, "REDIS_CONNECTION": valkey.url}
        with running_game(settings) as first, running_game(settings) as second:
            token = register(first)["access_token"]
            async with contextlib.AsyncExitStack() as stack:
                tabs = [
                    await joined(stack, (first, second)[index % 2], token) for index in range(CONNECTIONS)
                ]
                await tabs[0].ask("upgrade_buy", id=1)
                for each in tabs:
                    each.pushes.clear()
                for _ in range(ROUNDS):
                    await one_round(valkey, tabs)


async def one_round(valkey: ValkeyServer, tabs: list[Player]) -> None:
    """Flush the scripts while everybody clicks and reads; check what each connection received in turn."""
    flush = asyncio.to_thread(valkey.ask, "SCRIPT FLUSH")
    told, _ = await asyncio.gather(asyncio.gather(*(click_and_listen(each) for each in tabs)), flush)
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


async def test_what_was_ticked_before_redis_was_killed_is_paid_before_anything_is_told(
    module_databases: dict[str, str],
) -> None:
    """Ticks are not in Redis' file: after a kill nobody is sent an older version or less than before.

    Each connection sees versions and dishes only grow, reads included, and each second is paid once.
    """
    with running_valkey() as valkey:
        settings = {**EXTERNAL, **module_databases, "REDIS_CONNECTION": valkey.url}
        with running_game(settings) as server:
            anna = await seeded_player(module_databases["DB_CONNECTION"], bought=f"1:1,{PRO_OVENS}")
            async with player(server, anna.token) as reading, player(server, anna.token) as listening:
                for each in (reading, listening):
                    await each.ask("session")
                start = [int(value) for value in anna.fields(valkey, "dishes", "accrued_at")]
                for _ in range(KILLS):
                    ticked = [await reading.push("passive") for _ in range(TICKS)][-1]
                    await asyncio.to_thread(valkey.kill)
                    await asyncio.to_thread(valkey.start)
                    read = await read_until_answered(reading)
                    assert read["version"] >= ticked["version"]
                    assert read["current_xp"] >= ticked["level_xp"]
                await listening.push("passive")
                end = [int(value) for value in anna.fields(valkey, "dishes", "accrued_at")]
                heard = [message["data"] for message in listening.pushes]
    assert end[0] - start[0] == 3 * (end[1] - start[1]) // 1000
    dishes = [data["dishes"] for data in heard if "dishes" in data]
    assert dishes == sorted(set(dishes))
    versions = [data["version"] for data in heard]
    assert versions == sorted(set(versions))


async def read_until_answered(each: Player) -> dict[str, Any]:
    """Ask for the level until the answer has it."""
    while True:
        told = await each.request("level_check")
        if told["request_type"] == "level_check":
            data: dict[str, Any] = told["data"]
            return data
        assert told["data"]["code"] == "unavailable"
