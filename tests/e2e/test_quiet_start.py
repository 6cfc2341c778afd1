"""What a person reads of a start, and how a start ends that waits."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from typing import TYPE_CHECKING

import httpx
import pytest

from tests.support.game_server import REPOSITORY, GameServer
from tests.support.limits import LIMIT_S
from tests.support.servers import fresh_folder

if TYPE_CHECKING:
    from collections.abc import Iterator

COMMAND_LIMIT_S = 120.0
OWN_SECRETS = {"ACCESS_TOKEN_SECRET": "a" * 32, "REFRESH_TOKEN_SECRET": "r" * 32}
DEAD = {
    "DB_CONNECTION": "postgresql://cook@127.0.0.1:1/game",
    "REDIS_CONNECTION": "redis://127.0.0.1:1",
}


@pytest.fixture
def game() -> Iterator[GameServer]:
    """A game that is not started yet."""
    with fresh_folder("quiet") as folder:
        folder.chmod(0o711)
        server = GameServer(folder, from_scratch=True)
        try:
            yield server
        finally:
            server.end_everything()


def answer_of(game: GameServer, command: str, log_format: str) -> list[str]:
    """Run a command of operators on the game's data, and return all lines that it writes."""
    chosen = {"DATA_DIR": str(game.folder / "data"), "LOG_FORMAT": log_format}
    said = subprocess.run(
        [sys.executable, "-m", command],
        cwd=game.folder,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(REPOSITORY), **chosen},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=COMMAND_LIMIT_S,
        check=True,
    )
    return said.stdout.splitlines()


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_person_reads_one_line_with_the_address(game: GameServer, workers: str) -> None:
    """At the end of a start the console holds one line: what to open, on which addresses it listens."""
    game.settings = {"LOG_FORMAT": "console", "WORKERS": workers}
    game.start()
    game.wait_for_log("_ready ")

    [line] = game.log.splitlines()

    assert f"address={game.url} " in line
    assert f"listens_on=127.0.0.1:{game.port}" in line
    assert httpx.get(f"{game.url}/healthz", timeout=LIMIT_S).status_code == 200
    assert game.stop() == 0
    assert all("drain_" in line for line in game.log.splitlines()[1:])


def test_commands_print_their_answer_alone(game: GameServer) -> None:
    """`scripts.restore`, `flush` and `audit` write one line, however many connections they open for it."""
    game.start()
    for log_format in ("console", "json"):
        for command, answer in (("restore", "loaded 0"), ("flush", "wrote 0"), ("audit", "0 sessions")):
            [line] = answer_of(game, f"scripts.{command}", log_format)
            assert line.startswith(answer)


def test_a_taken_port_is_found_before_databases_are_started(game: GameServer) -> None:
    """A start that cannot have its port makes no DATA_DIR, whether it serves itself or supervises."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        game.port = taken.getsockname()[1]
        for workers in ("1", "2"):
            game.settings = {"WORKERS": workers}
            game.launch()
            assert game.wait_for_end() == 2
    said = f"click-and-cook: HOST=127.0.0.1 PORT={game.port} cannot be used: "
    assert [line.startswith(said) for line in game.log.splitlines()] == [True, True]
    assert not (game.folder / "data").exists()


@pytest.mark.parametrize(
    ("workers", "variable", "number"),
    [
        ("1", "DB_CONNECTION", signal.SIGTERM),
        ("1", "REDIS_CONNECTION", signal.SIGINT),
        ("2", "REDIS_CONNECTION", signal.SIGTERM),
    ],
)
def test_a_stop_ends_a_start_that_waits(
    game: GameServer, workers: str, variable: str, number: signal.Signals
) -> None:
    """SIGTERM and Ctrl-C end the wait for a database, which would otherwise end with a refusal (code 2)."""
    game.settings = {**OWN_SECRETS, "WORKERS": workers, variable: DEAD[variable]}
    game.launch()
    game.wait_for_log("database_unavailable")

    game.send(number)

    assert game.wait_for_end() == 130
    assert "click-and-cook: " not in game.log


def test_a_stop_ends_a_flusher_that_waits(game: GameServer) -> None:
    """So does `python -m persistence.flusher` while Redis accepts connections but does not answer."""
    with socket.create_server(("127.0.0.1", 0)) as mute:
        mute.settimeout(COMMAND_LIMIT_S)
        connections = {**DEAD, "REDIS_CONNECTION": f"redis://127.0.0.1:{mute.getsockname()[1]}"}
        waiting = subprocess.Popen(
            [sys.executable, "-m", "persistence.flusher"],
            cwd=game.folder,
            env={"PATH": os.environ["PATH"], "PYTHONPATH": str(REPOSITORY), **connections},
            stderr=subprocess.PIPE,
        )
        try:
            accepted, _ = mute.accept()
            with accepted:
                waiting.send_signal(signal.SIGTERM)
                _, said = waiting.communicate(timeout=COMMAND_LIMIT_S)
        finally:
            waiting.kill()
            waiting.wait()
    assert waiting.returncode == 130
    assert said == b""
