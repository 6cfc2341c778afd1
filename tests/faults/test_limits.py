"""A full Redis, and one that lost its last second: seen through a whole server by a real client."""

from __future__ import annotations

import asyncio
import json
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

import httpx

from clients.python.clickcook import Client, Options, connect
from scripts.clicker.totals import Totals
from scripts.clicker.watch import Watch
from tests.support.game_server import GameServer, running_game
from tests.support.limits import LIMIT_S
from tests.support.players import EXTERNAL, PASSWORD, Player, joined, register
from tests.support.servers import ValkeyServer, fresh_folder, running_valkey

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

TABS, CLICKS = 30, 20
OPTIONS = Options(retry_first_ms=20, retry_most_ms=200, renew_again_ms=50)


def client_of(server: GameServer, email: str) -> tuple[Client, Totals]:
    """Make a client with an account of its own, and what it counts."""
    client, totals = connect(server.url, email=email, password=PASSWORD, options=OPTIONS), Totals()
    Watch(client, totals, asyncio.get_running_loop().time)
    return client, totals


async def saved(client: Client, version: int) -> None:
    """Wait until PostgreSQL has a version."""
    async with asyncio.timeout(LIMIT_S):
        while True:
            if (await client.request("session"))["saved_version"] >= version:
                return
            await asyncio.sleep(0.02)


async def test_a_full_redis_refuses_and_loses_nothing(module_databases: dict[str, str]) -> None:
    """At maxmemory clicks are `unavailable`; with room again all that were sent count, each once.

    Refusals that come by the hundred are a few lines without a trace, not one each.
    """
    with running_valkey() as valkey:
        # Nothing is saved meanwhile: the script of the first change after a save has written (PERSIST) before
        # it needs memory, and Redis lets a script go on that has written.
        settings = {**EXTERNAL, **module_databases, "FLUSH_INTERVAL_MS": "600000"}
        settings |= {"MAX_CONNECTIONS_PER_USER": "0"}
        with running_game({**settings, "REDIS_CONNECTION": valkey.url}) as server:
            client, totals = client_of(server, "full@example.com")
            async with client, AsyncExitStack() as stack:
                await client.request("session")
                await client.request("upgrade_buy", id=1)
                crowd = await crowded(stack, server)
                valkey.ask("CONFIG", "SET", "maxmemory", 1)
                waiting = [await client.send("cook", count=2) for _ in range(8)]
                async with asyncio.timeout(LIMIT_S):
                    while totals.errors["unavailable"] == 0:
                        await asyncio.wait(waiting, timeout=0.02)
                assert [future.result() for future in waiting if future.done()] == []
                readiness = (
                    await asyncio.to_thread(httpx.get, f"{server.url}/readyz", timeout=LIMIT_S)
                ).json()
                assert readiness["status"] == "degraded"
                assert readiness["redis"].startswith("full")
                await refused_by_the_hundred(server, crowd)
                valkey.ask("CONFIG", "SET", "maxmemory", 0)
                async with asyncio.timeout(LIMIT_S):
                    answers = await asyncio.gather(*waiting)
                assert [answer.code for answer in answers] == [""] * 8
                assert (await client.request("session"))["session"]["dishes"] == 16
                assert totals.closes.total() == 0


async def crowded(stack: AsyncExitStack, server: GameServer) -> list[Player]:
    """Connect many tabs of a player who may cook."""
    token = register(server)["access_token"]
    tabs = [await joined(stack, server, token) for _ in range(TABS)]
    await tabs[0].ask("upgrade_buy", id=1)
    return tabs


async def refused_by_the_hundred(server: GameServer, crowd: Sequence[Player]) -> None:
    """Have many clicks refused, and read the log: ten lines in ten seconds, and how many were left out."""
    requests = [(tab, await tab.send("cook")) for tab in crowd for _ in range(CLICKS)]
    answers = [await tab.answer(request) for tab, request in requests]
    assert {answer["data"]["code"] for answer in answers} == {"unavailable"}
    lines = [json.loads(line) for line in server.log.splitlines() if '"request_not_served"' in line]
    assert 0 < len(lines) < len(answers) / 5
    assert not [line for line in lines if "exception" in line]


async def test_a_redis_that_lost_its_last_second_goes_on_from_the_newer_of_both(
    module_databases: dict[str, str],
) -> None:
    """Its file is cut back to before a flush: what was saved comes from PostgreSQL, the rest is lost.

    The client sees higher versions all the same, and at its next connection that numbers are missing.
    """
    with fresh_folder("valkey") as folder:
        valkey = ValkeyServer(folder, options=["--appendfsync", "everysec"])
        valkey.start()
        try:
            settings = {**EXTERNAL, **module_databases, "REDIS_CONNECTION": valkey.url}
            with running_game({**settings, "FLUSH_INTERVAL_MS": "100"}) as server:
                client, totals = client_of(server, "fallen@example.com")
                async with client:
                    await client.request("session")
                    await client.request("upgrade_buy", id=1)
                    size = await asyncio.to_thread(size_on_disk, valkey)
                    kept = await client.request("cook", count=5)
                    await saved(client, kept["version"])
                    assert await asyncio.to_thread(server.stop) == 0
                    await asyncio.to_thread(valkey.kill)
                    cut_back(valkey.log_file, size)
                    await asyncio.to_thread(valkey.start)
                    await asyncio.to_thread(server.start)
                    async with asyncio.timeout(LIMIT_S):
                        after = await client.request("cook")
                    assert after["dishes"] == 6
                    assert after["version"] > kept["version"]
                    assert (totals.lost, totals.went_back) == (0, [])
        finally:
            valkey.kill()


async def test_a_client_can_tell_that_redis_lost_its_last_second(module_databases: dict[str, str]) -> None:
    """Neither Redis nor PostgreSQL has the last click: `last_seq` says so at the next connection."""
    with fresh_folder("valkey") as folder:
        valkey = ValkeyServer(folder, options=["--appendfsync", "everysec"])
        valkey.start()
        try:
            settings = {**EXTERNAL, **module_databases, "REDIS_CONNECTION": valkey.url}
            with running_game({**settings, "FLUSH_INTERVAL_MS": "600000"}) as server:
                client, totals = client_of(server, "robbed@example.com")
                async with client:
                    await client.request("session")
                    await client.request("upgrade_buy", id=1)
                    size = await asyncio.to_thread(size_on_disk, valkey)
                    lost = await client.request("cook", count=5)
                    await asyncio.to_thread(valkey.kill)
                    cut_back(valkey.log_file, size)
                    await asyncio.to_thread(valkey.start)
                    client.drop()
                    async with asyncio.timeout(LIMIT_S):
                        after = await client.request("cook")
                    assert after["dishes"] == 1
                    assert after["version"] > lost["version"]
                    assert totals.lost == 1
        finally:
            valkey.kill()


def size_on_disk(valkey: ValkeyServer) -> int:
    """Measure the file once it holds all that was written before: a busy disk lets Redis put that off."""
    with valkey.client() as client:
        client.set("on disk", "1")
        client.execute_command("WAITAOF", 1, 0, 0)
    return valkey.log_file.stat().st_size


def cut_back(file: Path, size: int) -> None:
    """Cut a file back, as the loss of a machine does whose disk had no more than that."""
    with file.open("r+b") as opened:
        opened.truncate(size)
