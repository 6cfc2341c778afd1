"""One server goes and another stays: nobody loses a click, and an older release works beside a newer one."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import signal
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import asyncpg
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from persistence.live.scripts import load_scripts
from tests.support.game_server import REPOSITORY, GameServer, running_game
from tests.support.limits import LIMIT_S
from tests.support.players import EXTERNAL, Player, player
from tests.support.seeding import Seeded, seeded_player
from tests.support.servers import ValkeyServer, fresh_folder, running_valkey

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

USERS = 50
TABS = 4
DRAIN_S = 4
CLICK_EVERY_S = 0.4


@dataclass(slots=True)
class Tab:
    """A client as protocol.md wants it: numbers its clicks, and resends elsewhere what was not answered."""

    owner: Seeded
    name: str
    seq: int = 0
    codes: list[int] = field(default_factory=list)
    began: asyncio.Event = field(default_factory=asyncio.Event)

    async def play(self, servers: list[GameServer], stop: asyncio.Event) -> None:
        """Click until told to stop, on the first server and then on the next one."""
        for server in servers:
            async with connect(
                server.websocket_url, open_timeout=LIMIT_S, ping_timeout=None, compression=None
            ) as socket:
                each = Player(socket, self.owner.token)
                try:
                    while True:
                        answer = await each.ask("cook", client=self.name, seq=self.seq + 1)
                        assert "code" not in answer, answer
                        self.seq += 1
                        self.began.set()
                        if stop.is_set():
                            return
                        await asyncio.sleep(CLICK_EVERY_S)
                except ConnectionClosed as closed:
                    self.codes.append(closed.rcvd.code if closed.rcvd else 1006)


@pytest.fixture
def valkey() -> Iterator[ValkeyServer]:
    """A Valkey to look into."""
    with running_valkey() as server:
        yield server


@pytest.fixture
def settings(valkey: ValkeyServer, module_databases: dict[str, str]) -> dict[str, str]:
    """What the servers run with."""
    return {
        **EXTERNAL,
        **module_databases,
        "REDIS_CONNECTION": valkey.url,
        "DRAIN_S": str(DRAIN_S),
    }


async def test_two_hundred_connections_move_to_the_other_server(
    settings: dict[str, str], valkey: ValkeyServer
) -> None:
    """SIGTERM under load: all are closed with 1001, the exit code is 0, every click counts once."""
    with running_game(settings) as leaving, running_game(settings) as staying:
        owners = [await seeded_player(settings["DB_CONNECTION"]) for _ in range(USERS)]
        tabs = [Tab(owner, f"tab{index}") for owner in owners for index in range(TABS)]
        stop = asyncio.Event()
        playing = [asyncio.create_task(tab.play([leaving, staying], stop)) for tab in tabs]
        async with asyncio.timeout(LIMIT_S):
            await asyncio.gather(*(tab.began.wait() for tab in tabs))
        leaving.send(signal.SIGTERM)
        assert await asyncio.to_thread(leaving.wait_for_end) == 0
        stop.set()
        await asyncio.gather(*playing)
        assert [tab.codes for tab in tabs] == [[1001]] * len(tabs)
        for owner in owners:
            clicks = sum(tab.seq for tab in tabs if tab.owner is owner)
            assert int(owner.fields(valkey, "dishes")[0]) == clicks


@pytest.fixture
def newer_release() -> Iterator[Path]:
    """A copy of the code with other scripts and one more migration."""
    with fresh_folder("release") as folder:
        folder.chmod(0o711)
        for name in ("game", "runtime", "server", "persistence", "seeds", "scripts"):
            shutil.copytree(REPOSITORY / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        lua = folder / "persistence" / "live" / "lua"
        for script in lua.glob("*.lua"):
            script.write_text(script.read_text() + "\n-- of the newer release\n")
        migrations = folder / "persistence" / "durable" / "migrations"
        (migrations / "9999_newer.sql").write_text(
            "ALTER TABLE sessions ADD COLUMN mood text NOT NULL DEFAULT 'fine';"
            " CREATE TABLE moods (name text PRIMARY KEY);"
        )
        yield folder


async def test_two_releases_serve_one_player(
    settings: dict[str, str], valkey: ValkeyServer, postgres_dsn: str, newer_release: Path
) -> None:
    """Scripts of two SHAs on one Redis, two ideas of one schema: totals are exact, both save."""
    old_settings = {**settings, "DB_CONNECTION": postgres_dsn}
    new_settings = {**old_settings, "PYTHONPATH": str(newer_release)}
    with running_game(old_settings) as old:
        anna = await seeded_player(postgres_dsn)
        async with player(old, anna.token) as before:
            await before.ask("session")
            with running_game(new_settings) as new:
                async with player(new, anna.token) as after:
                    await after.ask("session")
                    for _ in range(10):
                        await before.ask("cook", count=2)
                        await after.ask("cook", count=3)
                    assert (await before.ask("cook"))["dishes"] == 51
                    assert (await after.push("cook"))["applied"] == 2
                    bought = await after.ask("session_reset")
                    assert bought["code"] == "not_enough_prestige"
                    cached = int(valkey.facts("INFO memory")["number_of_cached_scripts"])
                    # Each release has scripts of its own; one more, `return 1`, tries a start's rights.
                    assert cached == 2 * len(load_scripts()) + 1
                    await saved(before)
                    assert await column(postgres_dsn, anna, "mood") == "fine"
            assert (await before.ask("cook"))["dishes"] == 52
            await saved(before)
            assert await column(postgres_dsn, anna, "dishes") == 52


async def saved(each: Player) -> None:
    """Wait until PostgreSQL has the present state."""
    async with asyncio.timeout(LIMIT_S):
        while True:
            answer = await each.ask("session")
            if answer["saved_version"] == answer["version"]:
                return


async def column(dsn: str, owner: Seeded, name: str) -> object:
    """Read one column of a player's row."""
    async with contextlib.AsyncExitStack() as stack:
        connection = await asyncpg.connect(dsn)
        stack.push_async_callback(connection.close)
        value: object = await connection.fetchval(
            f"SELECT {name} FROM sessions WHERE user_id = $1",  # noqa: S608 - of this test
            owner.user_id,
        )
        return value
