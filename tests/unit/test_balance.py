"""The promises of the rules about pacing, held by a simulated player against the seeded catalogue.

The player clicks 5 times a second without a break; see scripts/simulate/simulation.py and docs/balance.md.
Three hands of different unsteadiness play.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import pytest

from game.catalogue import BoostType, Catalogue
from scripts.simulate.simulation import outlook, simulate
from seeds.files import read_catalogue

if TYPE_CHECKING:
    from scripts.simulate.course import Course

MINUTE_S = 60
HOUR_S = 3600
WORTH_BUYING_S = HOUR_S
"""An upgrade is worth buying when, at some moment of play, it pays its price back within this time."""
TOO_SHORT_TO_FEEL_S = 30
"""After the first reset, a rank that took less counts as that long: 1 second after 3 is no slow-down."""


@pytest.fixture(scope="module")
def catalogue() -> Catalogue:
    """The catalogue of this release."""
    return read_catalogue("en")


@pytest.fixture(scope="module", params=[1, 2, 3])
def first_hours(catalogue: Catalogue, request: pytest.FixtureRequest) -> Course:
    """The first four hours."""
    return simulate(catalogue, 4 * HOUR_S, seed=request.param)


@pytest.fixture(scope="module")
def one_run(catalogue: Catalogue) -> Course:
    """All ranks without a reset."""
    return simulate(catalogue, 100 * HOUR_S, resets=False, last_rank=100)


@pytest.fixture(scope="module")
def many_runs(catalogue: Catalogue) -> Course:
    """Rank 100 by way of resets, and on."""
    return simulate(catalogue, 30 * HOUR_S)


def test_a_purchase_every_two_minutes(first_hours: Course) -> None:
    """In the first half hour no two minutes pass without a purchase."""
    assert first_hours.longest_wait_s(30 * MINUTE_S) <= 2 * MINUTE_S


def test_rank_ten(first_hours: Course) -> None:
    """Rank 10 takes 20 to 40 minutes."""
    assert 20 * MINUTE_S <= first_hours.reached_s(10) <= 40 * MINUTE_S


def test_first_prestige(first_hours: Course) -> None:
    """The first reset comes within 2 to 4 hours of play."""
    assert 2 * HOUR_S <= first_hours.resets[0] <= 4 * HOUR_S


def test_no_rank_is_a_wall(one_run: Course) -> None:
    """Without a reset every rank is reached, and none takes over 3 times the one before it."""
    assert [up.rank for up in one_run.rank_ups] == list(range(1, 101))
    times, rank_up = one_run.slowdowns(least_s=1)[0]
    assert times <= 3, rank_up


def test_no_rank_is_a_wall_after_resets(many_runs: Course) -> None:
    """Nor does one after a reset, when ranks fly by, as far as a player can feel it."""
    assert len(many_runs.resets) > 10
    assert many_runs.reached_s(100) < math.inf
    times, rank_up = many_runs.slowdowns(TOO_SHORT_TO_FEEL_S)[0]
    assert times <= 3, rank_up


def test_every_upgrade_is_worth_buying(one_run: Course, catalogue: Catalogue) -> None:
    """Each upgrade is bought, even without prestige, when it pays its price back within the hour."""
    paybacks_s = one_run.paybacks_s()
    useless = [
        upgrade.icon_name
        for upgrade in catalogue.upgrades
        if paybacks_s.get(upgrade.id, math.inf) > WORTH_BUYING_S
    ]
    assert useless == []


@pytest.mark.parametrize("rank", [10, 20, 40, 70])
def test_a_new_place_brings_something_to_buy(one_run: Course, rank: int) -> None:
    """Where clients draw a new place, a point and a dish unlock that are bought at once and pay back."""
    bought = [
        purchase.upgrade.upgrade_type
        for purchase in one_run.purchases
        if purchase.upgrade.access_level == rank
        and one_run.reached_s(rank) <= purchase.at_s <= one_run.reached_s(rank + 1)
        and purchase.payback_s <= WORTH_BUYING_S
    ]
    assert {"dish", "point"} <= set(bought)


def test_rank_zero_offers_more_than_the_sandwich(catalogue: Catalogue) -> None:
    """With the sandwich alone a stove pays for itself in under a minute, without passive income."""
    sums = dict.fromkeys(BoostType, 0.0)
    sums[BoostType.MONEY_PER_CLICK] = 100.0
    before = outlook(sums, 0, 5).income
    stove = next(upgrade for upgrade in catalogue.upgrades if upgrade.icon_name == "new_stove")
    sums[stove.boost.boost_type] += stove.boost.value_hundredths
    assert stove.access_level == 0
    assert stove.price / (outlook(sums, 0, 5).income - before) < MINUTE_S


def test_the_same_hand_plays_the_same_game(catalogue: Catalogue) -> None:
    """A seed names one course; another one strays from it."""
    course = simulate(catalogue, HOUR_S, seed=7)
    assert course == simulate(catalogue, HOUR_S, seed=7)
    assert course != simulate(catalogue, HOUR_S, seed=8)


def test_outlook_of_clicks_alone() -> None:
    """One dish a cook and a sell: half of five clicks sell, at the price of a dish."""
    sums = dict.fromkeys(BoostType, 0.0)
    sums[BoostType.MONEY_PER_CLICK] = 300.0
    assert outlook(sums, 0, 5).income == pytest.approx(7.5)


def test_outlook_with_passive_sales() -> None:
    """Passive sales are wished for only where they bring more than the dishes would by hand."""
    sums = dict.fromkeys(BoostType, 0.0)
    sums[BoostType.MONEY_PER_CLICK] = 300.0
    sums[BoostType.MONEY_PER_SECOND] = 100.0
    assert not outlook(sums, 0, 5).sells_passively
    sums[BoostType.MONEY_PER_SECOND] = 200.0
    # 3 cooks, 2 sells by hand at 3, one passive sale at 2
    assert outlook(sums, 0, 5).sells_passively
    assert outlook(sums, 0, 5).income == pytest.approx(8)
