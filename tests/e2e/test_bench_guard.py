"""The guard of the hot path: the bench in short, held against the floor measured beside it."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING, Final

import pytest

from tests.support.game_server import REPOSITORY
from tests.support.limits import LIMIT_S

if TYPE_CHECKING:
    from pathlib import Path

MOST_TIMES_THE_FLOOR: Final = 2.5
"""A ratio, so that a slow machine does no harm; about 1.3 to 1.7 is measured (docs/performance.md)."""
BENCH_LIMIT_S: Final = 5 * LIMIT_S


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, float]]:
    """The figures of one short run, by row."""
    written: Path = tmp_path_factory.mktemp("bench") / "bench.json"
    subprocess.run(
        [sys.executable, "-m", "scripts.bench", "--short", "--json", str(written)],
        check=True,
        cwd=REPOSITORY,
        timeout=BENCH_LIMIT_S,
    )
    found: dict[str, dict[str, float]] = json.loads(written.read_text())["clicks"]["found"]
    return found


@pytest.mark.parametrize("row", ["server", "server, client/seq"])
def test_a_click_costs_little_more_than_an_echo(rows: dict[str, dict[str, float]], row: str) -> None:
    """The server's CPU for a click stays below 2.5 times that of a bare echo of the same frame."""
    assert rows[row]["ratio"] < MOST_TIMES_THE_FLOOR
