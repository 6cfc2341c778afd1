"""The chaos run's judges over made-up histories: a good one passes, each broken one is found.

The parameters of `test_what_is_broken_is_found` are the kinds of faults that the judges claim to find.
"""

from __future__ import annotations

import subprocess
import sys
from collections import defaultdict
from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest

from scripts.chaos.broken import BREAKS
from scripts.chaos.history.events import (
    Ended,
    Faulted,
    Health,
    Heard,
    History,
    Lagged,
    Logged,
    LoggedIn,
    Revoked,
    Saved,
    read_events,
)
from scripts.chaos.history.impact import Impact, add_impacts
from scripts.chaos.history.judge import judge
from scripts.chaos.plan import Kind, plan
from scripts.chaos.proof import PROOFS
from scripts.chaos.world import WORLDS
from tests.support.game_server import REPOSITORY
from tests.support.histories import ANNA, BERT, CATALOGUE, Story, played, without

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

OVEN = 70
UNAVAILABLE = {"code": "unavailable", "maybe_applied": True}


def violated(history: History) -> set[str]:
    """Judge a history; return the names of the promises that were broken."""
    return set(judge(history, CATALOGUE).violations)


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


def test_a_later_state_in_time_stands_for_a_change() -> None:
    """A tab was cut off from what was published, and soon shown the session."""
    story = played()
    said = story.does(ANNA, "cook", 5)
    history = without(story.history, Heard, _push(BERT, said["version"]))
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


def test_times_wait_for_faults_and_for_the_recorder() -> None:
    """What comes 2 s after the end of a fault, or of a standstill of the recorder, comes in time."""
    story = played()
    said = story.does(ANNA, "cook", 5)
    without(story.history, Heard, _push(BERT, said["version"]))
    at_s = story.now_s
    story.now_s += 11
    story.hears(BERT, 0, "session", story.shown())
    history = story.ends()
    assert violated(history) == {"told"}
    for excuse in (Faulted(at_s - 1, at_s + 10, "clients cut off", ""), Lagged(at_s + 10, 9.5)):
        history.events.append(excuse)
        assert violated(history) == set()
        history.events.remove(excuse)


def test_what_a_fault_cost_is_put_down_to_it() -> None:
    """A refused click, a lost connection and the time until both tabs play on are those of the fault."""
    story = played()
    at_s = story.now_s
    request = story.sends(ANNA, "cook", count=1)
    story.hears(ANNA, request, "error", UNAVAILABLE)
    story.closes(BERT, 1006)
    story.add(Faulted(at_s, story.now_s + 0.5, "Redis killed", ""))
    story.opens(3, "bert")
    story.does(ANNA, "cook", 1)
    impacts: dict[str, Impact] = defaultdict(Impact)
    add_impacts(story.ends(), impacts)
    cost = impacts["Redis killed"]
    assert (cost.times, cost.refused, cost.lost) == (1, 1, 1)
    assert cost.recovered_s == cost.alone_s == [pytest.approx(1.6)]


def test_a_plan_follows_from_its_seed_and_has_every_kind() -> None:
    """The same seed breaks the same things at the same moments."""
    faults = plan(5, 60, len(Kind))
    assert faults == plan(5, 60, len(Kind))
    assert faults != plan(6, 60, len(Kind))
    assert {fault.kind for fault in faults} == set(Kind)
    assert all(earlier.at_s <= later.at_s for earlier, later in pairwise(faults))


def test_every_break_has_a_proof() -> None:
    """What is broken on purpose is played with, in a world that there is."""
    assert set(BREAKS) == set(PROOFS)
    assert {proof.world for proof in PROOFS.values()} <= set(WORLDS)


def test_every_break_fits_the_server() -> None:
    """What a break changes is there to be changed; in a process of its own, which is broken afterwards."""
    every = "from scripts.chaos.broken import BREAKS\nfor each in BREAKS.values(): each()"
    subprocess.run([sys.executable, "-c", every], check=True, cwd=REPOSITORY)


def test_a_history_is_read_as_it_was_written(tmp_path: Path) -> None:
    """A run's events can be judged again."""
    history = played().ends()
    history.write(tmp_path / "history")
    assert read_events(tmp_path / "history") == history.events


def _push(connection: int, version: int) -> Callable[[Heard], bool]:
    def wanted(heard: Heard) -> bool:
        at_tab = heard.connection == connection and heard.request == 0
        return at_tab and heard.data.get("version") == version

    return wanted


# One broken history for each kind of fault. Each returns the history; its name says what happened.


def a_push_is_dropped() -> History:
    """Tell of a tab that missed one change and only listens on: the snapshot went elsewhere."""
    story = played()
    said = story.does(ANNA, "cook", 5)
    return without(story.ends(), Heard, _push(BERT, said["version"]))


def a_subscription_never_comes_back() -> History:
    """Tell of a tab that hears nothing more."""
    story = played()
    story.joined.remove(BERT)
    for _ in range(3):
        story.does(ANNA, "cook", 5)
    return story.ends()


