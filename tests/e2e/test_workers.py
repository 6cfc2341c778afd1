"""Several processes on one port, and who keeps them."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from typing import TYPE_CHECKING

import httpx
import psutil
import pytest

from tests.support.game_server import GameServer, running_game
from tests.support.limits import LIMIT_S
from tests.support.servers import fresh_folder

if TYPE_CHECKING:
    from collections.abc import Iterator

WORKERS = 3
LOOK_S = 0.1
"""To look for a worker is to look at every process of the machine."""

ACCOUNT = {"email": "cook@example.com", "password": "correct horse"}


@pytest.fixture
def game() -> Iterator[GameServer]:
    """A game of three workers that is ready in all of them."""
    with running_game({"WORKERS": str(WORKERS)}) as server:
        server.wait_for_log("workers_ready")
        yield server


@pytest.fixture(scope="module")
def lasting() -> Iterator[GameServer]:
    """The same for tests that leave it serving."""
    with running_game({"WORKERS": str(WORKERS)}) as server:
        server.wait_for_log("workers_ready")
        yield server


def workers(game: GameServer) -> dict[int, int]:
    """Return the processes of the workers by their index."""
    found = {}
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            environ = process.environ() if process.cwd() == str(game.folder) else {}
            if "WORKER_INDEX" in environ and process.status() != psutil.STATUS_ZOMBIE:
                found[int(environ["WORKER_INDEX"])] = process.pid
    return found


def wait_until_gone(pids: list[int]) -> None:
    """Wait until the processes have ended."""
    end_s = time.monotonic() + LIMIT_S
    while any(alive(pid) for pid in pids):
        assert time.monotonic() < end_s, f"still running: {pids}"
        time.sleep(0.02)


def alive(pid: int) -> bool:
    """Tell whether a process runs; one that only waits to be reaped does not."""
    with contextlib.suppress(psutil.Error):
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    return False


def test_all_workers_serve_one_port(lasting: GameServer) -> None:
    """What one worker wrote, each can read: fresh connections reach all of them."""
    assert workers(lasting).keys() == set(range(WORKERS))
    assert httpx.post(f"{lasting.url}/reg", json=ACCOUNT, timeout=LIMIT_S).status_code == 200

    for _ in range(10 * WORKERS):
        assert httpx.post(f"{lasting.url}/auth", json=ACCOUNT, timeout=LIMIT_S).status_code == 200

    for pid in workers(lasting).values():
        sockets = psutil.Process(pid).net_connections("tcp")
        listening = [each.laddr.port for each in sockets if each.status == psutil.CONN_LISTEN]
        assert listening == [lasting.port]


def test_a_worker_that_dies_is_started_again(lasting: GameServer) -> None:
    """A killed worker comes back under the same index while the others go on."""
    before = workers(lasting)

    os.kill(before[1], signal.SIGKILL)

    lasting.wait_for_log("worker_ended")
    lasting.wait_for_log("server_ready", WORKERS + 1)
    after = workers(lasting)
    assert after.keys() == before.keys()
    assert after[1] != before[1]
    assert (after[0], after[2]) == (before[0], before[2])


def test_a_worker_that_cannot_live_ends_the_server_with_a_reason(game: GameServer) -> None:
    """After five deaths in a row, each soon after its start, all are drained and one line says why."""
    kills = 0
    last = -1
    end_s = time.monotonic() + LIMIT_S
    while game.process is not None and game.process.poll() is None:
        assert time.monotonic() < end_s, game.log
        pid = workers(game).get(1, last)
        if pid != last:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
            kills, last = kills + 1, pid
        time.sleep(LOOK_S)

    assert game.wait_for_end() == 1
    assert game.log.splitlines()[-1].startswith("click-and-cook: worker 1 died 5 times")
    assert kills >= 5  # on a busy machine some may have lived longer
    assert game.log.count("drain_ended") == WORKERS - 1
    assert workers(game) == {}


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_to_the_supervisor_drains_all(game: GameServer, number: signal.Signals) -> None:
    """SIGTERM and Ctrl-C are passed on; the supervisor ends with 0 after the last worker."""
    left = list(workers(game).values())

    game.send(number)

    assert game.wait_for_end() == 0
    assert game.log.count("drain_ended") == WORKERS
    assert not any(map(alive, left))


def test_workers_end_with_a_killed_supervisor_and_a_new_one_takes_over(game: GameServer) -> None:
    """Without their supervisor the workers drain; a start at once gets the port and the data."""
    left = list(workers(game).values())

    game.kill()
    game.start()

    wait_until_gone(left)
    assert game.log.count("drain_ended") == WORKERS
    game.wait_for_log("workers_ready", 2)
    assert not set(left) & set(workers(game).values())
    game.wait_until_ready()


def test_a_port_that_another_game_has_is_refused() -> None:
    """Two games of one user never share a port, though the system would let them."""
    with running_game({"WORKERS": "2"}) as first, fresh_folder("second") as folder:
        second = GameServer(folder, {"WORKERS": "2"}, port=first.port)
        try:
            second.launch()
            assert second.wait_for_end() == 2
            assert f"PORT={first.port} cannot be used" in second.log.splitlines()[-1]
        finally:
            second.end_everything()
