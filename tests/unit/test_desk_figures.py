"""What the desk shows first: figures from the text of /metrics, and what is wrong by name."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from server.desk.figures import Figures
from server.http.service_routes import Condition, Readiness

BEFORE = """
# HELP clickcook_worker_up Whether it answers.
# TYPE clickcook_worker_up gauge
clickcook_worker_up{worker="0"} 1.0
# HELP clickcook_redis_up Whether it is up.
# TYPE clickcook_redis_up gauge
clickcook_redis_up{worker="0"} 1.0
# HELP clickcook_postgresql_up Whether it is up.
# TYPE clickcook_postgresql_up gauge
clickcook_postgresql_up{worker="0"} 1.0
"""
BACKLOG = """
# HELP clickcook_dirty_sessions Waiting.
# TYPE clickcook_dirty_sessions gauge
clickcook_dirty_sessions{worker="0"} 7.0
# HELP clickcook_dirty_oldest_age_seconds Waiting for.
# TYPE clickcook_dirty_oldest_age_seconds gauge
clickcook_dirty_oldest_age_seconds{worker="0"} 2.5
"""


def counter(name: str, labels: str, value: float) -> str:
    """Write a counter as /metrics does."""
    return (
        f"\n# HELP clickcook_{name} Counted.\n# TYPE clickcook_{name} counter\n"
        f'clickcook_{name}_total{{{labels}worker="0"}} {value}\n'
    )


def gauge(name: str, value: float) -> str:
    """Write a gauge as /metrics does."""
    return (
        f"\n# HELP clickcook_{name} Measured.\n# TYPE clickcook_{name} gauge\n"
        f'clickcook_{name}{{worker="0"}} {value}\n'
    )


def shown(*texts: str, redis: str = "ok") -> dict[str, Any]:
    """Look once for each text, and return what the page gets."""

    async def render() -> bytes:
        return b""

    figures = Figures(render, lambda: Readiness(Condition.OK, {"redis": redis}))

    async def look() -> None:
        for text in texts:
            await figures.take(text.encode())

    asyncio.run(look())
    return figures.shown()


def test_the_backlog_is_that_of_the_flushers() -> None:
    """How many sessions wait, and the oldest of them."""
    [point] = shown(BEFORE + BACKLOG, BEFORE + BACKLOG)["points"]
    assert (point["backlog"], point["backlog_age_s"]) == (7, 2.5)


def test_without_a_flusher_here_the_backlog_is_unknown() -> None:
    """With FLUSHER=off it is counted by another process: nothing is said, and not that nobody waits."""
    [point] = shown(BEFORE, BEFORE)["points"]
    assert (point["backlog"], point["backlog_age_s"]) == (None, None)


@pytest.mark.parametrize(
    ("name", "after"),
    [
        ("worker_down", gauge("worker_up", 0)),
        ("redis_away", gauge("redis_up", 0)),
        ("redis_not_durable", gauge("redis_durability_risks", 2)),
        ("postgresql_away", gauge("postgresql_up", 0)),
        ("backlog_late", gauge("dirty_oldest_age_seconds", 31)),
        ("flush_failing", gauge("flush_failing", 1)),
        ("quarantined", counter("flushed_sessions", 'result="set_aside",', 1)),
        ("requests_unavailable", counter("requests", 'type="cook",result="unavailable",', 3)),
        ("requests_failed", counter("requests", 'type="cook",result="failed",', 3)),
        ("log_lost", counter("log_lines_lost", "", 5)),
        ("mails_failing", counter("mails", 'result="failed",', 1)),
        ("connections_refused", counter("limits_hit", 'limit="connections",', 9)),
    ],
)
def test_what_is_wrong_has_a_name(name: str, after: str) -> None:
    """One thing goes wrong between two looks: it is named, and nothing else is."""
    _, *families = BEFORE.split("\n# HELP ")
    _, changed = after.split("\n# HELP ")
    others = [family for family in families if family.split()[:1] != changed.split()[:1]]
    after_it = "".join(f"\n# HELP {family}" for family in (*others, changed))
    assert [each["name"] for each in shown(BEFORE, after_it)["troubles"]] == [name]


def test_a_redis_that_refuses_is_named_in_its_own_words() -> None:
    """It answers, so it is not away; why it refuses is what /readyz says."""
    assert shown(BEFORE, BEFORE, redis="MISCONF: no more disk")["troubles"] == [
        {"name": "redis_refuses", "detail": "MISCONF: no more disk"}
    ]
