"""The chaos run's judge where two masters served at once: what one took is lost with it, by the rules."""

from __future__ import annotations

from dataclasses import replace

import pytest

from game.live_session import LiveSession
from scripts.chaos.history.events import Faulted, Heard
from scripts.chaos.history.judge import Judgement, judge
from scripts.chaos.history.said import copy_of
from tests.support.histories import ANNA, BERT, CATALOGUE, Story, played, violated

CARL = 3
"""One more connection, to the server that stays with the master that stays."""


def two_masters_serve(
    *, ahead: bool, cooks: tuple[int, ...] = (7, 7, 7), more_tabs: bool = False, jumps: bool = True
) -> tuple[Story, float]:
    """Tell of three cooks on each of two masters, of which the second is given up; return since when.

    Where the version is `ahead` of the clock, both give the same versions; else each one's lie between the
    other's. `cooks` are the dishes of the second one's cooks; each of the first one's is of 5.
    `more_tabs`: each change of the first master is sent to one more connection. Without `jumps` the second
    one is ahead of the first, whose state its connection alone is shown then under the next version but one.
    """
    story = played()
    if more_tabs:
        story.opens(CARL, "anna")
    story.live.session.version += 10**9 if ahead else 0
    kept, given_up = story.live, LiveSession.of(copy_of(story.live.session), CATALOGUE)
    given_up.session.version += 0 if jumps else 30_000
    since_s = story.now_s + 0.5
    story.joined.clear()
    others = [CARL] if more_tabs else []
    for count in cooks:
        story.joined += others
        story.does(ANNA, "cook", 5, client="a", seq=story.requests)
        story.joined.clear()
        story.live = given_up
        story.does(BERT, "cook", count, client="b", seq=story.requests)
        story.live = kept
    further = 30_000 if jumps else 2
    story.live.session.version = further + max(kept.session.version, given_up.session.version)
    story.now_s += 1
    story.joined += [ANNA, BERT, *others] if jumps else [BERT]
    for tab in story.joined:
        story.hears(tab, 0, "session", story.shown())
    return story, since_s


@pytest.mark.parametrize("ahead", [True, False], ids=["same versions", "versions in between"])
def test_what_a_master_took_that_was_given_up_is_told_apart(*, ahead: bool) -> None:
    """Two masters served, which only a fault without WAIT allows, and only as long as it lasts."""
    story, since_s = two_masters_serve(ahead=ahead)
    until_s = story.now_s
    story.does(BERT, "cook", 2)
    history = story.ends()
    assert "linearizable" in violated(history)

    def judgement_with(loses: str, since_s: float, until_s: float) -> Judgement:
        fault = Faulted(since_s, until_s, "failover", "", loses=loses)
        return judge(replace(history, events=[*history.events, fault]), CATALOGUE)

    allowed = judgement_with("all", since_s, until_s)
    assert allowed.lines == []
    assert (allowed.replayed["anna"].given_up, allowed.replayed["anna"].lost) == (3, 0)
    # With WAIT, before, too short, after: in each case not all of it can have been lost.
    assert "linearizable" in judgement_with("unanswered", since_s, until_s).violations
    assert "linearizable" in judgement_with("all", since_s - 5, since_s - 3).violations
    assert "linearizable" in judgement_with("all", since_s, since_s + 2).violations
    assert "linearizable" in judgement_with("all", until_s + 25, until_s + 30).violations


def test_a_master_that_was_given_up_keeps_to_the_rules_too() -> None:
    """What it answered wrongly is a violation, and so is what it gave away to the master that stayed."""
    story, since_s = two_masters_serve(ahead=True)
    story.add(Faulted(since_s, story.now_s, "failover", "", loses="all"))
    history = story.ends()
    assert judge(history, CATALOGUE).lines == []
    heard = [each for each in history.events if isinstance(each, Heard) and each.data.get("applied") == 7]
    _, second, _ = heard
    wrong = replace(second, data={**second.data, "dishes": second.data["dishes"] + 1})
    at = history.events.index(second)
    history.events[at] = wrong
    assert "linearizable" in violated(history)
    history.events[at] = second
    # A tab of the other master hears of one.
    history.events.insert(at + 1, replace(second, connection=ANNA, request=0))
    assert violated(history)


def test_two_masters_may_say_the_same_of_one_version() -> None:
    """Both counted a cook of 5 as one version: a request of each was answered, so there were two."""
    story, since_s = two_masters_serve(ahead=True, cooks=(5, 7, 7), more_tabs=True)
    history = story.ends()
    assert "linearizable" in violated(history)
    fault = Faulted(since_s, story.now_s, "failover", "", loses="all")
    allowed = judge(replace(history, events=[*history.events, fault]), CATALOGUE)
    assert allowed.lines == []
    assert (allowed.replayed["anna"].given_up, allowed.replayed["anna"].lost) == (3, 0)


def test_the_master_that_stays_may_have_counted_nearly_as_far() -> None:
    """Who comes to it is shown a version that is hardly higher, and that nobody else is shown."""
    story, since_s = two_masters_serve(ahead=True, jumps=False)
    until_s = story.now_s + 0.5
    story.joined[:] = [ANNA, BERT]
    story.does(ANNA, "cook", 5, client="a", seq=story.requests)
    history = story.ends()
    assert "linearizable" in violated(history)
    fault = Faulted(since_s, until_s, "failover", "", loses="all")
    allowed = judge(replace(history, events=[*history.events, fault]), CATALOGUE)
    assert allowed.lines == []
    assert (allowed.replayed["anna"].given_up, allowed.replayed["anna"].lost) == (3, 0)
