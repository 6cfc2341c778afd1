"""Starting and stopping as an operator does."""

from __future__ import annotations

import json
import os
import signal
import stat
import time
from typing import TYPE_CHECKING

import httpx
import psutil
import pytest

from tests.support.game_server import POLL_S, GameServer, running_game
from tests.support.limits import LIMIT_S
from tests.support.servers import fresh_folder

if TYPE_CHECKING:
    from collections.abc import Iterator

ACCOUNT = {"email": "cook@example.com", "password": "correct horse"}


@pytest.fixture
def game() -> Iterator[GameServer]:
    """A game that is not started yet."""
    with fresh_folder("game") as folder:
        server = GameServer(folder, from_scratch=True)
        try:
            yield server
        finally:
            server.end_everything()


def refusal(game: GameServer) -> str:
    """Start what must be refused, and return the one line that it says."""
    game.launch()
    assert game.wait_for_end() == 2
    lines = [line for line in game.log.splitlines() if not line.startswith("{")]
    assert len(lines) == 1, game.log
    return lines[0]


def databases(game: GameServer) -> dict[str, int]:
    """Return the numbers of the embedded servers that run on the game's data: of each the oldest process."""
    found: dict[str, int] = {}
    running = psutil.process_iter(["cwd", "name", "create_time"])
    for process in sorted(running, key=lambda each: each.info["create_time"] or 0.0):
        cwd = process.info["cwd"]
        for name in ("valkey", "postgres"):
            if cwd == str(game.folder / "data" / name) and (game.folder / "data" / name).exists():
                found.setdefault(name, process.pid)
    return found


def wait_until_well(game: GameServer) -> None:
    """Wait until all parts of a server are well."""
    end_s = time.monotonic() + LIMIT_S
    while (said := httpx.get(f"{game.url}/readyz", timeout=LIMIT_S).json())["status"] != "ok":
        assert time.monotonic() < end_s, said
        time.sleep(POLL_S)


def test_it_starts_and_a_stop_leaves_nothing(game: GameServer) -> None:
    """Once installed it becomes ready, the first time and the next; SIGTERM ends all of it with code 0."""
    for _ in range(2):
        game.start()
        wait_until_well(game)
        assert databases(game).keys() == {"valkey", "postgres"}

        assert game.stop() == 0
        assert databases(game) == {}


