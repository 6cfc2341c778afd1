"""The rate limit, the windows of clients, achievements."""

from __future__ import annotations

import copy
from typing import Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from game import clients, errors, rules
from game.achievements import ACHIEVEMENTS, Counter, achieve, packed_achievements
from game.limit import Limit, draw
from game.live_session import LiveSession
from game.rules import Tag
from game.session import Session, UserId
from tests.support.game_catalogue import CATALOGUE, SANDWICH

NOW_US: Final = 1_764_000_000_000_000
NOW_S: Final = NOW_US // 1_000_000


def live(now_us: int = NOW_US) -> LiveSession:
    """Make a session that can cook."""
    session = Session(UserId(1), version=5, accrued_at_ms=now_us // 1000, bought={SANDWICH: 1})
    return LiveSession.of(session, CATALOGUE)


@pytest.mark.parametrize("rate", [1, 3, 7, 50, 300, 999_999, 1_000_000])
@pytest.mark.parametrize("burst", [1, 2, 50, 333])
def test_a_full_bucket_holds_exactly_its_burst(rate: int, burst: int) -> None:
    """Exactly `burst` clicks pass at one instant, whatever the rate; the next learns when to come."""
    limit, tat_us = Limit(1e6 / rate, burst), 0.0
    for _ in range(burst):
        passed, tat_us = draw(1.0, tat_us, float(NOW_US), limit)
        assert passed == 1
    with pytest.raises(errors.RateLimited) as refused:
        draw(1.0, tat_us, float(NOW_US), limit)
    assert refused.value.retry_after_ms == max(1, -(-1000 // rate))
    draw(1.0, tat_us, float(NOW_US + refused.value.retry_after_ms * 1000), limit)


def test_a_count_takes_what_the_bucket_holds() -> None:
    """`count` applies as many as there are clicks left, and is charged for these alone."""
    player, limit = live(), Limit(20_000.0, 10)
    assert rules.cook(player, 1000, NOW_US, limit).applied == 10
    assert rules.cook(player, 1000, NOW_US + 50_000, limit).applied == 2
    with pytest.raises(errors.RateLimited):
        rules.cook(player, 1, NOW_US + 50_000, limit)


def test_a_sell_is_charged_for_what_it_sold() -> None:
    """A `count` that runs out of dishes leaves the rest of the bucket."""
    player, limit = live(), Limit(20_000.0, 10)
    player.session.dishes = 3.0
    assert rules.sell(player, 1000, NOW_US, limit).applied == 3
    assert rules.cook(player, 1000, NOW_US, limit).applied == 7


def test_a_clock_set_back_locks_nobody_out() -> None:
    """A bucket that would be full in an hour only because the clock ran back lets a click pass."""
    player, limit = live(), Limit(20_000.0, 10)
    rules.cook(player, 10, NOW_US + 3_600_000_000, limit)
    assert rules.cook(player, 10, NOW_US, limit).applied == 1
    with pytest.raises(errors.RateLimited):
        rules.cook(player, 1, NOW_US, limit)


def test_a_number_is_applied_once() -> None:
    """A number that was applied shows the present state; one passed over is applied when it comes."""
    player = live()
    for seq in (1, 2, 5):
        assert not rules.cook(player, 1, NOW_US, tag=Tag("tab", seq)).duplicate
    before = copy.deepcopy(player)
    again = rules.cook(player, 1, NOW_US, tag=Tag("tab", 2))
    assert (again.duplicate, again.applied, again.dishes) == (True, 0, 3)
    assert before == player
    assert not rules.cook(player, 1, NOW_US, tag=Tag("tab", 4)).duplicate
    assert rules.session(player, NOW_US, 10, "tab").last_seq == 5


def test_the_window_is_64_wide() -> None:
    """63 below the highest is remembered, 64 below is too old to tell."""
    player = live()
    rules.cook(player, 1, NOW_US, tag=Tag("tab", 100))
    assert not rules.cook(player, 1, NOW_US, tag=Tag("tab", 37)).duplicate
    assert rules.cook(player, 1, NOW_US, tag=Tag("tab", 37)).duplicate
    with pytest.raises(errors.SeqTooOld) as refused:
        rules.cook(player, 1, NOW_US, tag=Tag("tab", 36))
    assert refused.value.highest == 100


def test_a_refused_number_may_come_again() -> None:
    """An error records nothing: the same number is applied once it can be."""
    player = live()
    with pytest.raises(errors.NoDishes):
        rules.sell(player, 1, NOW_US, tag=Tag("tab", 1))
    rules.level_up(player, NOW_US, 10, Tag("tab", 1))  # unchanged, so not recorded either
    assert not rules.cook(player, 1, NOW_US, tag=Tag("tab", 1)).duplicate


def test_the_33rd_client_takes_the_place_of_the_longest_unused() -> None:
    """32 clients are remembered; a duplicate is no use of a client, a new number is."""
    player = live()
    for number in range(32):
        rules.cook(player, 1, NOW_US + number * 1_000_000, tag=Tag(f"tab {number}", 1))
    later_us = NOW_US + 100_000_000
    rules.cook(player, 1, later_us, tag=Tag("tab 0", 2))
    rules.cook(player, 1, later_us, tag=Tag("tab 1", 1))
    rules.cook(player, 1, later_us, tag=Tag("new", 1))
    assert len(player.session.clients) == 32
    assert "tab 0" in player.session.clients
    assert "tab 1" not in player.session.clients


def test_a_client_unused_for_a_week_is_unknown() -> None:
    """Its numbers start again, and it goes when a new client comes."""
    player = live()
    rules.cook(player, 1, NOW_US, tag=Tag("tab", 9))
    week_us = clients.FORGOTTEN_AFTER_MS * 1000
    assert rules.session(player, NOW_US + week_us - 1_000_000, 10, "tab").last_seq == 9
    assert rules.session(player, NOW_US + week_us, 10, "tab").last_seq == 0
    rules.cook(player, 1, NOW_US + week_us, tag=Tag("new", 1))
    assert list(player.session.clients) == ["new"]


@settings(deadline=None)
@given(st.lists(st.integers(1, 200) | st.integers(2**53 - 80, 2**53 - 1), max_size=80))
def test_a_window_knows_what_a_set_knows(numbers: list[int]) -> None:
    """Within the window it answers as a set of all applied numbers does."""
    session, applied = Session(UserId(1), version=1, accrued_at_ms=0), set[int]()
    for seq in numbers:
        highest = max(applied, default=0)
        if seq <= highest - clients.WINDOW:
            with pytest.raises(errors.SeqTooOld):
                clients.place(session, "tab", seq, NOW_S)
            continue
        window = clients.place(session, "tab", seq, NOW_S)
        assert (window is None) == (seq in applied)
        if window is not None:
            clients.remember(session, "tab", window)
            applied.add(seq)


def test_achievements_are_announced_once() -> None:
    """A counter at its threshold is news once; what is not reached stays open."""
    player = live()
    assert achieve(player, ACHIEVEMENTS, NOW_US).newly == ()
    rules.cook(player, 1, NOW_US)
    before = player.session.version
    first = achieve(player, ACHIEVEMENTS, NOW_US)
    assert first.newly == (1,)
    assert first.version > before
    assert achieve(player, ACHIEVEMENTS, NOW_US).newly == ()
    rules.cook(player, 999, NOW_US)
    assert achieve(player, ACHIEVEMENTS, NOW_US).newly == (2, 5, 6)
    assert player.session.achieved == (1, 2, 5, 6)


def test_achievements_are_well_formed() -> None:
    """Ids and keys are unique, ids ascend, both languages are there, and the script can take them."""
    ids = [one.id for one in ACHIEVEMENTS]
    assert sorted(set(ids)) == ids
    assert len({one.key for one in ACHIEVEMENTS}) == len(ids)
    assert all(one.title_ru and one.title_en and one.text_ru and one.text_en for one in ACHIEVEMENTS)
    assert {one.counter for one in ACHIEVEMENTS} == set(Counter)
    assert packed_achievements(ACHIEVEMENTS[:3]) == "1:cooked:1,2:cooked:1000,3:cooked:100000"
    stars = next(one for one in ACHIEVEMENTS if one.counter is Counter.STARS)
    assert stars.as_json(done=False)["threshold"] == 100
