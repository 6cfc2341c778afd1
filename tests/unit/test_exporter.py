"""Figures as text: families, merging, what the workers tell each other."""

from __future__ import annotations

import asyncio
import os
import socket
from functools import partial
from typing import TYPE_CHECKING, Any, cast

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from server.http.account_routes import account_routes
from server.http.people_routes import Features, people_routes
from server.observability.build import add_build
from server.observability.exporter import text_in_passes
from server.observability.exposition import merged
from server.observability.folder import workers_folder
from server.observability.metric_families import MetricFamilies
from server.observability.metrics import LATENCY_BUCKETS_S, Durations, RequestMetrics
from server.observability.siblings import Siblings
from server.observability.traffic import ROUTES
from tests.support.servers import fresh_folder

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    import pytest
    from prometheus_client.metrics_core import Metric


class _Made:
    def __init__(self, families: MetricFamilies) -> None:
        self._families = families

    def collect(self) -> Iterable[Metric]:
        return self._families.made


def text_of(families: MetricFamilies) -> str:
    """Write families as Prometheus reads them."""
    registry = CollectorRegistry()
    registry.register(_Made(families))
    return generate_latest(registry).decode()


def samples(text: bytes) -> Iterator[tuple[str, dict[str, str], float]]:
    """Read all samples of a text as another party does."""
    for family in text_string_to_metric_families(text.decode()):
        for sample in family.samples:
            yield sample.name, sample.labels, sample.value


def test_samples_name_their_worker() -> None:
    """Each sample carries the project's prefix, its labels and the worker; a counter ends in _total."""
    families = MetricFamilies("3")
    families.gauge("users", "Players.", 2)
    families.counters("requests", "Requests.", ("type", "result"), {("cook", "ok"): 5})

    assert text_of(families).splitlines() == [
        "# HELP clickcook_users Players.",
        "# TYPE clickcook_users gauge",
        'clickcook_users{worker="3"} 2.0',
        "# HELP clickcook_requests_total Requests.",
        "# TYPE clickcook_requests_total counter",
        'clickcook_requests_total{result="ok",type="cook",worker="3"} 5.0',
    ]


def test_durations_are_cumulative_buckets() -> None:
    """A time counts in the first bucket whose bound it does not exceed and in all above it."""
    durations = Durations()
    for seconds in (0.0005, 0.003, 0.003, 9.0):
        durations.observe(seconds)
    families = MetricFamilies("0")
    families.durations("wait_seconds", "Waits.", (), {(): (durations.counts, durations.sum_s)})

    found = {labels.get("le", name): value for name, labels, value in samples(text_of(families).encode())}

    assert (found["0.0005"], found["0.002"], found["0.005"], found["2.5"], found["+Inf"]) == (1, 1, 3, 3, 4)
    assert found["clickcook_wait_seconds_count"] == 4
    assert found["clickcook_wait_seconds_sum"] == 9.0065
    assert len(durations.counts) == len(LATENCY_BUCKETS_S) + 1


def test_faults_are_looked_for_on_every_route() -> None:
    """A route's first fault is an increase: each route of an account has a figure before it is used."""
    nobody = cast("Any", None)
    features = Features(guests=True, guest_ttl_days=90, mail=True)

    routes = (*account_routes(nobody), *people_routes(nobody, nobody, nobody, features))
    assert {route.path for route in routes} <= set(ROUTES)


def test_close_codes_that_a_peer_makes_up_are_one() -> None:
    """Any code may come from a peer; those without a meaning of ours are counted together."""
    metrics = RequestMetrics()
    for code in (1000, 4000, 4999, 3000, 4999):
        metrics.count_close(code)

    assert metrics.closes == {"1000": 1, "4000": 1, "other": 3}


