"""Work that can wait takes turns, a few in each pass of the event loop."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from runtime.turns import Turns

if TYPE_CHECKING:
    from collections.abc import Callable


async def passes(count: int) -> None:
    """Let the loop make so many passes."""
    for _ in range(count):
        await asyncio.sleep(0)


async def test_a_pass_takes_four_and_the_next_but_one_goes_on() -> None:
    """In their order, none at once; the pass between belongs to what the turns began."""
    turns = Turns(asyncio.get_running_loop(), clock=lambda: 0.0)
    taken: list[int] = []

    def work(number: int) -> Callable[[], None]:
        return lambda: taken.append(number)

    for number in range(10):
        turns.add(work(number))
    assert (taken, len(turns)) == ([], 10)
    counts = []
    for _ in range(7):
        await passes(1)
        counts.append(len(taken))
    assert counts == [4, 4, 8, 8, 10, 10, 10]
    assert taken == list(range(10))


async def test_no_turn_begins_when_the_pass_has_had_its_quarter_of_a_millisecond() -> None:
    """One that takes long is the last of its pass."""
    now_s = 0.0
    turns = Turns(asyncio.get_running_loop(), clock=lambda: now_s)
    taken: list[float] = []

    def slow() -> None:
        nonlocal now_s
        now_s += 0.00015
        taken.append(now_s)

    for _ in range(5):
        turns.add(slow)
    counts = []
    for _ in range(5):
        await passes(1)
        counts.append(len(taken))
    assert counts == [2, 2, 4, 4, 5]


async def test_a_fault_in_one_turn_takes_no_other_its_turn() -> None:
    """The loop reports it, and the rest goes on."""
    loop = asyncio.get_running_loop()
    reported: list[dict[str, object]] = []
    before = loop.get_exception_handler()
    loop.set_exception_handler(lambda _, context: reported.append(context))
    turns = Turns(loop)
    taken: list[str] = []

    def broken() -> None:
        raise KeyError("broken")

    turns.add(broken)
    turns.add(lambda: taken.append("after"))
    await passes(3)
    loop.set_exception_handler(before)
    assert taken == ["after"]
    assert [type(context["exception"]) for context in reported] == [KeyError]


@pytest.mark.parametrize("added", [1, 9])
async def test_turns_that_are_added_by_turns_wait_for_the_next_pass(added: int) -> None:
    """A peer that is never done does not keep the loop."""
    turns = Turns(asyncio.get_running_loop(), clock=lambda: 0.0)
    taken = 0

    def again() -> None:
        nonlocal taken
        taken += 1
        turns.add(again)

    for _ in range(added):
        turns.add(again)
    await passes(1)
    assert taken == min(added, 4)
