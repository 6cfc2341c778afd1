"""Made-up histories of a chaos run, each broken in one way, and the promise that it breaks."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from scripts.chaos.history.events import (
    Ended,
    Faulted,
    Health,
    Heard,
    History,
    Logged,
    LoggedIn,
    Revoked,
    Saved,
)
from tests.support.histories import ANNA, BERT, NO_DISHES, OVEN, UNAVAILABLE, Story, played, without

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


def push_of(connection: int, version: int) -> Callable[[Heard], bool]:
    """Make what picks the push of a version to a connection."""

    def wanted(heard: Heard) -> bool:
        at_tab = heard.connection == connection and heard.request == 0
        return at_tab and heard.data.get("version") == version

    return wanted


# One broken history for each kind of fault. Each returns the history; its name says what happened.


def a_push_is_dropped() -> History:
    """Tell of a tab that missed one change and only listens on: the snapshot went elsewhere."""
    story = played()
    said = story.does(ANNA, "cook", 5)
    return without(story.ends(), Heard, push_of(BERT, said["version"]))


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
    without(story.history, Heard, push_of(BERT, said["version"]))
    story.does(BERT, "cook", 1)
    return story.ends()


def a_duplicate_overtakes() -> History:
    """Tell of a duplicate with a version above a sell that its tab was never told of."""
    story = played()
    said = story.does(ANNA, "sell", 1)
    without(story.history, Heard, push_of(BERT, said["version"]))
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


def a_sell_is_refused_with_dishes_there() -> History:
    """Tell of a sell that is refused for want of dishes, of which there were some all the time."""
    story = played()
    request = story.sends(ANNA, "sell", count=1)
    story.hears(ANNA, request, "error", NO_DISHES)
    return story.ends()


def a_request_is_refused_that_was_applied() -> History:
    """Tell of a sell that sold all, and is refused when it is sent again."""
    story = played()
    dishes = int(story.live.session.dishes)
    story.does(ANNA, "sell", dishes, client="a", seq=9)
    request = story.sends(ANNA, "sell", count=dishes, client="a", seq=9)
    story.hears(ANNA, request, "error", NO_DISHES)
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


BROKEN: Final[Sequence[tuple[Callable[[], History], set[str]]]] = (
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
    (a_sell_is_refused_with_dishes_there, {"refused"}),
    (a_request_is_refused_that_was_applied, {"refused"}),
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
)
"""Each kind of fault that the judges claim to find, and what must be found of it at least."""
