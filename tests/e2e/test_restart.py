"""What a restart, a crash or an emptied Redis may not change: the state of every player."""

from __future__ import annotations

import asyncio
import random
import signal
from typing import Any

import httpx
from websockets.exceptions import ConnectionClosed

from tests.support.game_server import GameServer, running_game
from tests.support.limits import LIMIT_S
from tests.support.players import EXTERNAL, Player, player, register
from tests.support.servers import ValkeyServer, fresh_folder, running_valkey

PLAYERS = 5


async def play_a_little(server: GameServer, tokens: list[str]) -> None:
    """Give every player a state of their own."""
    draw = random.Random(7)
    for token in tokens:
        async with player(server, token) as anna:
            await anna.ask("session", client="tab")
            await anna.ask("upgrade_buy", id=1)
            for seq in range(1, 10):
                kind = draw.choice(("cook", "sell"))
                await anna.ask("cook", count=draw.randint(1, 100))
                await anna.ask(kind, count=draw.randint(1, 50), client="tab", seq=seq)
            await anna.ask("level_up")


async def states(server: GameServer, tokens: list[str]) -> list[dict[str, Any]]:
    """Read every player's session; what is known to be saved may differ.

    So may the version: an achievement may be recorded a moment after the play that earned it.
    """
    found = []
    for token in tokens:
        async with player(server, token) as anna:
            state = await anna.ask("session", client="tab")
            del state["saved_version"], state["version"]
            found.append(state)
    return found


async def test_notice_of_a_drain_is_given_while_players_play_on(module_databases: dict[str, str]) -> None:
    """SIGTERM: `/readyz` is 503 at once; for DRAIN_NOTICE_S players stay, and others come."""
    with running_game({**EXTERNAL, **module_databases, "DRAIN_NOTICE_S": "600"}) as server:
        token = register(server)["access_token"]
        async with player(server, token) as anna, asyncio.timeout(LIMIT_S):
            await anna.ask("session")
            server.send(signal.SIGTERM)
            async with httpx.AsyncClient(base_url=server.url, timeout=LIMIT_S) as client:
                while (await client.get("/readyz")).status_code != httpx.codes.SERVICE_UNAVAILABLE:
                    pass
            await anna.ask("upgrade_buy", id=1)
            async with player(server, token) as tablet:
                assert (await tablet.ask("session"))["session"]["upgrades"]
        server.kill()


async def test_embedded_databases_keep_every_state_over_stop_crash_and_start() -> None:
    """SIGTERM, kill -9 and start again: every field of every player is as it was."""
    with running_game({**EXTERNAL}) as server:
        tokens = [register(server)["access_token"] for _ in range(PLAYERS)]
        await play_a_little(server, tokens)
        before = await states(server, tokens)
        assert server.stop() == 0
        server.start()
        assert await states(server, tokens) == before
        server.kill()
        server.start()
        assert await states(server, tokens) == before


async def test_an_emptied_redis_is_filled_from_postgresql(module_databases: dict[str, str]) -> None:
    """After a stop PostgreSQL has everything: with an empty Redis every player finds the same state."""
    databases = {"DB_CONNECTION": module_databases["DB_CONNECTION"]}
    with running_valkey() as valkey:
        settings = {**EXTERNAL, **databases, "REDIS_CONNECTION": valkey.url}
        with running_game(settings) as server:
            tokens = [register(server)["access_token"] for _ in range(PLAYERS)]
            await play_a_little(server, tokens)
            before = await states(server, tokens)
            assert server.stop() == 0
            valkey.ask("FLUSHALL")
            server.start()
            assert await states(server, tokens) == before


async def test_redis_emptied_under_a_connected_player(module_databases: dict[str, str]) -> None:
    """The next request of a connected client is answered from PostgreSQL's last version."""
    with running_valkey() as valkey:
        settings = {**EXTERNAL, **module_databases, "REDIS_CONNECTION": valkey.url}
        with running_game(settings) as server:
            async with player(server) as anna:
                await anna.ask("session")
                await anna.ask("upgrade_buy", id=1)
                cooked = await anna.ask("cook", count=7)
                await saved(anna, cooked["version"])
                valkey.ask("FLUSHALL")
                async with asyncio.timeout(LIMIT_S):
                    after = await anna.ask("cook")
                assert (after["dishes"], after["applied"]) == (8, 1)
                assert after["version"] > cooked["version"]


async def test_redis_killed_and_back_under_connected_players(module_databases: dict[str, str]) -> None:
    """Clients stay connected, get `unavailable`, and play on once it is back; nothing answered is lost."""
    with fresh_folder("valkey") as folder:
        valkey = ValkeyServer(folder)
        valkey.start()
        try:
            settings = {**EXTERNAL, **module_databases, "REDIS_CONNECTION": valkey.url}
            with running_game(settings) as server:
                async with player(server) as anna:
                    await anna.ask("session")
                    await anna.ask("upgrade_buy", id=1)
                    cooked = await anna.ask("cook", count=7)
                    valkey.kill()
                    refused = await anna.ask("cook", client="tab", seq=1)
                    assert refused["code"] == "unavailable"
                    assert refused["retry_after_ms"] > 0
                    await until_readiness(server, 503)
                    valkey.start()
                    async with asyncio.timeout(LIMIT_S):
                        after = await resent(anna)
                    assert after["dishes"] == cooked["dishes"] + 1
                    await until_readiness(server, 200)
        finally:
            valkey.kill()


async def test_a_drain_answers_what_is_in_flight_and_closes_with_1001(game: GameServer) -> None:
    """SIGTERM: requests on their way are answered, connections close with 1001, the exit code is 0."""
    async with player(game) as anna:
        await anna.ask("session")
        await anna.ask("upgrade_buy", id=1)
        for _ in range(20):
            await anna.send("cook")
        code = asyncio.create_task(asyncio.to_thread(game.stop))
        answered = 0
        try:
            while True:
                answered += (await anna.receive())["request_type"] == "cook"
        except ConnectionClosed as closed:
            assert closed.rcvd is not None  # noqa: PT017 - the loop above ends no other way
            assert closed.rcvd.code == 1001  # noqa: PT017 - as above
        assert await code == 0
        game.start()
        async with player(game, anna.token) as again:
            assert (await again.ask("session"))["session"]["dishes"] == answered


async def until_readiness(server: GameServer, status: int) -> None:
    """Ask /readyz until it answers with a status."""
    async with asyncio.timeout(LIMIT_S), httpx.AsyncClient(base_url=server.url, timeout=LIMIT_S) as client:
        while (await client.get("/readyz")).status_code != status:  # noqa: ASYNC110 - it happens in another process
            await asyncio.sleep(0.05)


async def resent(anna: Player) -> dict[str, Any]:
    """Send the same numbered cook until it is answered by more than an error."""
    while True:
        answer = await anna.ask("cook", client="tab", seq=1)
        if "code" not in answer:
            return answer


async def saved(anna: Player, version: int) -> None:
    """Wait until PostgreSQL has a version."""
    async with asyncio.timeout(LIMIT_S):
        while True:
            if (await anna.ask("session"))["saved_version"] >= version:
                return
            await asyncio.sleep(0.05)
