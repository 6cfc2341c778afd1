"""What docs/operations.md tells operators to do, done: back-up, restore, and the way to a cluster."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING, Any

import pytest
import redis

from tests.support.commands import run_command
from tests.support.game_server import running_game
from tests.support.limits import LIMIT_S
from tests.support.players import EXTERNAL, player, register
from tests.support.servers import POSTGRES_PROGRAMS, cluster_url, running_cluster, running_valkey

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping
    from pathlib import Path

    from tests.support.game_server import GameServer


def _script(settings: Mapping[str, str], name: str, *words: str, code: int = 0) -> str:
    """Run a command with a game's settings; fails with its words where it ends with another code."""
    done = run_command(f"scripts.{name}", *words, environment={**os.environ, **settings})
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout


def _run(*words: str) -> None:
    done = subprocess.run(words, capture_output=True, text=True, timeout=LIMIT_S, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def _dump(settings: Mapping[str, str], file: Path) -> None:
    program = str(POSTGRES_PROGRAMS / "pg_dump")
    _run(program, "--format=custom", f"--file={file}", settings["DB_CONNECTION"])


def _load_dump(settings: Mapping[str, str], file: Path) -> None:
    program = str(POSTGRES_PROGRAMS / "pg_restore")
    _run(program, "--clean", "--if-exists", f"--dbname={settings['DB_CONNECTION']}", str(file))


async def _cooked(server: GameServer, token: str, times: int) -> dict[str, Any]:
    """Play a while; return the session as it is then, with its version."""
    async with player(server, token) as anna:
        opened = await anna.ask("session")
        if not opened["session"]["upgrades"]["current"]:
            await anna.ask("upgrade_buy", id=1)
        if times:
            await anna.ask("cook", count=times)
        shown = await anna.ask("session")
    return {"session": shown["session"], "version": shown["version"]}


@pytest.fixture
async def settings(postgres_dsn: str) -> AsyncIterator[dict[str, str]]:
    """Settings over databases of the test's own."""
    with running_valkey() as valkey:
        yield {
            **EXTERNAL,
            "DB_CONNECTION": postgres_dsn,
            "REDIS_CONNECTION": valkey.url,
            "VALKEY": valkey.url,
        }


async def test_a_restored_back_up_is_the_game_as_it_was_saved(
    settings: dict[str, str], tmp_path: Path
) -> None:
    """After the documented restore everybody is where the dump had them, and Redis agrees with PostgreSQL."""
    with running_game(settings) as server:
        token = register(server)["access_token"]
        saved = await _cooked(server, token, 100)
        _script(settings, "flush")
        _dump(settings, tmp_path / "cook.dump")
        await _cooked(server, token, 50)
    _load_dump(settings, tmp_path / "cook.dump")
    _empty_redis(settings)
    _script(settings, "restore", "--active-since", "24h")
    _script(settings, "audit", "--max-lag-s", "0")
    with running_game(settings) as server:
        again = await _cooked(server, token, 0)
    assert again["session"] == saved["session"]


async def test_sessions_survive_the_loss_of_postgresql(settings: dict[str, str], tmp_path: Path) -> None:
    """With an old dump restored and Redis left as it is, what was played since is written again."""
    with running_game(settings) as server:
        token = register(server)["access_token"]
        await _cooked(server, token, 100)
        _script(settings, "flush")
        _dump(settings, tmp_path / "cook.dump")
        newest = await _cooked(server, token, 50)
    _load_dump(settings, tmp_path / "cook.dump")
    _script(settings, "audit", "--repair", code=1)  # it found what it repairs
    _script(settings, "flush")
    _script(settings, "audit", "--max-lag-s", "0")
    _empty_redis(settings)
    with running_game(settings) as server:
        again = await _cooked(server, token, 0)
    assert again["session"] == newest["session"]


async def test_a_game_moves_to_a_cluster_without_losing_a_session(settings: dict[str, str]) -> None:
    """Stop, flush, audit, restore into the cluster, start: each player has the same state."""
    with running_game(settings) as server:
        tokens = [register(server)["access_token"] for _ in range(5)]
        before = [await _cooked(server, token, 10 + index) for index, token in enumerate(tokens)]
    _script(settings, "flush")
    _script(settings, "audit", "--max-lag-s", "0")
    with running_cluster() as nodes:
        moved = {**settings, "REDIS_CONNECTION": cluster_url(nodes)}
        _script(moved, "restore", "--active-since", "24h")
        _script(moved, "audit", "--max-lag-s", "0")
        with running_game(moved) as server:
            after = [await _cooked(server, token, 0) for token in tokens]
    assert [one["session"] for one in after] == [one["session"] for one in before]
    assert all(new["version"] >= old["version"] for new, old in zip(after, before, strict=True))


def _empty_redis(settings: Mapping[str, str]) -> None:
    with redis.Redis.from_url(settings["REDIS_CONNECTION"]) as client:
        client.flushall()
