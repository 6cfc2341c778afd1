"""What the soak calls growth: a line that rises past its bound after the warm-up, and nothing else."""

from __future__ import annotations

import random
import socket

import psutil
import pytest

from scripts.soak.growth import FILES_BOUND, MEMORY_BOUND_MIB, growths
from scripts.soak.stage import BACKENDS, POSTGRES, Sample, files_kept


def samples(*, memory_mib_a_minute: float = 0.0, files_a_minute: float = 0.0) -> list[Sample]:
    """Half an hour of figures that settle in the first five minutes, tremble, and grow as told."""
    chance = random.Random(1)
    found = []
    for step in range(360):
        minutes = step / 12
        settling = 20 * max(0.0, 1 - minutes / 5)
        memory = 50 - settling + memory_mib_a_minute * minutes + chance.uniform(-1, 1)
        files = round(40 + files_a_minute * minutes + chance.uniform(-5, 5))
        found.append(
            Sample(minutes * 60, {"worker 0": memory, POSTGRES: memory}, {"worker 0": files, BACKENDS: 20})
        )
    return found


def test_what_settles_and_trembles_is_flat() -> None:
    """A warm-up and noise are no growth."""
    assert all(grown.is_flat for grown in growths(samples()))


@pytest.mark.parametrize(
    ("figures", "growing"),
    [
        (samples(memory_mib_a_minute=0.5), {("worker 0", "MiB")}),
        (samples(memory_mib_a_minute=1.2), {("worker 0", "MiB"), (POSTGRES, "MiB")}),
        (samples(files_a_minute=2), {("worker 0", "files")}),
    ],
)
def test_a_slow_leak_is_found_by_name(figures: list[Sample], growing: set[tuple[str, str]]) -> None:
    """Half a MiB or two files a minute is growth; the line says from where to where."""
    found = growths(figures)
    assert {(grown.name, grown.unit) for grown in found if not grown.is_flat} == growing


def test_the_line_tells_how_much() -> None:
    """A rise of a file a minute over the last twenty of thirty minutes is twenty files, within the noise."""
    (worker,) = [grown for grown in growths(samples(files_a_minute=1)) if grown.name == "worker 0"][1:]
    assert 18 < worker.rise < 22
    assert FILES_BOUND < worker.bound < 30
    assert MEMORY_BOUND_MIB < growths(samples())[0].bound < 2 * MEMORY_BOUND_MIB


def test_a_client_is_no_file_of_its_server_until_it_has_gone() -> None:
    """One that is connected is left out; a socket that the server keeps after it has gone is not."""
    process = psutil.Process()
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        before = files_kept(process, port)
        client = socket.create_connection(("127.0.0.1", port), 5)
        served, _ = listening.accept()
        with served:
            with client:
                assert files_kept(process, port) == before + 1  # the client's own end
            assert served.recv(1) == b""
            assert files_kept(process, port) == before + 1
        assert files_kept(process, port) == before
