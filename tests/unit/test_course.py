"""A course: what a session's income makes of it, second by second, and when it may be computed at all."""

from __future__ import annotations

from typing import Final

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from game.accrual import PROMISE_MS, Amounts, after, flow_of
from game.achievements import Counter
from game.catalogue import BoostType
from game.course import Course
from game.rates import Rates
from server.protocol.results import computed

NOW_MS: Final = 1_764_000_000_000
COUNTERS: Final = dict.fromkeys(Counter, 0.0)


def course(amounts: Amounts, *, version: int = NOW_MS, joined_ms: int = PROMISE_MS, **sums: float) -> Course:
    """Make a course that was paid up to NOW_MS."""
    rates = Rates(dict.fromkeys(BoostType, 0.0) | {BoostType(key): sums[key] for key in sums}, 1, 100, 100)
    return Course(
        version=version,
        accrued_at_ms=NOW_MS,
        joined_until_ms=NOW_MS + joined_ms,
        amounts=amounts,
        flow=flow_of(rates, 0) if rates.passive else None,
        counters=COUNTERS | {Counter.COOKED: amounts.cooked, Counter.EARNED: amounts.earned},
    )


@given(
    dishes=st.integers(0, 50) | st.just(2**53 - 40) | st.just(10**18),
    dps=st.sampled_from([0, 100, 250, 700]),
    mps=st.sampled_from([0, 35, 1000]),
    sps=st.sampled_from([0, 100, 600]),
    steps=st.lists(st.integers(0, 300), min_size=1, max_size=12),
)
def test_steps_come_to_what_one_sum_comes_to(
    dishes: int, dps: int, mps: int, sps: int, steps: list[int]
) -> None:
    """In whatever order seconds are asked for, the amounts are those of one sum, to the last digit."""
    amounts = Amounts(2.0**53 - 900, float(dishes), 7.0, 5.0, 3.0, 2.0)
    watched = course(amounts, dPs=dps, mPs=mps, sPs=sps)
    for seconds in steps:
        flow = watched.flow
        assert watched.shown(seconds) == (amounts if flow is None else after(amounts, flow, seconds)).shown


@pytest.mark.parametrize(
    ("at_ms", "version", "joined_ms", "may"),
    [
        (1000, NOW_MS, PROMISE_MS, True),
        (PROMISE_MS, NOW_MS, PROMISE_MS, True),
        (PROMISE_MS + 1, NOW_MS, PROMISE_MS, False),  # the promise is over
        (1000, NOW_MS + 30_000, PROMISE_MS, True),  # ahead of the clock, but its promise says so
        (1000, NOW_MS, -2 * NOW_MS - 5000, False),  # of a click ahead of the clock
    ],
)
def test_what_may_be_computed(at_ms: int, version: int, joined_ms: int, *, may: bool) -> None:
    """Within the promise, where that lets processes compute."""
    watched = course(Amounts(0, 0, 0, 0, 0, 0), version=version, joined_ms=joined_ms, dPs=100)
    assert watched.may_compute(NOW_MS + at_ms) is may


def test_a_clock_that_ran_back_is_noticed() -> None:
    """Ten seconds are nothing; more, and the session's time is to be set again."""
    watched = course(Amounts(0, 0, 0, 0, 0, 0), dPs=100)
    assert not watched.ran_back(NOW_MS - 10_000)
    assert watched.ran_back(NOW_MS - 10_001)


def test_income_gets_to_the_threshold_of_an_achievement() -> None:
    """The thousandth dish is news, the thousand and first is none."""
    watched = course(Amounts(0, 0, 0, 0, 995.0, 0), dPs=100)
    assert [watched.reaches(seconds) for seconds in (4, 5)] == [False, True]
    assert not course(Amounts(0, 0, 0, 0, 1000.0, 0), dPs=100).reaches(6)


@given(
    amounts=st.tuples(*[st.integers(0, 2**53) | st.sampled_from([10**14 - 1, 10**14, 10**17, 10**300])] * 4)
)
def test_a_computed_push_has_every_digit(amounts: tuple[int, int, int, int]) -> None:
    """Whole amounts are written whole, xp and stars with their decimals."""
    money, dishes, xp, accumulated = (one if one < 2**53 else float(one) for one in amounts)
    written = orjson.loads(computed(NOW_MS, 3, (money, dishes, xp, accumulated)))["data"]
    assert written == {
        "money": money,
        "dishes": dishes,
        "level_rank": 3,
        "level_xp": xp / 100,
        "prestige_accumulated": accumulated / 10_000,
        "version": NOW_MS,
    }
