"""What the desk shows first: figures from the text of /metrics, and what is wrong by name."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from server.desk.figures import GONE_FOR_S, Figures
from server.desk.points import Backlog
from server.desk.servers import Answer, Servers
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
    game = Game(redis)
    for text in texts:
        game.look(text)
    return game.figures.shown()


class Game:
    """A desk that looks when a test says so, every five seconds of its clock."""

    def __init__(self, redis: str = "ok") -> None:
        async def render() -> bytes:
            return b""

        self.now_s = 0.0
        self.counted = Backlog()
        self.figures = Figures(
            render,
            lambda: Readiness(Condition.OK, {"redis": redis}),
            Servers(()),
            self.count,
            clock=lambda: self.now_s,
        )

    async def count(self) -> Backlog:
        """Count the backlog where no server does."""
        return self.counted

    def look(self, text: str, *answers: Answer) -> dict[str, Any]:
        """Look once, and return what the page gets."""
        self.now_s += 5
        asyncio.run(self.figures.take(text.encode(), answers))
        return self.figures.shown()


def test_the_backlog_is_that_of_the_flushers() -> None:
    """How many sessions wait, and the oldest of them."""
    [point] = shown(BEFORE + BACKLOG, BEFORE + BACKLOG)["points"]
    assert (point["backlog"], point["backlog_age_s"]) == (7, 2.5)


def test_without_a_flusher_here_the_desk_counts_the_backlog() -> None:
    """With FLUSHER=off another process saves; where nobody can count, nothing is said."""
    game = Game()
    game.look(BEFORE)
    [point] = game.look(BEFORE)["points"]
    assert (point["backlog"], point["backlog_age_s"]) == (None, None)
    game.counted = Backlog(3, 31.0)
    said = game.look(BEFORE)
    assert (said["points"][-1]["backlog"], said["points"][-1]["backlog_age_s"]) == (3, 31.0)
    assert said["troubles"] == [{"name": "backlog_late", "detail": "31 s"}]
    assert game.look(BEFORE + BACKLOG)["points"][-1]["backlog"] == 7


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


def process(number: int, clicks: float = 0, worker: int = 0, *, up: bool = True) -> str:
    """Write what one process says: that it is up, its id, and how many clicks it counted."""
    text = BEFORE + gauge("users", 1) + counter("requests", 'type="cook",result="ok",', clicks)
    text = text if up else text.replace('worker_up{worker="0"} 1.0', 'worker_up{worker="0"} 0.0')
    info = f'\n# HELP i I.\n# TYPE i gauge\nclickcook_process_info{{process="{number:02x}",worker="0"}} 1.0\n'
    return (text + info).replace('worker="0"', f'worker="{worker}"')


def other(name: str, number: int, clicks: float = 0, **parts: str) -> Answer:
    """Make the answer of another server."""
    return Answer(name, process(number, clicks).encode(), "ok", parts)


def test_all_servers_are_added_up() -> None:
    """Players and clicks of every server; each process names its server, this one by its address as well."""
    game = Game()
    game.look(process(1, 100), other("a:1", 1), other("b:1", 2, 1000))
    shown = game.look(process(1, 150), other("a:1", 1), other("b:1", 2, 1100))

    [point] = shown["points"]
    assert (point["users"], point["clicks"]) == (2, 30)
    assert [(each["server"], each["clicks"]) for each in shown["processes"]] == [("a:1", 10), ("b:1", 20)]
    assert [each["name"] for each in shown["servers"]] == ["a:1", "b:1"]
    assert shown["troubles"] == []


def test_a_server_at_two_addresses_counts_once() -> None:
    """Its processes say the same id at each, and so do those of this server."""
    game = Game()
    looks = (other("a:1", 1), other("b:1", 2), other("b:2", 2))
    game.look(process(1), *looks)
    assert game.look(process(1), *looks)["points"][-1]["users"] == 2


def test_alone_a_server_has_no_name() -> None:
    """Where no other is known, the page says of nothing on which server it is."""
    game = Game()
    game.look(process(1), other("a:1", 1))
    shown = game.look(process(1, up=False), other("a:1", 1))
    assert "server" not in shown["processes"][0]
    assert shown["troubles"] == [{"name": "worker_down", "detail": "0"}]


def test_a_server_that_stops_is_away_and_then_disappears() -> None:
    """Away for as long as it is listed, and for five minutes after; what it counted never comes at once."""
    game = Game()
    both = other("a:1", 1), other("b:1", 2, 1000)
    game.look(process(1), *both)
    gone = game.look(process(1), other("a:1", 1), Answer("b:1"))
    away = [{"name": "server_away", "detail": "b:1"}]
    assert (gone["troubles"], gone["points"][-1]["users"]) == (away, 1)
    assert [(each["server"], each["up"]) for each in gone["processes"]] == [("a:1", True), ("b:1", False)]
    back = game.look(process(1), *both)
    assert (back["troubles"], back["points"][-1]["clicks"]) == ([], 0)
    assert game.look(process(1), other("a:1", 1))["troubles"] == away
    game.now_s += GONE_FOR_S
    assert game.look(process(1), other("a:1", 1), Answer("never:1"))["troubles"][0]["detail"] == "never:1"
    assert game.look(process(1), other("a:1", 1))["troubles"] == []


def test_what_is_wrong_names_the_servers() -> None:
    """Once for all of them, with each one's words."""
    game = Game("MISCONF")
    looks = other("b:1", 2, redis="MISCONF"), other("c:1", 3, redis="OOM"), other("d:1", 4)
    game.look(process(1), *looks)
    assert game.look(process(1), *looks)["troubles"] == [
        {"name": "redis_refuses", "detail": "MISCONF, OOM", "servers": ["", "b:1", "c:1"]}
    ]


def test_a_worker_that_hung_does_not_count_everything_at_once() -> None:
    """While it hangs it says nothing; once it answers again it counts from there on."""
    game = Game()
    silent = gauge("worker_up", 0).replace('worker="0"', 'worker="1"')
    quiet, loud = process(1, 10), process(2, 5000, worker=1)

    def both(worker: str) -> str:
        families = (
            family for text in (quiet, worker) for family in text.split("\n# HELP ") if family.strip()
        )
        return "".join(f"\n# HELP {family}" for family in families)

    game.look(both(loud))
    game.look(both(silent))
    assert game.look(both(loud))["points"][-1]["clicks"] == 0
