"""The chaos run's judges over made-up histories: a good one passes, each broken one is found.

The parameters of `test_what_is_broken_is_found` are the kinds of faults that the judges claim to find.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from scripts.chaos.history.events import (
    Faulted,
    Heard,
    History,
    read_events,
)
from scripts.chaos.history.judge import judge
from scripts.chaos.history.order import against_time
from scripts.chaos.history.timeline import Timeline
from tests.support.broken_histories import BROKEN, push_of
from tests.support.faultless import faultless
from tests.support.histories import (
    ANNA,
    BERT,
    CATALOGUE,
    NO_DISHES,
    OVEN,
    Story,
    judged,
    played,
    resent,
    unanswered,
    violated,
    without,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def test_a_good_history_passes() -> None:
    """Cooks and sells from two tabs, all answered and told."""
    assert judge(played().ends(), CATALOGUE).lines == []


def test_income_is_paid_for_the_seconds_that_passed() -> None:
    """An oven cooks between two cooks by hand, for whole seconds."""
    story = Story(bought=(1, OVEN))
    for _ in range(3):
        story.earns(60)
        story.does(ANNA, "cook", 5)
    assert judge(story.ends(), CATALOGUE).lines == []


def test_an_answer_that_was_lost_is_explained_by_what_comes_after() -> None:
    """A request was applied and its answer lost; the other tab hears later, the resend is a duplicate."""
    story = played()
    story.sends(ANNA, "cook", count=4, client="a", seq=9)
    story.applies("cook", 4)
    story.closes(ANNA, 1006)
    story.hears(BERT, 0, "session", story.shown())
    story.opens(3, "anna")
    again = story.sends(3, "cook", count=4, client="a", seq=9)
    state = story.live.session
    said = {"dishes": state.dishes, "xp": state.xp / 100, "applied": 0, "duplicate": True}
    story.hears(3, again, "cook", {**said, "version": state.version})
    story.does(BERT, "sell", 3)
    judgement = judge(story.ends(), CATALOGUE)
    assert judgement.lines == []
    assert judgement.replayed["anna"].hidden == 1


def test_of_hidden_requests_more_than_the_fewest_may_have_been_applied() -> None:
    """A sell before a cook and one after it leave what one after it leaves: both are duplicates later."""
    story = played()
    sells = [
        story.sends(ANNA, "sell", count=count, client="a", seq=seq) for count, seq in ((100, 7), (50, 8))
    ]
    story.sends(BERT, "cook", count=5)
    for kind, count in (("sell", 100), ("cook", 5), ("sell", 150)):
        story.applies(kind, count)
    story.closes(BERT, 1006)
    for sell in sells:
        state = story.live.session
        said = {"dishes": state.dishes, "money": state.money, "xp": state.xp / 100, "applied": 0}
        story.hears(ANNA, sell, "sell", {**said, "duplicate": True, "version": state.version})
    history = story.ends()
    assert [line for line in judge(history, CATALOGUE).lines if "linearizable" in line] == []


@pytest.mark.parametrize("bought", [(1,), (1, OVEN)], ids=["without income", "with income"])
def test_other_hidden_requests_than_the_fewest_may_have_been_applied(bought: tuple[int, ...]) -> None:
    """Two cooks of one leave what a cook of two leaves that was never applied: one of them is a duplicate."""
    story = Story(bought=bought)
    _, one, _ = unanswered(story, 2, 1, 1)
    story.applies("cook", 1)
    story.applies("cook", 1)
    story.closes(ANNA, 1006)
    story.opens(3, "anna")
    resent(story, 3, (one, 1))
    assert judged(story) == []


@pytest.mark.parametrize("known", [True, False], ids=["known", "unknown"])
def test_what_a_reset_hides_shows_in_the_totals_of_the_end(*, known: bool) -> None:
    """A cook and a reset were applied, and nobody was answered: the reset alone explains what was shown."""
    story = Story(accumulated=25_000.0)
    (cook,) = unanswered(story, 3)
    story.applies("cook", 3)
    story.sends(ANNA, "session_reset", client="u", seq=cook + 1)
    story.applies("session_reset")
    story.closes(ANNA, 1006)
    story.opens(3, "anna")
    if known:
        resent(story, 3, (cook, 3))
    assert judged(story) == []


def test_totals_that_nothing_explains_are_found() -> None:
    """More was cooked before a hidden reset than anybody had asked for."""
    story = Story(accumulated=25_000.0)
    (cook,) = unanswered(story, 3)
    story.applies("cook", 2)
    story.sends(ANNA, "session_reset", client="u", seq=cook + 1)
    story.applies("session_reset")
    story.closes(ANNA, 1006)
    story.opens(3, "anna")
    assert "a state of" in "".join(judged(story))


def test_a_duplicate_gives_its_place_to_one_that_has_no_other() -> None:
    """An early cook is taken for the last hidden one, whose own place that is; it was hidden before."""
    story = Story()
    _, early, _ = unanswered(story, 2, 1, 1)
    story.applies("cook", 1)
    story.applies("cook", 1)
    story.reads(BERT)
    (late,) = unanswered(story, 1)
    story.applies("cook", 1)
    story.closes(ANNA, 1006)
    story.opens(3, "anna")
    resent(story, 3, (early, 1), (late, 1))
    assert judged(story) == []
    resent(story, 3, (early - 1, 2))
    assert "was a duplicate, and never applied" in "".join(judged(story))


@pytest.mark.parametrize("seed", [*range(10), 202, 227, 330, 419, 492, 2556, 2626])
def test_what_a_server_without_faults_says_is_explained(seed: int) -> None:
    """Most requests are not answered the first time: which were applied, and where, has to be found.

    Some of these took more than the fewest requests, and more than one that changes its place.
    """
    assert judged(faultless(seed)) == []


def test_a_change_of_nobody_is_put_down_to_the_one_that_can_have_made_it() -> None:
    """Of two cooks with one effect the earlier was hidden, and of the later the other tab heard."""
    story = Story()
    early, _, _ = unanswered(story, 1, 1, 2)
    story.applies("cook", 1)
    story.applies("cook", 1)
    story.reads(BERT)
    (late,) = unanswered(story, 1)
    story.hears(BERT, 0, "cook", story.applies("cook", 1))
    story.closes(ANNA, 1006)
    story.opens(3, "anna")
    resent(story, 3, (early, 1), (late, 1))
    assert judged(story) == []


@pytest.mark.parametrize("loses", ["", "unanswered"])
def test_a_guess_is_given_up_when_its_operation_turns_out_to_be_another_change(loses: str) -> None:
    """Two hidden cooks of 10 were taken for one of 20, which the other tab hears of only then.

    Where Redis may lose what was not answered, that was put down to a third, which is answered later.
    """
    story = Story()
    first, _, _ = unanswered(story, 20, 10, 10)
    story.applies("cook", 10)
    story.applies("cook", 10)
    story.reads(BERT)
    third = story.sends(ANNA, "cook", count=20)
    story.hears(BERT, 0, "cook", story.applies("cook", 20))
    story.does(BERT, "cook", 1)
    said = story.applies("cook", 20)
    story.hears(ANNA, third, "cook", said)
    story.hears(BERT, 0, "cook", said)
    resent(story, ANNA, (first, 20), (first + 1, 10), (first + 2, 10))
    if loses:
        story.add(Faulted(0.0, 1.0, "failover", "", loses=loses))
    assert judged(story) == []


def test_a_later_state_in_time_stands_for_a_change() -> None:
    """A tab was cut off from what was published, and soon shown the session."""
    story = played()
    said = story.does(ANNA, "cook", 5)
    history = without(story.history, Heard, push_of(BERT, said["version"]))
    story.now_s += 1.5
    story.hears(BERT, 0, "session", story.shown())
    assert judge(story.ends(), CATALOGUE).lines == []
    assert history.events


def test_a_loss_is_allowed_where_redis_may_lose() -> None:
    """After a failover without WAIT the session may fall back, and at no other time."""
    story = played()
    lost = story.live.session
    kept = replace(lost, bought=dict(lost.bought))
    story.does(ANNA, "cook", 7)
    kept.version = story.live.session.version
    story.live.session = kept
    story.hears(BERT, 0, "session", {**story.shown(), "version": kept.version + 1})
    story.hears(ANNA, 0, "session", {**story.shown(), "version": kept.version + 1})
    kept.version += 1
    story.does(BERT, "cook", 2)
    history = story.ends()
    assert violated(history) == {"linearizable"}
    history.events.append(Faulted(story.now_s - 2, story.now_s - 1, "failover", "", loses="all"))
    judgement = judge(history, CATALOGUE)
    assert judgement.lines == []
    assert judgement.replayed["anna"].lost == 1


def test_an_answer_that_redis_may_lose_says_nothing_of_later_ones() -> None:
    """Two masters served: one answered a lower version than the other had before; at no other time."""
    story = played()
    before = story.shown()
    story.joined.remove(BERT)
    story.does(ANNA, "cook", 5)
    request = story.sends(BERT, "session")
    story.hears(BERT, request, "session", before)
    found = list(against_time(Timeline.of(story.history)))
    assert len(found) == 1
    for loses in ("all", "unanswered"):
        story.add(Faulted(story.now_s - 2, story.now_s, "failover", "", loses=loses))
        assert (list(against_time(Timeline.of(story.history))) == found) is (loses == "unanswered")
        story.history.events.pop()


def test_a_refusal_is_right_where_some_state_it_met_refuses_it() -> None:
    """There was nothing to sell before a cook that was under way while the sell was; not so long before."""
    story = played()
    story.does(ANNA, "sell", int(story.live.session.dishes))
    cook = story.sends(BERT, "cook", count=5)
    sell = story.sends(ANNA, "sell", count=1)
    story.hears(ANNA, sell, "error", NO_DISHES)
    said = story.applies("cook", 5)
    story.hears(BERT, cook, "cook", said)
    story.hears(ANNA, 0, "cook", said)
    assert judge(story.ends(), CATALOGUE).lines == []
    story.now_s += 1
    sell = story.sends(ANNA, "sell", count=1)
    story.hears(ANNA, sell, "error", NO_DISHES)
    assert violated(story.ends()) == {"refused"}


@pytest.mark.parametrize(
    ("loses", "began_s", "ended_s", "excused"),
    [
        ("all", -2.0, 0.0, True),
        ("all", -2.0, -1.9, True),  # a moment behind it
        ("all", -9.0, -7.0, False),  # long over by the refusal
        ("all", 0.5, 1.0, False),  # later
        ("unanswered", -2.0, 0.0, False),
        ("", -2.0, 0.0, False),
    ],
)
def test_a_refusal_is_right_where_the_session_had_fallen_back(
    loses: str, began_s: float, ended_s: float, *, excused: bool
) -> None:
    """A master that lacked the last cook had nothing to sell; then PostgreSQL gave the cook back."""
    story = played()
    story.does(ANNA, "sell", int(story.live.session.dishes))
    story.now_s += 3
    story.does(ANNA, "cook", 5)
    story.now_s += 1
    sell = story.sends(ANNA, "sell", count=1)
    story.hears(ANNA, sell, "error", NO_DISHES)
    story.add(Faulted(story.now_s + began_s, story.now_s + ended_s, "failover", "", loses=loses))
    assert violated(story.ends()) == (set() if excused else {"refused"})


def test_a_history_is_read_as_it_was_written(tmp_path: Path) -> None:
    """A run's events can be judged again."""
    history = played().ends()
    history.write(tmp_path / "history")
    assert read_events(tmp_path / "history") == history.events


@pytest.mark.parametrize(("broken", "promises"), BROKEN)
def test_what_is_broken_is_found(broken: Callable[[], History], promises: set[str]) -> None:
    """Each kind of fault breaks the promise that it is about."""
    found = judge(broken(), CATALOGUE)
    assert promises <= set(found.violations), found.lines