@pytest.fixture
def _terminal() -> Iterator[None]:
    """Stand in a terminal that may close, also where the tests run under nohup."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, before)


@pytest.mark.usefixtures("_terminal")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGHUP])
def test_other_ways_to_stop_drain_too(game: GameServer, number: signal.Signals) -> None:
    """Ctrl-C and a closed terminal end the server in order, as SIGTERM does."""
    game.start()

    game.send(number)

    assert game.wait_for_end() == 0
    assert databases(game) == {}


def test_accounts_and_tokens_outlive_a_restart(game: GameServer) -> None:
    """A log-in made before a stop, or before a kill, is good after the next start: the secrets are kept."""
    game.start()
    token = httpx.post(f"{game.url}/reg", json=ACCOUNT, timeout=LIMIT_S).json()["tokens"]["refresh_token"]
    for end in (game.stop, game.kill):
        end()
        game.start()
        answer = httpx.post(
            f"{game.url}/refresh", headers={"Authorization": f"Bearer {token}"}, timeout=LIMIT_S
        )
        assert answer.status_code == 200, answer.text
        token = answer.json()["tokens"]["refresh_token"]
    assert game.stop() == 0
    assert stat.S_IMODE((game.folder / "data" / "access_token_secret").stat().st_mode) == 0o600


def test_databases_of_a_killed_server_are_adopted(game: GameServer) -> None:
    """The start after a kill goes on with the databases that still run, and stops them in the end."""
    game.start()
    game.kill()
    left = databases(game)
    assert left.keys() == {"valkey", "postgres"}

    game.start()

    assert databases(game) == left
    assert game.stop() == 0
    assert databases(game) == {}


def test_a_killed_database_comes_back(game: GameServer) -> None:
    """The server starts an embedded database again that dies, and serves on without a restart."""
    game.start()
    for count, number in enumerate(databases(game).values(), 1):
        os.kill(number, signal.SIGKILL)
        game.wait_for_log("embedded_server_restarted", count)

    wait_until_well(game)
    assert httpx.post(f"{game.url}/reg", json=ACCOUNT, timeout=LIMIT_S).status_code == 200
    assert game.stop() == 0


def test_a_second_server_on_the_same_data_is_refused(game: GameServer) -> None:
    """The line names the folder and the process that has it; the first plays on."""
    game.start()
    assert game.process is not None
    second = GameServer(game.folder / "second", {"DATA_DIR": str(game.folder / "data")}, from_scratch=True)
    second.folder.mkdir()

    line = refusal(second)

    assert line.startswith(
        f"click-and-cook: DATA_DIR={game.folder}/data is in use by process {game.process.pid}: "
    )
    assert httpx.get(f"{game.url}/readyz", timeout=LIMIT_S).status_code == 200


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"PORT": "http"}, "PORT makes no sense"),
        ({"DB_CONNECTION": "postgresql://nobody@127.0.0.1:1/x"}, "ACCESS_TOKEN_SECRET is missing"),
        ({"HOST": "192.0.2.1"}, "HOST=192.0.2.1"),
        ({"HOST": "192.0.2.1", "WORKERS": "2"}, "HOST=192.0.2.1"),
        ({"DATA_DIR": "/dev/null/data"}, "DATA_DIR=/dev/null/data cannot be used"),
    ],
)
def test_what_makes_no_sense_is_refused_in_one_line(
    game: GameServer, settings: dict[str, str], text: str
) -> None:
    """One line that names the variable, code 2, no trace, and nothing left running."""
    game.settings = settings

    line = refusal(game)

    assert line.startswith(f"click-and-cook: {text}")
    assert databases(game) == {}


def test_unreachable_databases_are_refused_after_a_short_wait(game: GameServer) -> None:
    """The wait is logged; one line names the variable, not the password; of three workers one tells it."""
    secrets = {"ACCESS_TOKEN_SECRET": "a" * 32, "REFRESH_TOKEN_SECRET": "r" * 32}
    addresses = {
        "DB_CONNECTION": "postgresql://cook:pepper@127.0.0.1:1/game",
        "REDIS_CONNECTION": "redis://:pepper@127.0.0.1:1",
    }
    refused = []
    for variable, address in addresses.items():
        workers = {"WORKERS": "3"} if variable == "REDIS_CONNECTION" else {}
        server = GameServer(
            game.folder / variable, secrets | workers | {variable: address}, from_scratch=True
        )
        server.folder.mkdir()
        server.launch()  # both at once: each waits for ten seconds
        refused.append((variable, server))
    for variable, server in refused:
        assert server.wait_for_end() == 2
        assert server.log.count(f"click-and-cook: {variable}") == 1
        assert "database_unavailable" in server.log
        assert "pepper" not in server.log


def test_a_taken_port_is_refused(game: GameServer) -> None:
    """A second server, on data of its own, cannot have the first one's port."""
    game.start()
    with fresh_folder("second") as folder:
        second = GameServer(folder, port=game.port, from_scratch=True)
        try:
            assert refusal(second).startswith(f"click-and-cook: HOST=127.0.0.1 PORT={game.port}")
        finally:
            second.end_everything()


def test_dot_env_is_read(game: GameServer) -> None:
    """A `.env` in the working folder fills in what the environment does not say."""
    (game.folder / ".env").write_text("ALLOWED_ORIGINS=https://play.example\nPORT=1\n")
    game.start()

    answer = httpx.get(f"{game.url}/healthz", headers={"Origin": "https://play.example"}, timeout=LIMIT_S)

    assert answer.headers["access-control-allow-origin"] == "https://play.example"


def test_json_logs_are_json_to_the_last_line() -> None:
    """With LOG_FORMAT=json each line of a whole life is an object with an event and a level."""
    with running_game({"LOG_LEVEL": "debug"}) as game:
        httpx.post(f"{game.url}/reg", json=ACCOUNT, timeout=LIMIT_S)
        game.stop()
        for line in game.log.splitlines():
            assert {"event", "level", "timestamp"} <= json.loads(line).keys()
        assert ACCOUNT["email"] not in game.log
        assert ACCOUNT["password"] not in game.log
