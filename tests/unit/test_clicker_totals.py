"""What clients count, and the percentiles of their waits."""

from __future__ import annotations

import pytest

from clients.python.clickcook import (
    Account,
    Client,
    Connect,
    Disconnected,
    Heard,
    Lost,
    MemoryStore,
    Send,
    Settle,
)
from scripts.clicker.answered import Answered, Sent
from scripts.clicker.totals import Totals, Waits
from scripts.clicker.watch import Watch


def test_percentiles_are_within_a_step_above_the_exact_ones() -> None:
    """Steps grow by a twelfth: no percentile comes out too small, none more than that too large."""
    waits = Waits()
    for milliseconds in range(1, 1001):
        waits.add(milliseconds / 1000)
    for percent in (50, 95, 99):
        exact_s = percent / 100
        assert exact_s <= waits.percentile_s(percent) <= exact_s * 2 ** (1 / 8)
    assert waits.percentile_s(100) == 1.0
    assert waits.longest_s == 1.0


def test_without_waits_every_percentile_is_zero() -> None:
    """A table drawn before the first answer shows noughts."""
    assert Waits().percentile_s(99) == 0


@pytest.mark.parametrize(
    ("data", "code", "clicks"),
    [
        ({"applied": 3}, "", 3),
        ({"applied": 0, "duplicate": True}, "", 7),
        ({"code": "no_dish"}, "no_dish", 0),
    ],
)
def test_clicks_are_those_that_were_applied(data: dict[str, object], code: str, clicks: int) -> None:
    """A duplicate was applied before, when its answer was lost; an error applied nothing."""
    totals = Totals()
    totals.settle(Answered(Sent("cook", {"count": 7}, 1, 0.0, 1), data, code), 1.0)
    assert totals.clicks == clicks
    assert totals.answered.longest_s == 1.0


def test_a_watch_counts_what_a_client_does() -> None:
    """Frames, repeats, answers with the wait since the first frame, refusals, closes, silences, losses."""
    now_s = [0.0]
    totals, answers = Totals(), list[Answered]()
    client = Client(Account("http://127.0.0.1", MemoryStore()))
    watch = Watch(client, totals, lambda: now_s[0], answers.append)
    data = {"token": "t", "client": "tab", "seq": 3}
    for event in (
        Send("1", "session", {}, None, 1),
        Send("2", "cook", data, "call", 1),
        Heard({"request_type": "error", "data": {"code": "rate_limited"}}),
        Disconnected(1006, is_silent=True),
        Connect(),
        Send("3", "cook", data, "call", 2),
        Lost(2),
    ):
        watch.hear(event)
    now_s[0] = 4.0
    watch.hear(Settle("call", "cook", {"applied": 1}))
    watch.hear(Settle(None, "session", {}))
    assert (totals.sent, totals.resent, totals.settled, totals.clicks, totals.lost) == (3, 1, 1, 1, 2)
    assert (totals.errors, totals.closes) == ({"rate_limited": 1}, {1006: 1})
    assert (totals.timeouts, totals.reconnects, totals.answered.longest_s) == (1, 1, 4.0)
    assert [(one.sent.seq, one.sent.times_sent, one.code) for one in answers] == [(3, 2, "")]


def test_versions_that_go_backwards_are_named() -> None:
    """On one connection they may only grow; another one begins at the first again."""
    totals = Totals()
    client = Client(Account("http://127.0.0.1", MemoryStore()))
    watch = Watch(client, totals, lambda: 0.0)
    for version in (5, 4, 6):
        watch.hear(Heard({"request_type": "cook", "data": {"version": version}}))
    watch.hear(Connect())
    watch.hear(Heard({"request_type": "cook", "data": {"version": 1}}))
    assert totals.went_back == [f"{client.name}: cook of 4 after 5"]
