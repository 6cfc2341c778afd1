"""The high-frequency client against a real server: a sensible game, its book, its exit codes."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from typing import TYPE_CHECKING

import orjson
import pytest

from clients.python.clickcook import Changed, connect
from clients.python.clickcook.state import merge
from scripts.clicker.book import read_book
from scripts.clicker.player import Player
from scripts.ports import free_port
from tests.support.game_server import REPOSITORY, GameServer
from tests.support.limits import LIMIT_S
from tests.support.players import PASSWORD

if TYPE_CHECKING:
    from pathlib import Path


async def test_the_player_plays_a_sensible_game(game: GameServer) -> None:
    """At 1,000 clicks a second upgrades are bought and ranks gained within seconds."""
    stop = asyncio.Event()
    client = connect(game.url, email="sensible@example.com", password=PASSWORD)

    def heard(event: object) -> None:
        state = client.state
        if not isinstance(event, Changed) or state is None:
            return
        if state.rank >= 3 and sum(state.owned.values()) >= 5:
            stop.set()

    async with client:
        client.subscribe(heard)
        player = Player(client, clicks_per_second=1000, most_count=100)
        async with asyncio.timeout(LIMIT_S):
            await player.play(stop)
        known = client.state
        told = merge(None, "session", await client.request("session"))
    assert known is not None
    assert told is not None
    assert (known.money, known.dishes, known.xp, known.owned) == (
        told.money,
        told.dishes,
        told.xp,
        told.owned,
    )


def test_the_command_plays_and_writes_its_book(game: GameServer, tmp_path: Path) -> None:
    """Plain lines without a terminal, exit code 0, and every answered request in the book."""
    book = tmp_path / "book.jsonl"
    for seconds in ("3", "20", "60"):  # longer where the machine was too busy for a game
        command = [sys.executable, "-m", "scripts.clicker", "--url", game.url, "--users", "3", "--cps", "40"]
        command += ["--for", seconds, "--no-buy", "--book", str(book)]
        ended = subprocess.run(
            command, cwd=REPOSITORY, capture_output=True, text=True, timeout=2 * LIMIT_S, check=False
        )
        assert (ended.returncode, ended.stderr) == (0, "")
        assert "users 3, clicks/s" in ended.stdout
        assert "lost 0" in ended.stdout
        entries = list(read_book(book))
        clicks = sum(entry.answered.get("applied", 0) for entry in entries)
        if clicks > 100 and len({entry.player for entry in entries}) == 3:
            break
    assert len({entry.player for entry in entries}) == 3
    assert clicks > 100
    assert all(orjson.loads(line)[0].startswith("clicker-") for line in book.read_bytes().splitlines())


def test_the_command_fails_where_no_account_can_be_had(game: GameServer) -> None:
    """Exit code 2 and the server's reason."""
    command = [sys.executable, "-m", "scripts.clicker", "--url", game.url, "--email", "nobody", "--for", "5"]
    ended = subprocess.run(
        command, cwd=REPOSITORY, capture_output=True, text=True, timeout=LIMIT_S, check=False
    )
    assert ended.returncode == 2
    assert "mail" in ended.stdout


@pytest.mark.parametrize("address", ["http://127.0.0.1:{}", "http://nobody.invalid:{}", "127.0.0.1:{}"])
def test_the_command_says_at_once_that_nobody_answers(address: str) -> None:
    """A dead port, an unknown host, an address without a scheme: one line with the reason, exit code 2."""
    url = address.format(free_port())
    command = [sys.executable, "-m", "scripts.clicker", "--url", url, "--for", "600"]
    ended = subprocess.run(
        command, cwd=REPOSITORY, capture_output=True, text=True, timeout=LIMIT_S, check=False
    )
    assert (ended.returncode, ended.stderr) == (2, "")
    assert ended.stdout.startswith(f"nobody answers at {url}: ")
    assert ended.stdout.count("\n") == 1
