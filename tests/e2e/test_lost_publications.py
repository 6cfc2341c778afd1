"""What a process missed while its connection to Redis was lost: its players are sent the present state."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

import pytest

from tests.support.game_server import GameServer, running_game
from tests.support.players import EXTERNAL, player
from tests.support.seeding import seeded_player
from tests.support.servers import ValkeyServer, running_valkey

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def valkey() -> Iterator[ValkeyServer]:
    """A Valkey that the test may interfere with."""
    with running_valkey() as server:
        yield server


@pytest.fixture
def pair(valkey: ValkeyServer, module_databases: dict[str, str]) -> Iterator[tuple[GameServer, GameServer]]:
    """Two servers over the same databases."""
    settings = {**EXTERNAL, **module_databases, "REDIS_CONNECTION": valkey.url}
    with running_game(settings) as first, running_game(settings) as second:
        yield first, second


def listening(valkey: ValkeyServer) -> set[str]:
    """The connections that are subscribed to something."""
    with valkey.client() as client:
        return {found["id"] for found in client.client_list(_type="pubsub")}


async def test_what_was_missed_comes_as_the_present_state(
    pair: tuple[GameServer, GameServer], valkey: ValkeyServer, module_databases: dict[str, str]
) -> None:
    """A server that lost its connection missed clicks; back, it sends a `session` unasked."""
    here, away = pair
    anna = await seeded_player(module_databases["DB_CONNECTION"])
    idle = await seeded_player(module_databases["DB_CONNECTION"])
    async with player(here, anna.token) as clicker:
        await clicker.ask("session")
        before = listening(valkey)
        async with player(away, anna.token) as listener, player(away, idle.token) as other:
            await listener.ask("session")
            await other.ask("session")
            [lost] = listening(valkey) - before
            away.send(signal.SIGSTOP)
            try:
                valkey.ask("CLIENT", "KILL", "ID", lost)
                cooked = await clicker.ask("cook", count=42)
            finally:
                away.send(signal.SIGCONT)
            told = await listener.push("session")
            assert told["session"]["dishes"] == 42
            assert told["version"] >= cooked["version"]  # an achievement may have come since
            # Subscribed again, it hears the next change as before; who missed nothing was sent nothing.
            again = await clicker.ask("cook")
            assert await listener.push("cook") == again
            assert (await other.ask("level_check"))["current_rank"] == 0
            assert [message["request_type"] for message in other.pushes] == []
