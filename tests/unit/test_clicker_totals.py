"""What clients count, and the percentiles of their waits."""

from __future__ import annotations

import pytest

from scripts.clicker.totals import Totals, Waits
from scripts.clicker.window import Answer, Window


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
async def test_clicks_are_those_that_were_applied(data: dict[str, object], code: str, clicks: int) -> None:
    """A duplicate was applied before, when its answer was lost; an error applied nothing."""
    totals = Totals()
    pending = Window("tab").add("cook", {"count": 7}, 0.0)
    totals.settle(pending, Answer("cook", data, code), 1.0)
    assert totals.clicks == clicks
