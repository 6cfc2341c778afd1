"""The rules of the game, as rules.md words them."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from game import refreshing, rules
from game.arithmetic import EXACT, LIMIT, ceiling, half_up
from game.catalogue import BoostType, Catalogue, UpgradeType
from game.errors import (
    NoDish,
    NoDishes,
    NotEnoughMoney,
    NotEnoughPrestige,
    Refusal,
    UpgradeLocked,
    UpgradeNotFound,
)
from game.live_session import LiveSession
from game.outcomes import Bought, Cooked, Reset, Risen, Sold, Unrisen
from game.rates import UNAFFORDABLE, price_of
from game.session import Offline, Session, UserId
from tests.support.game_catalogue import CATALOGUE, CHANGED, FEAST, LOBSTER, SANDWICH, upgrade

if TYPE_CHECKING:
    from collections.abc import Callable

NOW_MS: Final = 1_764_000_000_000
NOW_US: Final = NOW_MS * 1000
CAP_S: Final = 28_800


def live(catalogue: Catalogue = CATALOGUE, **fields: object) -> LiveSession:
    """Make a session that owns the sandwich and whose income is paid up to now."""
    values: dict[str, object] = {"version": 5, "accrued_at_ms": NOW_MS, "bought": {SANDWICH: 1}} | fields
    return LiveSession.of(Session(UserId(1), **values), catalogue)  # type: ignore[arg-type]  # by field name


def boosts(*values: tuple[BoostType, int]) -> Catalogue:
    """Make a catalogue of the sandwich and one upgrade for each value, ids from 2 on."""
    more = (upgrade(i, UpgradeType.STAFF, kind, value) for i, (kind, value) in enumerate(values, 2))
    return Catalogue(1, (CATALOGUE.upgrades[0], *more), CATALOGUE.level_xp)


def test_cook_rounds_up_and_brings_xp() -> None:
    """A cook brings ceil((1 + dPc) * dM) dishes and 1 + 0.05 xp for each current star, half up."""
    catalogue = boosts((BoostType.DISHES_PER_CLICK, 33), (BoostType.DISH_MULTIPLIER, 150))
    player = live(catalogue, bought={SANDWICH: 1, 2: 4, 3: 1}, stars=31_000.0)
    # (1 + 1.32) * 1.5 = 3.48; 1 + 0.05 * 3.1 = 1.155, half up 1.16
    assert Cooked(version=NOW_MS, dishes=4, xp=116, applied=1) == rules.cook(player, 1, NOW_US)


def test_sums_of_hundredths_are_exact() -> None:
    """100 times 1.1 is 110, never 111."""
    catalogue = boosts((BoostType.DISHES_PER_CLICK, 9900), (BoostType.DISH_MULTIPLIER, 110))
    player = live(catalogue, bought={SANDWICH: 1, 2: 1, 3: 1})
    assert rules.cook(player, 1, NOW_US).dishes == 110


def test_sell_takes_a_portion_and_rounds_up() -> None:
    """A sell takes min(sPs, dishes) and brings ceil(mPc * mM * n * prestige factor)."""
    catalogue = boosts((BoostType.SALES_PER_SELL, 300), (BoostType.MONEY_MULTIPLIER, 125))
    player = live(catalogue, bought={SANDWICH: 1, 2: 1, 3: 1}, dishes=6.0, boost=17.0)
    # 1 * 1.25 * 4 * 1.7 = 8.5, then 1 * 1.25 * 2 * 1.7 = 4.25
    assert Sold(version=NOW_MS, dishes=2, money=9, xp=100, applied=1) == rules.sell(player, 1, NOW_US)
    assert Sold(version=NOW_MS + 1, dishes=0, money=14, xp=200, applied=1) == rules.sell(player, 1, NOW_US)


@pytest.mark.parametrize(
    ("refusal", "request_", "fields"),
    [
        (NoDish, lambda s: rules.cook(s, 1, NOW_US), {"bought": {3: 1}}),
        (NoDishes, lambda s: rules.sell(s, 5, NOW_US), {}),
        (UpgradeNotFound, lambda s: rules.upgrade_buy(s, SANDWICH, NOW_US, CAP_S), {}),
        (UpgradeNotFound, lambda s: rules.upgrade_buy(s, 999, NOW_US, CAP_S), {}),
        (UpgradeLocked, lambda s: rules.upgrade_buy(s, LOBSTER, NOW_US, CAP_S), {"money": 1e9, "rank": 1}),
        (NotEnoughMoney, lambda s: rules.upgrade_buy(s, 3, NOW_US, CAP_S), {"money": 4.0}),
        (NotEnoughPrestige, lambda s: rules.session_reset(s, NOW_US, CAP_S), {"accumulated": 9_999.0}),
    ],
)
def test_a_refusal_changes_nothing(
    refusal: type[Refusal], request_: Callable[[LiveSession], object], fields: dict[str, object]
) -> None:
    """What is refused leaves everything as it was, income since the last payment included."""
    values: dict[str, object] = {"accrued_at_ms": NOW_MS - 60_000} | fields
    player = live(CATALOGUE, **values)
    before = copy.deepcopy(player)
    with pytest.raises(refusal):
        request_(player)
    assert before == player


def test_buying_pays_income_at_the_old_rates_first() -> None:
    """Seconds before a purchase bring what they brought before it, and may pay for it."""
    player = live(money=0.0, dishes=100.0, bought={SANDWICH: 1, 13: 1}, accrued_at_ms=NOW_MS - 2_500)
    # two seconds of 250 money; one more costs 460
    assert rules.upgrade_buy(player, 13, NOW_US, CAP_S).money == 500 - 460
    assert player.session.accrued_at_ms == NOW_MS - 500
    assert player.session.dishes == 98


def test_buying_brings_xp() -> None:
    """A purchase brings 5 % of the xp that the next rank needs and 0.1 for each current star."""
    player = live(money=5.0, stars=12_345.0, rank=9)
    # rank 10 needs 800: 40 xp; 0.12345 is 0.12
    bought = rules.upgrade_buy(player, 3, NOW_US, CAP_S)
    assert Bought(NOW_MS, 0, 4012, 3, 1, passive=False, applied=1) == bought


@pytest.mark.parametrize(
    ("upgrade_id", "count", "money", "applied"),
    [
        (3, 1, 1e6, 1),
        (3, 10, 1e6, 10),
        (3, 1000, 1e6, 141),
        (3, 2, 9.0, 1),
        (3, 2, 10.0, 2),
        (3, 1000, 1e300, 1000),
        (SANDWICH, 1000, 1e6, 1),
        (13, 1000, 1e18, 240),
    ],
)
def test_a_count_of_purchases_is_as_many_single_ones(
    upgrade_id: int, count: int, money: float, applied: int
) -> None:
    """`count` purchases leave what as many single ones leave, up to the first that would be refused."""
    bought = {} if upgrade_id == SANDWICH else {SANDWICH: 1}
    together = live(CATALOGUE, money=money, stars=12_345.0, rank=9, bought=bought)
    apart = copy.deepcopy(together)
    assert applied == rules.upgrade_buy(together, upgrade_id, NOW_US, CAP_S, count=count).applied
    for _ in range(applied):
        rules.upgrade_buy(apart, upgrade_id, NOW_US, CAP_S)
    if applied < count:
        with pytest.raises((NotEnoughMoney, UpgradeNotFound)):
            rules.upgrade_buy(apart, upgrade_id, NOW_US, CAP_S)
    apart.session.version = together.session.version
    apart.joined_until_ms = together.joined_until_ms  # negative where the version is ahead of the clock
    assert apart == together


@pytest.mark.parametrize(
    ("price", "factor", "times", "expected"),
    [
        (5.0, 1.5, 0, 5),
        (5.0, 1.5, 1, 8),  # 7.5, half up
        (5.0, 1.07, 1, 5),  # 5.35
        (0.0, 1.15, 4_000, 0),
        (10.0, 1.0, 1_000_000, 10),
        (1.0, 1.15, 1_000_000, UNAFFORDABLE),
        (1e299, 10.0, 1, 1e300),
        (1e299, 10.0, 250, UNAFFORDABLE),
        (1e15, 1.0000001, 200_000, UNAFFORDABLE),
    ],
)
def test_prices(price: float, factor: float, times: int, expected: float) -> None:
    """A price grows by its factor with each purchase, rounded half up; past all money it is out of reach."""
    one = upgrade(2, UpgradeType.STAFF, BoostType.DISHES_PER_CLICK, 1, price=price, price_factor=factor)
    assert expected == price_of(one, times)


def test_a_rank_costs_its_xp() -> None:
    """One rank a request: its xp is spent, the answer names what the rank after needs."""
    player = live(xp=11_500.0)
    # rank 1 needs 107, rank 2 needs 128
    assert Risen(NOW_MS, 1, 800, 128) == rules.level_up(player, NOW_US, CAP_S)
    assert Unrisen(NOW_MS, 1, 800, paid=False, money=0, dishes=0, accumulated=0) == rules.level_up(
        player, NOW_US, CAP_S
    )


def test_the_last_rank_gathers_no_xp() -> None:
    """Rank 100 is the last: none follows, and neither clicks, purchases nor income bring xp."""
    player = live(rank=99, xp=LIMIT, money=1e9, dishes=50.0, bought={SANDWICH: 1, 5: 1, 13: 1})
    assert isinstance(risen := rules.level_up(player, NOW_US, CAP_S), Risen)
    assert (risen.rank, risen.next_need) == (100, 0)
    xp = player.session.xp = 4_300.0
    rules.cook(player, 1, NOW_US)
    rules.sell(player, 1, NOW_US)
    rules.upgrade_buy(player, 3, NOW_US, CAP_S)
    rules.passive(player, NOW_US + 60_000_000, CAP_S)
    assert xp == player.session.xp
    assert isinstance(rules.level_up(player, NOW_US, CAP_S), Unrisen)


def test_a_reset_trades_everything_for_prestige() -> None:
    """Accumulated stars become current, the boost grows by round(1 + 0.05 * current, 1), the rest is 0."""
    player = live(money=5.0, dishes=7.0, rank=30, xp=9.0, stars=20_000.0, accumulated=31_234.0, boost=11.0)
    # 1 + 0.05 * 5.1234 = 1.256, rounded 1.3
    expected = Reset(NOW_MS, 0, 0, 0, 0, stars=51_234, boost=24, accumulated=0)
    assert expected == rules.session_reset(player, NOW_US, CAP_S)
    assert (player.session.bought, player.rates.cook_gain, player.rates.need) == ({}, 0, 107)
    assert player.session.resets == 1


def test_a_long_gap_is_shown_once() -> None:
    """What 10 s or more away earned waits for the next `session`, whatever paid it, and is shown once."""
    player = live(bought={SANDWICH: 1, 11: 1}, accrued_at_ms=NOW_MS - 12_000)
    rules.passive(player, NOW_US, CAP_S)
    later_us = NOW_US + 20_000_000
    # 3 dishes a second and 0.6 xp; since the `passive` the player counts as joined
    assert rules.session(player, later_us, CAP_S).offline == Offline(12, 12, 0, 36, 12 * 60, 0)
    assert rules.session(player, later_us, CAP_S).offline is None


def test_a_long_gap_is_shown_whatever_the_cap_left_of_it() -> None:
    """The gap decides, not what was paid of it: both are shown, with the stars that were earned."""
    player = live(bought={SANDWICH: 1, 6: 300}, dishes=1000.0, accrued_at_ms=NOW_MS - 12_345)
    shown = rules.session(player, NOW_US, cap_s=5).offline
    assert shown is not None
    assert (shown.seconds, shown.away_seconds) == (5, 12)
    assert shown.stars == player.session.accumulated > 0


def test_short_gaps_are_not_shown() -> None:
    """Income of less than 10 s is paid without a word."""
    player = live(bought={SANDWICH: 1, 11: 1}, accrued_at_ms=NOW_MS - 9_999)
    shown = rules.session(player, NOW_US, CAP_S)
    assert (shown.offline, shown.paid, player.session.dishes) == (None, True, 27)


def test_what_the_cap_cuts_off_is_gone() -> None:
    """Only the capped seconds are paid, and the fraction of a second that is left over is kept."""
    player = live(bought={SANDWICH: 1, 11: 1}, accrued_at_ms=NOW_MS - 90_000_700)
    rules.passive(player, NOW_US, CAP_S)
    assert (player.session.dishes, player.session.accrued_at_ms) == (3.0 * CAP_S, NOW_MS - 700)


def test_time_that_runs_backwards_counts_as_none() -> None:
    """With a clock set back nothing is paid, nothing is lost, and versions still grow."""
    player = live(bought={SANDWICH: 1, 11: 1}, version=NOW_MS + 5)
    past_us = NOW_US - 3_600_000_000
    assert rules.passive(player, past_us, CAP_S).changed, "who computes is to hear of it"
    assert player.session.accrued_at_ms == NOW_MS - 3_600_000, "income goes on from the clock as it is"
    assert player.session.dishes == 0
    # 300 s were promised: so many pushes may have been computed since.
    assert rules.cook(player, 1, past_us).version == NOW_MS + 7 + 300


def test_a_clock_that_is_a_little_behind_moves_no_mark() -> None:
    """Up to ten seconds nothing is moved: what was paid for is not paid again."""
    player = live(bought={SANDWICH: 1, 11: 1}, version=NOW_MS + 5)
    past_us = NOW_US - 10_000_000
    assert not rules.passive(player, past_us, CAP_S).changed
    assert player.session.accrued_at_ms == NOW_MS
    # Of the 300 s that were promised from ten seconds ago.
    assert rules.cook(player, 1, past_us).version == NOW_MS + 6 + 290


def test_cooking_later_is_not_sold_for_idle_seconds() -> None:
    """Seconds without anything to sell are over, though they earned nothing."""
    player = live(bought={SANDWICH: 1, 6: 1}, accrued_at_ms=NOW_MS - 3_600_000)
    assert not rules.passive(player, NOW_US, CAP_S).changed
    rules.cook(player, 1000, NOW_US)
    rules.passive(player, NOW_US + 1_000_000, CAP_S)
    assert player.session.dishes == 999


def test_nothing_is_paid_at_a_rate_of_another_catalogue() -> None:
    """Seconds before a change of the catalogue are paid at its rates, those after it at the new ones."""
    player = live(bought={SANDWICH: 1, 5: 10}, accrued_at_ms=NOW_MS - 10_000)
    refreshing.refresh(player, CHANGED, NOW_US, CAP_S)
    assert player.session.dishes == 4 * 10
    rules.passive(player, NOW_US + 10_000_000, CAP_S)
    assert player.session.dishes == 4 * 10 + 9 * 10


def test_seconds_without_income_do_not_wait_for_a_better_catalogue() -> None:
    """Where a change of the catalogue brings income, the seconds before it stay unpaid."""
    bare = Catalogue(0, CATALOGUE.upgrades[:1], CATALOGUE.level_xp)
    player = live(bare, bought={SANDWICH: 1, 11: 1}, accrued_at_ms=NOW_MS - 50_000)
    refreshing.refresh(player, CATALOGUE, NOW_US, CAP_S)
    assert not rules.passive(player, NOW_US, CAP_S).changed
    assert player.session.dishes == 0


def test_the_dearest_dish_can_be_bought_and_sold() -> None:
    """At rank 100 with all the money there is, amounts saturate and nothing turns infinite."""
    player = live(money=LIMIT, dishes=LIMIT, rank=100, boost=LIMIT, bought={SANDWICH: 1, 12: 1_000_000})
    assert rules.upgrade_buy(player, FEAST, NOW_US, CAP_S).money == LIMIT - 1e299
    sold = rules.sell(player, 1_000_000, NOW_US)
    assert (sold.money, player.session.earned) == (LIMIT, LIMIT)
    assert 0 <= sold.dishes <= LIMIT


amounts = st.integers(0, 60) | st.integers(0, 2**40)


@settings(max_examples=200, deadline=None)
@given(
    count=st.integers(1, 40),
    dishes=amounts,
    portion=st.integers(0, 30),
    per_dish=st.integers(1, 10**6),
    stars=st.integers(0, 10**7),
    boost=st.integers(0, 500),
)
def test_a_count_is_that_many_single_requests(
    *, count: int, dishes: int, portion: int, per_dish: int, stars: int, boost: int
) -> None:
    """`count` = k brings exactly what k single requests in a row bring, and stops where they would fail."""
    catalogue = Catalogue(
        1,
        (
            upgrade(SANDWICH, UpgradeType.DISH, BoostType.MONEY_PER_CLICK, per_dish),
            upgrade(2, UpgradeType.STAFF, BoostType.SALES_PER_SELL, 100),
        ),
        CATALOGUE.level_xp,
    )

    def player() -> LiveSession:
        bought = {SANDWICH: 1, 2: portion}
        return live(catalogue, dishes=float(dishes), bought=bought, stars=float(stars), boost=float(boost))

    for request in (rules.cook, rules.sell):
        at_once, one_by_one = player(), player()
        applied = 0
        for _ in range(count):
            try:
                applied += request(one_by_one, 1, NOW_US).applied
            except NoDishes:
                break
        if applied:
            assert applied == request(at_once, count, NOW_US).applied
        one_by_one.session.version = at_once.session.version
        assert one_by_one == at_once


factors = st.integers(0, 300) | st.integers(0, 10**9) | st.integers(0, 10**15)


@given(st.sampled_from([20, 2_000, 10_000, 20_000, 100_000]), factors, factors, factors, factors)
def test_products_are_exact_where_their_result_is(divisor: int, a: int, b: int, c: int, d: int) -> None:
    """A rounded quotient is exact below 2^53 even where the product is not; beyond, within 1e-12."""
    upwards = -(-a * b * c * d // divisor)
    halves_up = (2 * a * b + divisor) // (2 * divisor)
    for exact, found in (
        (upwards, ceiling(divisor, float(a), float(b), float(c), float(d))),
        (halves_up, half_up(divisor, float(a), float(b))),
    ):
        if exact < EXACT:
            assert exact == found
        else:
            assert abs(exact - found) <= 1e-12 * exact