def test_texts_of_workers_become_one() -> None:
    """Each family stands once, with the samples of all; one that a single worker has is kept."""
    first = b'# HELP a_total A.\n# TYPE a_total counter\na_total{worker="0"} 1.0\n'
    second = (
        b'# HELP b B # HELP c.\n# TYPE b gauge\nb{worker="1"} 3.0\n'
        b'# HELP a_total A.\n# TYPE a_total counter\na_total{worker="1"} 2.0\n'
    )

    assert merged([first, second]) == (
        b'# HELP a_total A.\n# TYPE a_total counter\na_total{worker="0"} 1.0\na_total{worker="1"} 2.0\n'
        b'# HELP b B # HELP c.\n# TYPE b gauge\nb{worker="1"} 3.0\n'
    )
    assert merged([]) == b""


async def test_a_process_shows_its_build_and_itself() -> None:
    """There are the build's versions and the process' own memory."""
    families = MetricFamilies("0")
    await add_build(families, "f00d")
    text = text_of(families).encode()
    found = {name: (labels, value) for name, labels, value in samples(text)}

    assert found["process_resident_memory_bytes"][1] > 1e6
    assert set(found["clickcook_build_info"][0]) == {"python", "version", "worker"}


async def test_the_text_is_written_one_family_in_a_pass() -> None:
    """What is ready to run meanwhile waits for one family, never for all; the text is the same."""
    families = MetricFamilies("0")
    for number in range(20):
        families.gauge(f"gauge{number}", "A gauge.", number)
    passes = 0

    async def count_passes() -> None:
        nonlocal passes
        while True:
            passes += 1
            await asyncio.sleep(0)

    counting = asyncio.ensure_future(count_passes())
    text = await text_in_passes(families.made)
    counting.cancel()
    assert passes >= len(families.made)
    assert text.decode() == text_of(families)


def test_only_abandoned_folders_are_removed() -> None:
    """What killed workers left is removed by the next supervisor; the living and the young keep theirs."""
    with workers_folder() as left, workers_folder() as living, workers_folder() as young:
        with socket.socket(socket.AF_UNIX) as gone:
            gone.bind(str(left / "0.sock"))
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(str(living / "0.sock"))
            listener.listen()
            for folder in (left, living):
                os.utime(folder, (0, 0))

            with workers_folder() as made:
                assert made.stat().st_mode & 0o077 == 0
                assert not left.exists()
                assert living.exists()
                assert young.exists()
        assert not made.exists()


async def _says(text: bytes) -> bytes:
    return text


async def test_workers_ask_each_other() -> None:
    """Each learns what the others say; one that is gone, or never was, says None."""
    with fresh_folder("figures") as folder:
        workers = [Siblings(folder, index, 4, partial(_says, b"%d" % index)) for index in range(3)]
        for worker in workers:
            await worker.start()
        await workers[1].stop()

        assert await workers[0].ask() == {1: None, 2: b"2", 3: None}
        assert await workers[2].ask() == {0: b"0", 1: None, 3: None}

        await workers[0].stop()
        await workers[2].stop()
        assert not folder.exists()


async def test_a_worker_that_was_killed_is_followed_by_another(tmp_path: Path) -> None:
    """The socket that a killed worker left is taken over; only this user may enter the folder."""
    with fresh_folder("figures") as parent:
        folder = parent / "workers"
        folder.mkdir()
        killed = await asyncio.start_unix_server(lambda _r, _w: None, folder / "0.sock")
        folder.chmod(0o700)
        killed.close()

        first, second = (Siblings(folder, i, 2, lambda: _says(b"alive")) for i in (0, 1))
        await first.start()
        await second.start()

        assert await second.ask() == {0: b"alive"}
        assert folder.stat().st_mode & 0o077 == 0
        await first.stop()
        await second.stop()


async def test_a_stalled_worker_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker that does not answer in time is down; the others' figures are shown all the same."""
    monkeypatch.setattr("server.observability.siblings._ANSWER_WITHIN_S", 0.05)
    never = asyncio.Event()

    async def stalls() -> bytes:
        await never.wait()
        return b""

    with fresh_folder("figures") as folder:
        asking, stalled = Siblings(folder, 0, 2, lambda: _says(b"")), Siblings(folder, 1, 2, stalls)
        await asking.start()
        await stalled.start()

        assert await asking.ask() == {1: None}
        never.set()
        await asking.stop()
        await stalled.stop()
