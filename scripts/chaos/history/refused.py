"""Refused: what was refused for good is refused by the rules, at some version between request and answer.

A request that was applied before must be answered as a duplicate instead.

Where a failover loses what was answered, a session may fall back, and be given back by PostgreSQL a little
later. Meanwhile the older state refuses by the rules too: a change of it would show in the history, a refusal
does not.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Final

from game.errors import (
    NoDish,
    NoDishes,
    NotEnoughMoney,
    NotEnoughPrestige,
    Refusal,
    UpgradeLocked,
    UpgradeNotFound,
)
from scripts.chaos.history.order import LOST_BY_S
from scripts.chaos.history.replay import ALL, HEARD_WITHIN_S
from scripts.chaos.history.said import copy_of, play

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from game.catalogue import Catalogue
    from scripts.chaos.history.events import Heard
    from scripts.chaos.history.steps import Replayed, Step
    from scripts.chaos.history.timeline import Attempt, Operation, Timeline

_OF_THE_GAME: Final = frozenset(
    kind.code
    for kind in (NoDish, NoDishes, NotEnoughMoney, NotEnoughPrestige, UpgradeLocked, UpgradeNotFound)
)


def wrongly(timeline: Timeline, replayed: Mapping[str, Replayed], catalogue: Catalogue) -> Iterator[str]:
    """Say which request was refused though no state that it may have met refuses it.

    Left out are those that may have met a state whose place among others is guessed, and those after the
    first thing that nothing explains.
    """
    for player, course in replayed.items():
        until_s = course.steps[-1].heard_s if course.fault else float("inf")
        for operation in timeline.operations[player]:
            for attempt in operation.attempts:
                for answer in attempt.answers:
                    if answer.data.get("code") in _OF_THE_GAME and answer.at_s < until_s:
                        met = [step for step in course.steps if _may_meet(step, attempt, answer)]
                        met += _fallen_back_to(course.steps, answer, timeline)
                        if not _is_right(operation, attempt, answer, met, catalogue):
                            yield f"{player}: {operation.request_type} refused with {_said(answer)}"


def _may_meet(step: Step, attempt: Attempt, answer: Heard) -> bool:
    """Tell whether a request may have been executed at a state, by the times between which that held."""
    return step.since_s <= answer.at_s and attempt.sent.at_s <= step.until_s


def _fallen_back_to(steps: Sequence[Step], answer: Heard, timeline: Timeline) -> Iterator[Step]:
    """Find the states that a session may have had again, for a while, where all behind them was lost."""
    faults = timeline.faults
    for fault in faults.faults:
        until_s = faults.deadline_s(fault.ended_s, HEARD_WITHIN_S)
        if fault.loses == ALL and fault.at_s <= answer.at_s <= until_s:
            for step, lost in pairwise(steps):
                if step.since_s <= answer.at_s and lost.heard_s >= fault.at_s - LOST_BY_S:
                    yield step


def _is_right(
    operation: Operation, attempt: Attempt, answer: Heard, met: Sequence[Step], catalogue: Catalogue
) -> bool:
    if any(applied.at_s < attempt.sent.at_s for applied in operation.applied):
        return False
    return any(step.is_guessed or _refuses(step, operation, answer, catalogue) for step in met)


def _refuses(step: Step, operation: Operation, answer: Heard, catalogue: Catalogue) -> bool:
    try:
        play(copy_of(step.session), operation, catalogue)
    except Refusal as refusal:
        return (refusal.code, refusal.message) == (answer.data["code"], answer.data["message"])
    return False


def _said(answer: Heard) -> str:
    return f"{answer.data['code']}: {answer.data['message']}"
