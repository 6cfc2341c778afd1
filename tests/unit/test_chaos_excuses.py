"""What a fault excuses in a chaos run, and what it cost; the same for a busy machine and the recorder."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace

import pytest

from scripts.chaos.history.events import Event, Faulted, Heard, Lagged, Quit
from scripts.chaos.history.impact import Impact, add_impacts
from scripts.chaos.history.judge import judge
from tests.support.broken_histories import push_of
from tests.support.histories import ANNA, BERT, CATALOGUE, UNAVAILABLE, played, violated, without


def is_refusal(event: Event) -> bool:
    """Tell whether an event is an answer `unavailable`."""
    return isinstance(event, Heard) and event.data.get("code") == "unavailable"


def test_times_wait_for_faults_and_for_the_recorder() -> None:
    """What comes 2 s after the end of a fault, or of a standstill of the recorder, comes in time."""
    story = played()
    said = story.does(ANNA, "cook", 5)
    without(story.history, Heard, push_of(BERT, said["version"]))
    at_s = story.now_s
    story.now_s += 11
    story.hears(BERT, 0, "session", story.shown())
    history = story.ends()
    assert violated(history) == {"told"}
    for excuse in (Faulted(at_s - 1, at_s + 10, "clients cut off", ""), Lagged(at_s + 10, 9.5)):
        history.events.append(excuse)
        assert violated(history) == set()
        history.events.remove(excuse)


def test_a_request_of_before_a_fault_may_be_refused_within_it() -> None:
    """It was sent in calm and answered once a fault had begun; an answer before the fault is not excused."""
    story = played()
    request = story.sends(ANNA, "cook")
    story.now_s += 1
    story.hears(ANNA, request, "error", {"code": "unavailable"})
    history = story.ends()
    assert "served" in violated(history)
    for begins_s, is_excused in ((story.now_s - 0.5, True), (story.now_s + 0.5, False)):
        fault = Faulted(begins_s, begins_s + 1, "roles exchanged", "", loses="unanswered")
        history.events.append(fault)
        assert ("served" not in violated(history)) is is_excused
        history.events.remove(fault)


def test_what_a_busy_machine_cannot_serve_in_time_may_be_refused() -> None:
    """A server gives up after 1 s and more, whatever the patience; what it refuses at once is no excuse."""
    story = played()
    request = story.sends(ANNA, "session")
    story.hears(ANNA, request, "error", {"code": "unavailable"})
    history = story.ends()
    assert [violated(history, patience) for patience in (1, 3)] == [{"served"}, {"served"}]
    answer = history.events.pop(next(at for at, each in enumerate(history.events) if is_refusal(each)))
    assert isinstance(answer, Heard)
    history.events.append(replace(answer, at_s=answer.at_s + 2.5))
    assert [violated(history, patience) for patience in (1, 3)] == [{"served"}, set()]


def test_a_start_may_be_given_up_while_a_database_is_away() -> None:
    """A supervisor starts such a program again; one that ends in calm, or for another reason, is wrong."""
    story = played()
    story.add(Faulted(story.now_s, story.now_s + 12, "Redis killed (-9)", ""))
    quit_ = Quit(story.now_s + 1, story.now_s + 11, "carl", 2, lacked_database=True)
    story.add(quit_)
    history = story.ends()
    assert judge(history, CATALOGUE).lines == []
    for wrong in (
        replace(quit_, lacked_database=False),
        replace(quit_, started_s=story.now_s + 40, at_s=story.now_s + 50),
    ):
        history.events.append(wrong)
        assert violated(history) == {"ends"}
        history.events.remove(wrong)
    cut = replace(next(each for each in history.events if isinstance(each, Faulted)), kind="clients cut off")
    events = [cut if isinstance(each, Faulted) else each for each in history.events]
    assert violated(replace(history, events=events)) == {"ends"}


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