def the_senders_own_tabs_are_left_out() -> History:
    """Tell of a request answered `maybe_applied`, of which only another process hears."""
    story = played()
    story.opens(3, "anna")
    request = story.sends(ANNA, "cook", count=5)
    said = story.applies("cook", 5)
    story.hears(ANNA, request, "error", UNAVAILABLE)
    story.hears(BERT, 0, "cook", said)
    return story.ends()


def a_click_hides_what_was_missed() -> History:
    """Tell of a tab that missed a sell, and has a higher version by a cook of its own."""
    story = played()
    said = story.does(ANNA, "sell", 1)
    without(story.history, Heard, _push(BERT, said["version"]))
    story.does(BERT, "cook", 1)
    return story.ends()


def a_duplicate_overtakes() -> History:
    """Tell of a duplicate with a version above a sell that its tab was never told of."""
    story = played()
    said = story.does(ANNA, "sell", 1)
    without(story.history, Heard, _push(BERT, said["version"]))
    state = story.live.session
    again = story.sends(BERT, "cook", count=5, client="a", seq=2)
    data = {"dishes": state.dishes, "xp": state.xp / 100, "applied": 0, "duplicate": True}
    story.hears(BERT, again, "cook", {**data, "version": state.version + 1})
    return story.ends()


def a_revoked_tab_plays_on() -> History:
    """Tell of a connection that stays open after a log-out."""
    story = played()
    story.add(Revoked(story.now_s, "anna", "family-1"))
    story.now_s += 10
    story.does(ANNA, "cook", 1)
    return story.ends()


def a_revoked_tab_stays_open() -> History:
    """Tell of a connection that is closed too late."""
    story = played()
    story.add(Revoked(story.now_s, "anna", "family-1"))
    story.now_s += 10
    story.closes(ANNA, 4001)
    return story.ends()


def a_client_is_forgotten() -> History:
    """Tell of a request that was sent again and applied twice."""
    story = played()
    for _ in range(2):
        story.does(ANNA, "cook", 5, client="b", seq=1)
    return story.ends()


def a_number_is_forgotten() -> History:
    """Tell of a `session` that does not know an applied number."""
    story = played()
    request = story.sends(ANNA, "session", client="a")
    story.hears(ANNA, request, "session", {**story.shown(), "last_seq": 2})
    return story.ends()


def a_version_goes_backwards() -> History:
    """Tell of a session that is older than the last answer."""
    story = played()
    before = story.shown()
    story.does(ANNA, "cook", 5)
    story.hears(ANNA, 0, "session", before)
    return story.ends()


def an_answer_is_older_than_one_before() -> History:
    """Tell of a second server that reads what was there before an answer that had come."""
    story = played()
    before = story.shown()
    story.joined.remove(BERT)
    story.does(ANNA, "cook", 5)
    request = story.sends(BERT, "session")
    story.hears(BERT, request, "session", before)
    return story.ends()


def an_answered_change_is_lost() -> History:
    """Tell of a cook that was answered, and is gone."""
    story = played()
    state = story.live.session
    before = replace(state, bought=dict(state.bought))
    story.does(ANNA, "cook", 5)
    before.version = state.version
    story.live.session = before
    story.does(ANNA, "cook", 5)
    return story.ends()


def an_answer_says_too_much() -> History:
    """Tell of an answer with a dish more than the rules give."""
    story = played()
    said = story.does(ANNA, "cook", 5)
    said["dishes"] += 1
    return story.ends()


def another_games_change_is_told() -> History:
    """Tell of a cook that none of the player's tabs asked for."""
    story = played()
    said = {"dishes": 999.0, "xp": 1.0, "applied": 1, "version": story.live.session.version + 1}
    story.hears(BERT, 0, "cook", said)
    return story.ends()


def income_is_paid_twice() -> History:
    """Tell of an oven that cooks for more seconds than there were."""
    story = Story(bought=(1, OVEN))
    story.earns(60)
    story.does(ANNA, "cook", 5)
    before_s = story.now_s
    story.earns(600)
    story.now_s = before_s + 60
    return story.ends()


def a_duplicate_was_never_applied() -> History:
    """Tell of a request called a duplicate that nobody applied."""
    story = played()
    state = story.live.session
    request = story.sends(ANNA, "cook", count=6, client="a", seq=7)
    said = {"dishes": state.dishes, "xp": state.xp / 100, "applied": 0, "duplicate": True}
    story.hears(ANNA, request, "cook", {**said, "version": state.version})
    return story.ends()


def a_change_is_told_twice() -> History:
    """Tell of a tab that hears the same cook again."""
    story = played()
    said = story.does(ANNA, "cook", 5)
    story.hears(BERT, 0, "cook", said)
    return story.ends()


def a_hidden_change_is_told_to_nobody() -> History:
    """Tell of a request whose sender is gone, and of which nobody else ever hears."""
    story = played()
    story.sends(ANNA, "cook", count=5)
    story.applies("cook", 5)
    story.closes(ANNA, 1006)
    return story.ends()


def a_request_is_never_answered() -> History:
    """Tell of a request whose answer never comes, on a connection that stays."""
    story = played()
    story.sends(ANNA, "session")
    return story.ends()


