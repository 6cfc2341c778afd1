"""Passive income of many seconds at once equals the loop over seconds."""

from __future__ import annotations

import itertools
from typing import Final

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from game.accrual import accrue
from game.catalogue import BoostType
from game.idle import Kitchen, income
from game.rates import Rates
from game.session import Session, UserId
from tests.support.looped import Gains, Staff, jumped, looped

EXACT: Final = 2**53
BEYOND: Final = 1e-12


def kitchen_of(staff: Staff) -> Kitchen:
    """Return the model's view of the same staff."""
    return Kitchen(
        cooked=float(staff.cooked),
        portion=float(staff.portion),
        sale_hundredths=float(staff.mps),
        multiplier_hundredths=float(staff.mpm or 100),
        factor_tenths=float(staff.boost or 10),
    )


def paid(staff: Staff, dishes: int, seconds: int) -> Gains:
    """Return what the model pays a session without money, through everything that accruing does."""
    session = Session(UserId(1), version=1, accrued_at_ms=0, dishes=float(dishes), boost=float(staff.boost))
    sums = dict.fromkeys(BoostType, 0.0)
    for kind in (
        BoostType.SALES_PER_SELL,
        BoostType.DISHES_PER_SECOND,
        BoostType.MONEY_PER_SECOND,
        BoostType.PASSIVE_DISH_MULTIPLIER,
        BoostType.PASSIVE_MONEY_MULTIPLIER,
    ):
        sums[kind] = float(getattr(staff, kind.value.lower()))
    rates = Rates(sums, cook_gain=0.0, click_xp=0.0, need=0.0 if staff.last_rank else 100.0)
    accrue(session, rates, seconds * 1000 + 999, seconds).apply(session)
    assert session.earned == session.money
    return Gains(
        int(session.dishes),
        int(session.money),
        int(session.xp),
        int(session.accumulated),
        int(session.cooked),
    )


def assert_near(expected: Gains, found: Gains, dishes: int) -> None:
    """Hold sums against exact ones: equal while all is below 2^53, within 1e-12 of the greatest beyond."""
    for name in ("money", "dishes", "xp", "stars", "cooked"):
        exact, computed = getattr(expected, name), getattr(found, name)
        greatest = max(exact, dishes)
        if greatest < EXACT:
            assert exact == computed, name
        else:
            assert abs(exact - computed) <= BEYOND * greatest, name


def test_every_small_kitchen_equals_the_loop() -> None:
    """Portions, cooking and dishes up to 7, 8 and 15: after each of 24 seconds the sum is the loop's."""
    for portion, cooked, dishes in itertools.product(range(1, 8), range(9), range(16)):
        staff = Staff(sps=100 * (portion - 1), dps=100 * cooked, mps=130, mpm=110, boost=17)
        gains = Gains(dishes)
        kitchen = kitchen_of(staff)
        for seconds in range(25):
            found = income(float(seconds), float(dishes), kitchen)
            assert (gains.money, gains.dishes) == (found.money, found.dishes), (staff, dishes, seconds)
            # 1.3 money a second brings 7 hundredths of xp a sell, and cooking 20 for each dish.
            assert gains.xp - 20 * cooked * seconds == 7 * found.sells
            after = looped(staff, gains.dishes, 1)
            gains = Gains(after.dishes, gains.money + after.money, gains.xp + after.xp)


@pytest.mark.parametrize("seconds", [1_000, 28_800, 9_999_991])
def test_every_small_kitchen_settles(seconds: int) -> None:
    """Whatever the kitchen, the runs that settle and the cycle that is multiplied are long enough."""
    for portion, cooked, dishes in itertools.product(range(1, 13), range(13), range(31)):
        staff = Staff(sps=100 * (portion - 1), dps=100 * cooked, mps=130, mpm=110, boost=17)
        expected = jumped(staff, dishes, seconds)
        found = income(float(seconds), float(dishes), kitchen_of(staff))
        assert (expected.money, expected.dishes) == (found.money, found.dishes), (staff, dishes)


def test_the_leaping_reference_equals_the_loop() -> None:
    """What the millions are held against is itself held against the plain loop."""
    for portion, cooked, dishes in itertools.product(
        (1, 2, 3, 4, 7, 30), (0, 1, 2, 3, 6, 31), (0, 2, 3, 29, 400)
    ):
        staff = Staff(sps=100 * (portion - 1), dps=100 * cooked, mps=250, boost=12)
        for seconds in (0, 1, 2, 7, 50, 233):
            assert looped(staff, dishes, seconds) == jumped(staff, dishes, seconds)


staffs = st.builds(
    Staff,
    sps=st.integers(0, 60).map(lambda whole: whole * 100) | st.integers(0, 10**7),
    dps=st.integers(0, 900) | st.integers(0, 10**7),
    mps=st.integers(0, 900) | st.integers(0, 10**9),
    dpm=st.just(0) | st.integers(1, 100_000),
    mpm=st.just(0) | st.integers(1, 100_000),
    boost=st.just(0) | st.integers(1, 10**6),
    last_rank=st.booleans(),
)


@settings(max_examples=150, deadline=None)
@given(staff=staffs, dishes=st.integers(0, 40) | st.integers(0, 10**6), seconds=st.integers(0, 600))
def test_any_kitchen_equals_the_loop(staff: Staff, dishes: int, seconds: int) -> None:
    """Money, dishes, xp, stars and lifetime counters are the loop's, to the last digit below 2^53."""
    assert_near(looped(staff, dishes, seconds), paid(staff, dishes, seconds), dishes)


@settings(max_examples=400, deadline=None)
@example(staff=Staff(sps=5725500, dps=201, mps=1080379, mpm=6072, boost=131068), dishes=1080372, seconds=9554)
@given(staff=staffs, dishes=st.integers(0, 40) | st.integers(0, 10**13), seconds=st.integers(0, 10**7))
def test_millions_of_seconds_equal_the_loop(staff: Staff, dishes: int, seconds: int) -> None:
    """Up to 10^7 seconds: exact while every value stays below 2^53, within 1e-12 of the exact sum beyond."""
    assert_near(jumped(staff, dishes, seconds), paid(staff, dishes, seconds), dishes)


@settings(max_examples=200, deadline=None)
@given(
    amounts=st.lists(st.sampled_from([0.0, 1.0, 2.0**53, 1e20, 1e150, 1e300]), min_size=6, max_size=6),
    seconds=st.integers(0, 10**7),
)
def test_no_amount_turns_strange(amounts: list[float], seconds: int) -> None:
    """The largest amounts saturate: nothing is negative, infinite, NaN or above 1e300."""
    dishes, cooked, portion, sale, multiplier, factor = amounts
    kitchen = Kitchen(cooked, max(portion, 1.0), sale, max(multiplier, 1.0), max(factor, 1.0))
    found = income(float(seconds), dishes, kitchen)
    assert 0 <= found.money <= 1e300
    assert 0 <= found.dishes <= 1e300
    assert 0 <= found.sells <= seconds
