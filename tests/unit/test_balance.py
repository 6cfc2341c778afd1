"""The promises of the rules about pacing, held by simulated players against the seeded catalogue.

See scripts/simulate/simulation.py and docs/balance.md. Three paces play: 1, 5 and 20 clicks a second.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final
from xml.etree import ElementTree as ET

import pytest

from game.catalogue import BoostType, Catalogue
from scripts.simulate.advice import flow
from scripts.simulate.habits import HABITS, HOUR_S, MINUTE_S
from scripts.simulate.picture import draw
from scripts.simulate.simulation import simulate
from seeds.files import read_catalogue

if TYPE_CHECKING:
    from collections.abc import Callable

    from scripts.simulate.course import Course

WORTH_BUYING_S: Final = HOUR_S
"""An upgrade is worth buying when, at some moment of play, it pays its price back within this time."""
TOO_SHORT_TO_FEEL_S: Final = 30
"""After the first reset, a rank that took less counts as that long: 1 second after 3 is no slow-down."""
PACES: Final = ("calm", "steady", "eager")


@pytest.fixture(scope="module")
def catalogue() -> Catalogue:
    """The catalogue of this release."""
    return read_catalogue("en")


def until_back(course: Course) -> bool:
    """Say whether the player stands where the first reset was made, or resets again."""
    return len(course.resets) > 1 or (bool(course.resets) and course.way_back() < math.inf)


@pytest.fixture(scope="module")
def courses(catalogue: Catalogue) -> dict[str, Course]:
    """The first run and the way back, at each pace."""
    return {
        name: simulate(catalogue, 6 * HOUR_S, habit=HABITS[name], until=_every_minute(until_back))
        for name in PACES
    }


def _every_minute(question: Callable[[Course], bool]) -> Callable[[Course], bool]:
    """Ask only after each minute of play, as looking through a course takes long."""
    seen = 0

    def ask(course: Course) -> bool:
        nonlocal seen
        if len(course.samples) == seen:
            return False
        seen = len(course.samples)
        return question(course)

    return ask


@pytest.fixture(scope="module", params=[1, 2, 3])
def first_hours(catalogue: Catalogue, request: pytest.FixtureRequest) -> Course:
    """The first three hours at 5 clicks a second, by three hands of different unsteadiness."""
    return simulate(catalogue, 3 * HOUR_S, seed=request.param)


@pytest.fixture(scope="module")
def one_run(catalogue: Catalogue) -> Course:
    """All ranks without a reset."""
    return simulate(catalogue, 100 * HOUR_S, resets=False, last_rank=100)


def test_a_purchase_every_two_minutes(first_hours: Course) -> None:
    """In the first half hour no two minutes pass without a purchase."""
    assert first_hours.longest_wait_s(30 * MINUTE_S) <= 2 * MINUTE_S


def test_rank_ten(first_hours: Course, courses: dict[str, Course]) -> None:
    """Rank 10 takes 20 to 40 minutes; at 1 click a second an hour at most."""
    assert 20 * MINUTE_S <= first_hours.reached_s(10) <= 40 * MINUTE_S
    assert courses["calm"].reached_s(10) <= HOUR_S


def test_first_prestige(first_hours: Course) -> None:
    """The first sensible reset comes within 2 to 4 hours of play."""
    assert 2 * HOUR_S <= first_hours.resets[0] <= 4 * HOUR_S


@pytest.mark.parametrize("name", PACES)
def test_it_is_an_idle_game_within_minutes(courses: dict[str, Course], name: str) -> None:
    """At each pace a dish cooks itself within 4 minutes, and money comes by itself within 8."""
    assert courses[name].first_s(BoostType.DISHES_PER_SECOND) <= 4 * MINUTE_S
    assert courses[name].first_s(BoostType.MONEY_PER_SECOND) <= 8 * MINUTE_S


@pytest.mark.parametrize("name", PACES)
def test_something_pays_back_within_ten_minutes(courses: dict[str, Course], name: str) -> None:
    """At each pace, and at every decision until the player is back, the best upgrade on sale does."""
    assert courses[name].longest_payback(runs=2).least_payback_s <= 10 * MINUTE_S


@pytest.mark.parametrize(("name", "hours"), [("calm", 2), ("steady", 2), ("eager", 0.5)])
def test_a_night_is_worth_something(courses: dict[str, Course], name: str, hours: float) -> None:
    """From the first hour on a night is worth two hours of clicking, half an hour of 20 clicks a second."""
    assert courses[name].worst_night(HOUR_S, runs=1).worth_h >= hours


@pytest.mark.parametrize("name", PACES)
def test_the_first_prestige_doubles(courses: dict[str, Course], name: str) -> None:
    """At each pace it brings 20 stars at least, and the way back takes at most half as long."""
    stars, *_ = courses[name].stars_at_resets
    assert stars >= 20
    assert courses[name].way_back() <= 0.5


@pytest.mark.parametrize("name", PACES)
def test_no_rank_is_a_wall(courses: dict[str, Course], name: str) -> None:
    """At each pace no rank of the first run takes over 3 times the one before, nor on the way back."""
    first, *_ = courses[name].slowdowns(least_s=1, run=0)
    later, *_ = courses[name].slowdowns(TOO_SHORT_TO_FEEL_S, run=1)
    for times, rank_up in (first, later):
        assert times <= 3, rank_up


def test_no_rank_is_a_wall_without_a_reset(one_run: Course) -> None:
    """Without a reset every rank is reached, and none takes over 3 times the one before it."""
    assert [up.rank for up in one_run.rank_ups] == list(range(1, 101))
    (times, rank_up), *_ = one_run.slowdowns(least_s=1)
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
    """Where clients draw a new place, a point and a dish unlock, are bought in 20 minutes and pay back."""
    bought = [
        purchase.upgrade.upgrade_type
        for purchase in one_run.purchases
        if purchase.upgrade.access_level == rank
        and purchase.at_s <= one_run.reached_s(rank) + 20 * MINUTE_S
        and purchase.payback_s <= WORTH_BUYING_S
    ]
    assert {"dish", "point"} <= set(bought)


def test_rank_zero_offers_more_than_the_sandwich(catalogue: Catalogue) -> None:
    """With the sandwich alone a stove pays for itself in under a minute, without passive income."""
    sums = dict.fromkeys(BoostType, 0.0)
    sums[BoostType.MONEY_PER_CLICK] = 100.0
    before = flow(sums, 0, 5).money
    stove = next(upgrade for upgrade in catalogue.upgrades if upgrade.icon_name == "new_stove")
    sums[stove.boost.boost_type] += stove.boost.value_hundredths
    assert stove.access_level == 0
    assert stove.price / (flow(sums, 0, 5).money - before) < MINUTE_S


def test_the_same_hand_plays_the_same_game(catalogue: Catalogue) -> None:
    """A seed names one course; another one strays from it."""
    course = simulate(catalogue, HOUR_S, seed=7)
    assert course == simulate(catalogue, HOUR_S, seed=7)
    assert course != simulate(catalogue, HOUR_S, seed=8)


def test_the_advice_is_good_to_rank_ten(catalogue: Catalogue, courses: dict[str, Course]) -> None:
    """A player who buys only what pays back first needs at most 1.2 times as long to rank 10 as the best."""
    advised = simulate(catalogue, HOUR_S, habit=HABITS["advised"], last_rank=10)
    assert advised.reached_s(10) <= 1.2 * courses["steady"].reached_s(10)


def test_a_lazy_player_comes_back_to_something(catalogue: Catalogue) -> None:
    """Three visits of ten minutes a day bring the small café on the first day and a reset within three."""
    course = simulate(catalogue, 72 * HOUR_S, habit=HABITS["lazy"])
    assert course.reached_s(20) <= 24 * HOUR_S
    assert course.resets


def test_flow_of_clicks_alone() -> None:
    """One dish a cook and a sell: half of five clicks sell, at the price of a dish."""
    sums = dict.fromkeys(BoostType, 0.0)
    sums[BoostType.MONEY_PER_CLICK] = 300.0
    assert flow(sums, 0, 5).money == pytest.approx(7.5)


def test_flow_with_passive_sales() -> None:
    """Passive sales take their dishes first: 3 cooks, 2 sells by hand at 3, one passive sale at 2."""
    sums = dict.fromkeys(BoostType, 0.0)
    sums[BoostType.MONEY_PER_CLICK] = 300.0
    sums[BoostType.MONEY_PER_SECOND] = 200.0
    assert flow(sums, 0, 5).money == pytest.approx(8)


def test_flow_from_stock() -> None:
    """Dishes in stock are sold instead of cooked: with enough of them each click sells."""
    sums = dict.fromkeys(BoostType, 0.0)
    sums[BoostType.MONEY_PER_CLICK] = 300.0
    assert flow(sums, 0, 5, 600.0 * 5).money == pytest.approx(15)


def test_the_picture_is_well_formed(courses: dict[str, Course]) -> None:
    """It has a line for ranks and one for money, for the first hours and for all of them."""
    picture = ET.fromstring(draw(courses["steady"], "Click & Cook"))  # noqa: S314 - our own text
    assert len(picture.findall("{http://www.w3.org/2000/svg}polyline")) == 4
