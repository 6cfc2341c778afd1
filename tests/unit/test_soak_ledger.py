"""What the players of soak and chaos compare at the end: clicks that were lost, or counted twice."""

from __future__ import annotations

from collections import Counter

import pytest

from scripts.soak.ledger import Difference, Ledger

COOKS, SELLS = 10, 4
DISHES, MONEY = COOKS - SELLS, SELLS


def ledger(*, unanswered: int = 0) -> Ledger:
    """Ten cooks and four sells that were answered, and some cooks that never were."""
    return Ledger(Counter(cook=COOKS + unanswered, sell=SELLS), Counter(cook=COOKS, sell=SELLS))


@pytest.mark.parametrize(
    ("dishes", "money", "found"),
    [
        pytest.param(DISHES, MONEY, Difference(0, 0), id="each once"),
        pytest.param(DISHES - 1, MONEY, Difference(1, 0), id="a cook lost"),
        pytest.param(DISHES + 1, MONEY, Difference(0, 1), id="a cook doubled"),
        pytest.param(DISHES + 1, MONEY - 1, Difference(1, 0), id="a sell lost"),
        pytest.param(DISHES - 1, MONEY + 1, Difference(0, 1), id="a sell doubled"),
        pytest.param(DISHES - 3, MONEY + 2, Difference(1, 2), id="a cook lost, two sells doubled"),
        pytest.param(0, 0, Difference(COOKS + SELLS, 0), id="all lost"),
    ],
)
def test_it_finds_what_was_lost_and_what_counted_twice(dishes: int, money: int, found: Difference) -> None:
    """What the server has is what was answered, exactly."""
    assert found == ledger().against(dishes, money)


def test_where_redis_may_lose_more_may_be_stored_than_was_answered_but_not_more_than_was_sent() -> None:
    """A click that was refused at last may have counted; one that was never sent cannot."""
    sent_more = ledger(unanswered=2)
    assert Difference(0, 0) == sent_more.against(DISHES + 2, MONEY, may_lose=True)
    assert Difference(0, 1) == sent_more.against(DISHES + 3, MONEY, may_lose=True)
    assert Difference(0, 2) == sent_more.against(DISHES + 2, MONEY)
    assert Difference(1, 0) == sent_more.against(DISHES - 1, MONEY, may_lose=True)