def answers_change_places() -> History:
    """Tell of two requests that are answered the wrong way round."""
    story = played()
    first, second = story.sends(ANNA, "session"), story.sends(ANNA, "session")
    for request in (second, first):
        story.hears(ANNA, request, "session", story.shown())
    return story.ends()


def clicks_are_refused_for_ever() -> History:
    """Tell of a server that says `unavailable` with no fault near, and calls itself ok."""
    story = played()
    for _ in range(6):
        request = story.sends(ANNA, "cook")
        story.hears(ANNA, request, "error", {"code": "unavailable"})
        story.add(Health(story.now_s, "anna", "ok"))
    return story.ends()


def a_graceful_failover_refuses_a_click() -> History:
    """Tell of a request that is refused while roles are exchanged in order."""
    story = played()
    request = story.sends(ANNA, "cook")
    story.hears(ANNA, request, "error", {"code": "unavailable"})
    story.add(Faulted(story.now_s - 0.5, story.now_s + 0.5, "failover", "", is_graceful=True))
    return story.ends()


def a_moved_slot_holds_a_click_up() -> History:
    """Tell of a request that waits for the end of a slot's move."""
    story = played()
    request = story.sends(ANNA, "session")
    story.add(Faulted(story.now_s - 0.5, story.now_s + 2, "slot moved", "", is_graceful=True))
    story.now_s += 1
    story.hears(ANNA, request, "session", story.shown())
    return story.ends()


def log_ins_are_refused_for_ever() -> History:
    """Tell of a log-in that is answered 503 with no fault near."""
    story = played()
    story.add(LoggedIn(story.now_s, story.now_s, "anna", "bert", 503))
    return story.ends()


def a_server_never_ends() -> History:
    """Tell of a server that goes on after it was asked to end."""
    story = played()
    story.add(Ended(story.now_s, story.now_s + 30, "bert", None))
    return story.ends()


def postgresql_stands_still() -> History:
    """Tell of changes that are not saved while play goes on."""
    story = played()
    old = story.live.session.version
    story.does(ANNA, "cook", 5)
    story.add(Saved(story.now_s + 20, "anna", old))
    story.now_s += 20
    return story.ends()


def postgresql_falls_back() -> History:
    """Tell of a flusher that writes an old version over a new one."""
    story = played()
    version = story.live.session.version
    story.add(Saved(story.now_s, "anna", version), Saved(story.now_s, "anna", version - 1))
    return story.ends()


def the_end_is_not_saved() -> History:
    """Tell of a difference between the databases when all is over."""
    history = played().ends()
    history.saved["anna"] = replace(history.saved["anna"], money=0.0)
    return history


def the_log_is_flooded() -> History:
    """Tell of a server that writes its error a hundred times a second."""
    story = played()
    story.add(Logged(story.now_s - 1, story.now_s, "anna", 100, 0))
    return story.ends()


def the_log_has_a_traceback() -> History:
    """Tell of a server that fails by an exception that nobody took."""
    story = played()
    story.add(Logged(story.now_s - 1, story.now_s, "anna", 20, 1))
    return story.ends()


@pytest.mark.parametrize(
    ("broken", "promises"),
    [
        (a_push_is_dropped, {"told"}),
        (a_subscription_never_comes_back, {"told"}),
        (the_senders_own_tabs_are_left_out, {"told"}),
        (a_click_hides_what_was_missed, {"told"}),
        (a_duplicate_overtakes, {"told"}),
        (a_revoked_tab_plays_on, {"revoked"}),
        (a_revoked_tab_stays_open, {"revoked"}),
        (a_client_is_forgotten, {"linearizable"}),
        (a_number_is_forgotten, {"remembered"}),
        (a_version_goes_backwards, {"versions", "told"}),
        (an_answer_is_older_than_one_before, {"linearizable", "told"}),
        (an_answered_change_is_lost, {"linearizable"}),
        (an_answer_says_too_much, {"linearizable"}),
        (another_games_change_is_told, {"linearizable"}),
        (income_is_paid_twice, {"linearizable"}),
        (a_duplicate_was_never_applied, {"linearizable"}),
        (a_change_is_told_twice, {"told"}),
        (a_hidden_change_is_told_to_nobody, {"told"}),
        (a_request_is_never_answered, {"answered"}),
        (answers_change_places, {"answered"}),
        (clicks_are_refused_for_ever, {"served", "honest"}),
        (a_graceful_failover_refuses_a_click, {"graceful"}),
        (a_moved_slot_holds_a_click_up, {"graceful"}),
        (log_ins_are_refused_for_ever, {"served"}),
        (a_server_never_ends, {"ends"}),
        (postgresql_stands_still, {"saved"}),
        (postgresql_falls_back, {"saved"}),
        (the_end_is_not_saved, {"saved"}),
        (the_log_is_flooded, {"quiet"}),
        (the_log_has_a_traceback, {"quiet"}),
    ],
)
def test_what_is_broken_is_found(broken: Callable[[], History], promises: set[str]) -> None:
    """Each kind of fault breaks the promise that it is about."""
    found = judge(broken(), CATALOGUE)
    assert promises <= set(found.violations), found.lines
