"""Operators change players who play: over a real server, next to each other and to clicks."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from contextlib import AsyncExitStack
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import orjson
import pytest

from game.adjusting import OPERATORS
from game.replacing import Progress
from persistence.durable.operator_log import Outcome, Wish
from persistence.live.keys import bucket_of
from persistence.live.store import call
from server.desk.changing import Changes
from server.desk.errors import NotBegun
from server.desk.operations import Operations
from server.desk.orders import Order
from tests.support.desk_client import DeskClient, running_desk
from tests.support.game_server import GameServer, running_game
from tests.support.limits import LIMIT_S
from tests.support.operators import EXPORTED, command, cooking, desk
from tests.support.players import Player, click_until, joined, register, user_of

if TYPE_CHECKING:
    from pathlib import Path


async def test_operators_next_to_clicks_of_two_processes(game: GameServer) -> None:
    """Nothing is lost, numbers are in the order of the versions, and both tabs get the whole state."""
    async with AsyncExitStack() as stack:
        other = stack.enter_context(running_game(game.settings))
        first, user_id, tokens = await cooking(stack, game)
        second = await joined(stack, other, tokens["access_token"])
        done = asyncio.Event()
        clicking = [
            asyncio.create_task(click_until(first, done, 1)),
            asyncio.create_task(_cook_until(second, done)),
        ]
        _, sessions, log = await stack.enter_async_context(desk(game.settings))

        async def operator(name: str) -> None:
            changes = Changes(log, sessions, user_id)
            for turn in range(10):
                await changes.make(Wish(name, f"{name}, letter {turn}", "money", 7.0))

        await asyncio.gather(operator("anna"), operator("boris"))
        done.set()
        clicks = sum(await asyncio.gather(*clicking))
        shown = (await first.ask("session"))["session"]
        assert (shown["dishes"], shown["money"]) == (clicks, 140)
        entries = list(reversed(await log.latest(user_id, 50)))
        assert [(entry["before"], entry["after"]) for entry in entries] == [
            (7 * n, 7 * n + 7) for n in range(20)
        ]
        versions = [entry["version"] for entry in entries]
        assert versions == sorted(versions)
        assert {entry["operator"] for entry in entries} == {"anna", "boris"}
        for each in (first, second):
            while (await each.push("session"))["session"]["money"] < 140:
                pass


async def _cook_until(each: Player, done: asyncio.Event) -> int:
    """Cook without numbers until told to stop; returns how often."""
    clicks = 0
    while not done.is_set():
        clicks += (await each.ask("cook"))["applied"]
    return clicks


async def test_commands_show_change_and_take_back(game: GameServer) -> None:
    """A repeated change is made once, what the rules forbid is refused, and a change can be taken back."""
    async with AsyncExitStack() as stack:
        anna, user_id, _ = await cooking(stack, game)
        why = ("--reason", "letter 17", "--operator", "boris", "--json")
        given = orjson.loads(await command(game.settings, user_id, "give", "xp", "2.5", *why))
        assert (given["outcome"], given["before"], given["after"]) == ("done", 500, 750)
        again = orjson.loads(await command(game.settings, user_id, "give", "xp", "2.5", *why))
        assert (again["number"], again["earlier"]) == (given["number"], True)
        await command(game.settings, user_id, "take", "money", "1", *why, code=1)
        await command(game.settings, user_id, "give", "donkey", "1", *why, code=2)
        await command(game.settings, user_id, "give", "xp", "1", "--reason", "for a@b.c", code=2)
        await command(game.settings, "nobody@example.com", "show", code=2)
        undone = orjson.loads(await command(game.settings, user_id, "undo", given["number"], *why))
        assert (undone["after"], undone["wish"]["undoes"]) == (500, given["number"])
        shown = (await anna.ask("session"))["session"]
        assert shown["level"]["xp"] == 5
        kept = orjson.loads(await command(game.settings, user_id, "show", "--json"))
        assert (kept["live"]["xp"], kept["server_processes"], kept["account"]["user_id"]) == (500, 1, user_id)
        assert OPERATORS in kept["live"]["clients"]
        assert OPERATORS not in await command(game.settings, user_id, "show")
        said = await command(game.settings, kept["account"]["email"].upper(), "log")
        assert [line.split("  ")[2:4] for line in said.splitlines()] == [
            ["boris", f"done, takes back {given['number']}"],
            ["boris", "refused"],
            ["boris", "done"],
        ]


async def test_the_desk_shows_every_server_of_the_game(game: GameServer) -> None:
    """Those that DESK_SERVERS lists, a server at two names once; one that stops is shown as away."""
    async with AsyncExitStack() as stack:
        other = stack.enter_context(running_game(game.settings))
        listed = f"http://localhost:{game.port},http://127.0.0.1:{game.port},http://127.0.0.1:{other.port}"
        _, url = stack.enter_context(running_desk(game.settings, DESK_SERVERS=listed))
        tokens = await asyncio.to_thread(register, other)
        await joined(stack, other, tokens["access_token"])
        anna, address = DeskClient(url), f"127.0.0.1:{other.port}"

        def plays(said: Any) -> bool:
            players = {each["server"]: each["users"] for each in said["processes"] if "server" in each}
            return players.keys() == {"", address, f"127.0.0.1:{game.port}"} and players[address] == 1

        await anna.until("figures", lambda said: said["points"] and plays(said))
        _, said = await anna.get("figures")
        assert {each["name"]: each["parts"]["redis"] for each in said["servers"]}[address] == "ok"
        await asyncio.to_thread(other.stop)
        away = {"name": "server_away", "detail": address}
        await anna.until("figures", lambda said: away in said["troubles"])


def as_export(progress: Progress, user_id: int) -> dict[str, Any]:
    """Write progress as an export has it."""
    return {"format": 1, "account": {"user_id": user_id}, "saved": {"version": 5, **progress.plain()}}


async def test_an_export_comes_into_another_account(game: GameServer, tmp_path: Path) -> None:
    """While its player clicks: all changes at once, every click counts, and it can be taken back."""
    async with AsyncExitStack() as stack:
        anna, user_id, _ = await cooking(stack, game)
        databases, sessions, _ = await stack.enter_async_context(desk(game.settings))
        operations = Operations(databases.pool, databases.store, sessions, "")
        found = await operations.find(str(user_id))
        done = asyncio.Event()
        clicking = asyncio.create_task(click_until(anna, done, 1))
        export = as_export(EXPORTED, user_id + 1)
        order = Order("import", "boris", "letter 20", export=export)
        made = await operations.carry_out(found, order)
        assert (made.outcome, (await operations.carry_out(found, order)).number) == (
            Outcome.DONE,
            made.number,
        )
        done.set()
        clicks = await clicking
        shown = (await anna.ask("session"))["session"]
        assert made.made is not None
        assert made.made.found is not None
        before = made.made.found
        assert (shown["money"], shown["level"]["rank"]) == (700, 3)
        assert shown["dishes"] - 7 == clicks - before.clicks
        with pytest.raises(NotBegun, match="another account"):
            await operations.carry_out(found, Order("restore-from", "boris", "letter 21", export=export))
        forbidden = as_export(replace(EXPORTED, bought={1: 2}), user_id)
        refused = await operations.carry_out(found, Order("import", "boris", "letter 22", export=forbidden))
        assert (refused.outcome, refused.why) == (Outcome.REFUSED, "the rules allow no such upgrade 1")
        undone = await operations.carry_out(found, Order("undo", "boris", "letter 23", number=made.number))
        assert undone.outcome is Outcome.DONE
        kept = await operations.kept(found)
        # Achievements are recorded next to clicks, some of them after.
        assert replace(Progress.read(kept["live"]), achieved=before.achieved) == before
        (tmp_path / "export.json").write_bytes(orjson.dumps(as_export(EXPORTED, user_id)))
        why = ("--reason", "letter 24", "--operator", "boris")
        said = await command(game.settings, user_id, "restore-from", tmp_path / "export.json", *why)
        assert [line.split() for line in said.splitlines()][1] == ["money", "0", "→", "700"]
        first = await operations.carry_out(found, replace(order, reason="letter 25"))
        await operations.carry_out(found, replace(order, reason="letter 26"))
        with pytest.raises(NotBegun, match="only the latest"):
            await operations.carry_out(found, Order("undo", "boris", "letter 27", number=first.number))


def end(process: asyncio.subprocess.Process) -> None:
    """End a command that a test which failed has left."""
    if process.returncode is None:
        process.kill()


async def test_a_watched_player(game: GameServer) -> None:
    """The session first, then each change as the player's tabs are sent it, until Ctrl-C."""
    async with AsyncExitStack() as stack:
        anna, user_id, tokens = await cooking(stack, game)
        tab = await joined(stack, game, tokens["access_token"])
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "scripts.player", str(user_id), "watch", "--json"),
            env={**os.environ, **game.settings, "PYTHONPATH": ""},
            stdout=asyncio.subprocess.PIPE,
        )
        stack.callback(end, process)

        async def line() -> dict[str, Any]:
            assert process.stdout is not None
            async with asyncio.timeout(LIMIT_S):
                said: dict[str, Any] = orjson.loads(await process.stdout.readline())
            return said

        first = await line()
        assert (first["request_type"], first["data"]["session"]["user_id"]) == ("session", user_id)
        await anna.ask("cook")
        heard = await line()
        assert (heard["request_type"], heard["data"]) == ("cook", await tab.push("cook"))
        _, sessions, log = await stack.enter_async_context(desk(game.settings))
        await Changes(log, sessions, user_id).make(Wish("boris", "letter", "money", 5.0))
        while (heard := await line())["request_type"] != "session":
            assert heard["request_type"] == "achievement"
        assert heard["data"]["session"]["money"] == 5
        process.send_signal(signal.SIGINT)
        async with asyncio.timeout(LIMIT_S):
            assert await process.wait() == 0


async def test_a_player_who_is_away_is_loaded_first(game: GameServer) -> None:
    """A session that Redis no longer has comes from PostgreSQL; one who never played is refused."""
    async with AsyncExitStack() as stack:
        databases, sessions, log = await stack.enter_async_context(desk(game.settings))
        never = user_of(await asyncio.to_thread(register, game))
        made, _ = await Changes(log, sessions, never).make(Wish("boris", "letter", "money", 5.0))
        assert made is not None
        assert (made.outcome, made.why) == (Outcome.REFUSED, "the player has never played")
        async with AsyncExitStack() as playing:
            _, user_id, _ = await cooking(playing, game)
        end_s = asyncio.get_running_loop().time() + LIMIT_S
        while (
            await databases.pool.fetchval("SELECT version FROM sessions WHERE user_id = $1", user_id) is None
        ):
            assert asyncio.get_running_loop().time() < end_s
            await asyncio.sleep(0.05)
        key = databases.store.keys.session(user_id)
        await databases.store.run([call(bucket_of(user_id), "DEL", key)])
        made, _ = await Changes(log, sessions, user_id).make(Wish("boris", "letter", "rank", 3.0))
        assert made is not None
        assert (made.before, made.after) == (0, 3)
