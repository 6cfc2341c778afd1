"""The promises of the rules about pacing, held by simulated players against the seeded catalogue.

See scripts/simulate/promises.py and docs/balance.md.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Final
from xml.etree import ElementTree as ET

import pytest

from game.catalogue import BoostType, Catalogue
from scripts.simulate.advice import flow
from scripts.simulate.habits import HABITS, HOUR_S, MINUTE_S
from scripts.simulate.page import PAGE, play, with_table
from scripts.simulate.picture import draw
from scripts.simulate.promises import AT_FIVE, PROMISES, TOO_SHORT_TO_FEEL_S, Promise, first_run
from scripts.simulate.simulation import simulate
from seeds.files import read_catalogue

if TYPE_CHECKING:
    from scripts.simulate.course import Course

WORTH_BUYING_S: Final = HOUR_S
"""An upgrade is worth buying when, at some moment of play, it pays its price back within this time."""


@pytest.fixture(scope="module")
def catalogue() -> Catalogue:
    """The catalogue of this release."""
    return read_catalogue("en")


@pytest.fixture(scope="module")
def courses(catalogue: Catalogue) -> dict[str, Course]:
    """The first run of each player, and the way back."""
    return play(catalogue)


@pytest.fixture(scope="module")
def one_run(catalogue: Catalogue) -> Course:
    """All ranks without a reset."""
    return simulate(catalogue, 100 * HOUR_S, resets=False, last_rank=100)


@pytest.fixture(scope="module")
def many_runs(catalogue: Catalogue) -> Course:
    """Rank 100 by way of resets."""
    return simulate(catalogue, 30 * HOUR_S, last_rank=100)


@pytest.mark.parametrize(
    ("promise", "name"),
    [
        pytest.param(promise, name, id=f"{name}: {promise.text}")
        for promise in PROMISES
        for name in sorted(promise.players)
    ],
)
def test_each_promise_is_kept(courses: dict[str, Course], promise: Promise, name: str) -> None:
    """Each promise of the rules, for each player whom it is made to."""
    assert promise.kept(courses[name]), promise.shown(promise.measure(courses[name]))


@pytest.mark.parametrize("seed", [2, 3])
@pytest.mark.parametrize("name", sorted(AT_FIVE))
def test_another_hand_meets_the_same_promises(catalogue: Catalogue, name: str, seed: int) -> None:
    """What is promised at 5 clicks a second does not hang on how steady the hand is."""
    course = first_run(catalogue, name, seed)
    broken = [one.text for one in PROMISES if name in one.players and not one.kept(course)]
    assert broken == []


@pytest.mark.parametrize("name", ["calm", "eager", "lazy"])
def test_golden_guests_break_no_promise(catalogue: Catalogue, name: str) -> None:
    """Each player may serve every guest who comes, and all that is promised without guests still holds."""
    course = first_run(catalogue, name, attentive=True)
    assert course.guests
    assert all(guest.worth_s > 10 for guest in course.guests)
    assert [one.text for one in PROMISES if name in one.players and not one.kept(course)] == []


def test_the_page_says_what_the_players_measured(courses: dict[str, Course]) -> None:
    """The table of docs/balance.md is that of these courses; another course would show."""
    page = PAGE.read_text(encoding="utf-8")
    assert with_table(page, courses) == page
    assert with_table(page, {**courses, "calm": courses["eager"]}) != page


def test_no_rank_is_a_wall_without_a_reset(one_run: Course) -> None:
    """Without a reset every rank is reached, and none takes over 3 times the one before it."""
    assert [up.rank for up in one_run.rank_ups] == list(range(1, 101))
    (times, rank_up), *_ = one_run.slowdowns(least_s=1)
    assert times <= 3, rank_up


def test_no_rank_is_a_wall_after_resets(many_runs: Course) -> None:
    """By way of resets, when ranks fly by, rank 100 comes, and no rank is a wall as far as a player feels."""
    assert many_runs.reached_s(100) < math.inf
    (times, rank_up), *_ = many_runs.slowdowns(TOO_SHORT_TO_FEEL_S)
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
    """Those who follow it need at most 1.2 times as long to rank 10 as the best who value xp otherwise."""
    others = (replace(HABITS["steady"], xp_worth=worth) for worth in (0, 0.1, 0.25, 1, 2))
    best_s = min(simulate(catalogue, HOUR_S, habit=one, last_rank=10).reached_s(10) for one in others)
    assert courses["advised"].reached_s(10) <= 1.2 * best_s
    assert courses["steady"].reached_s(10) <= 1.2 * best_s


def test_a_lazy_player_comes_back_to_something(courses: dict[str, Course]) -> None:
    """Three visits of ten minutes a day bring the small café on the first day and a reset within three."""
    assert courses["lazy"].reached_s(20) <= 24 * HOUR_S
    assert min(courses["lazy"].resets) <= 72 * HOUR_S


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
