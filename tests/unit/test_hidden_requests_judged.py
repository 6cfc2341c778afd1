"""The chaos run's judge over requests without an answer: where they may have been applied, and where not."""

from __future__ import annotations

import pytest

from game import rules
from scripts.chaos.history.events import Faulted
from tests.support.histories import (
    ANNA,
    BERT,
    Story,
    judged,
    resent,
    unanswered,
    violated,
)

CAP_S = 28_800


def shown_as_level_up(story: Story) -> dict[str, object]:
    """Return what a `level_up` without enough xp is answered with: nothing of dishes and money."""
    state = story.live.session
    return {"current_rank": state.rank, "current_xp": state.xp / 100, "version": state.version}


def reads_xp(story: Story, connection: int, **tag: object) -> None:
    """Let a tab ask for a level without the xp for one."""
    request = story.sends(connection, "level_up", **tag)
    story.hears(connection, request, "level_up", shown_as_level_up(story))


@pytest.mark.parametrize("loses", ["", "unanswered"])
@pytest.mark.parametrize("cooks", [(3,), (3, 2, 2)], ids=["one", "more"])
def test_what_an_answered_reset_hides_shows_in_the_totals_of_the_end(
    cooks: tuple[int, ...], loses: str
) -> None:
    """Cooks were applied whose answers were lost, then a reset was answered, which says nothing of them."""
    story = Story(accumulated=25_000.0)
    unanswered(story, *cooks)
    for count in cooks:
        story.applies("cook", count)
    story.closes(ANNA, 1006)
    story.does(BERT, "session_reset")
    if loses:
        story.add(Faulted(0.0, 1.0, "failover", "", loses=loses))
    assert judged(story) == []


def test_totals_that_no_hidden_request_explains_are_found() -> None:
    """More was cooked before an answered reset than anybody had asked for."""
    story = Story(accumulated=25_000.0)
    unanswered(story, 3)
    story.applies("cook", 3)
    story.applies("cook", 1)
    story.closes(ANNA, 1006)
    story.does(BERT, "session_reset")
    assert "a state of" in "".join(judged(story))


def test_a_duplicate_that_the_totals_of_the_end_leave_out_was_never_applied() -> None:
    """A reset would hide it, but then more would have been cooked in all than was."""
    story = Story(accumulated=25_000.0)
    (cook,) = unanswered(story, 3)
    story.sends(BERT, "session_reset")
    story.applies("session_reset")
    story.closes(BERT, 1006)
    story.opens(3, "bert")
    resent(story, 3, (cook, 3))
    assert "linearizable" in violated(story.ends())


def left_open() -> Story:
    """Begin with an answer that a sell or a cook may have come before: it says the xp alone."""
    story = Story()
    story.does(ANNA, "cook", 1)
    story.sends(ANNA, "sell", count=1)
    story.sends(ANNA, "cook", count=1)
    story.applies("cook", 1)
    reads_xp(story, BERT)
    return story


def test_what_an_answer_left_open_is_decided_by_what_is_said_later() -> None:
    """A sell and a cook of one leave the same xp, and that alone is said; later dishes show which it was."""
    story = left_open()
    story.does(BERT, "cook", 1)
    assert judged(story) == []


def test_two_requests_that_did_the_same_once_change_places() -> None:
    """A sell of 20 sold the 3 that there were, as one of 1000 would have, and that one sold 30 later."""
    story = Story()
    story.does(BERT, "cook", 3)
    asked = {"client": "u", "count": 1000, "seq": 1}, {"client": "u", "count": 20, "seq": 2}
    for each in asked:
        story.sends(ANNA, "sell", **each)
    story.hears(BERT, 0, "sell", story.applies("sell", 20))
    story.does(BERT, "cook", 30)
    story.applies("sell", 1000)
    story.reads(BERT)
    for each in asked:
        again = story.sends(BERT, "sell", **each)
        state = story.live.session
        amounts = {"dishes": state.dishes, "money": state.money, "xp": state.xp / 100}
        again_said = {**amounts, "applied": 0, "duplicate": True, "version": state.version}
        story.hears(BERT, again, "sell", again_said)
    assert judged(story) == []


def test_what_no_way_before_explains_is_found() -> None:
    """Neither the sell nor the cook leaves so many dishes."""
    story = left_open()
    story.live.session.dishes += 1
    story.does(BERT, "cook", 1)
    assert "cook of" in "".join(judged(story))


def test_a_level_that_was_not_reached_may_be_by_the_same_request_on_its_way() -> None:
    """Its first sending was held up; the second came before there was enough xp, the first one after."""
    story = Story()
    story.sends(ANNA, "level_up", client="u", seq=1)
    story.closes(ANNA, 1006)
    reads_xp(story, BERT, client="u", seq=1)
    while story.live.session.xp < 100 * story.live.rates.need:
        story.does(BERT, "cook", 20)
    rules.level_up(story.live, int(story.now_s * 1e6) + 1000, CAP_S)
    story.reads(BERT)
    assert judged(story) == []


def test_what_was_heard_of_before_it_was_sent_was_made_by_nobody() -> None:
    """A cook of five is heard of, and only then one is sent: also where its version is heard of once more."""
    story = Story()
    story.hears(BERT, 0, "cook", story.applies("cook", 5))
    story.sends(ANNA, "cook", count=5)
    story.closes(ANNA, 1006)
    story.reads(BERT)
    assert "cook of 2000" in "".join(judged(story))
