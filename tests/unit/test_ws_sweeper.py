"""The shared clock calls everyone when due, once, and forgets who left."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from server.ws.sweeper import Sweeper
from tests.support.limits import LIMIT_S


@dataclass(eq=False)
class Sleeper:
    """Something that waits, and may wait again when it is called."""

    sweeper: Sweeper
    again_ticks: int = 0
    due_tick: int = 0
    called_at: list[int] = field(default_factory=list)

    def swept(self) -> None:
        """Note the tick."""
        self.called_at.append(self.sweeper.tick)
        if self.again_ticks:
            self.sweeper.schedule(self, self.again_ticks)


def test_each_is_called_at_its_tick_and_once() -> None:
    """A tick calls what is due at it, and nothing twice."""
    sweeper = Sweeper()
    sleepers = [Sleeper(sweeper) for _ in range(4)]
    for sleeper, ticks in zip(sleepers, (1, 3, 3, 5), strict=True):
        sweeper.schedule(sleeper, ticks)
    for _ in range(10):
        sweeper.advance()
    assert [sleeper.called_at for sleeper in sleepers] == [[2], [4], [4], [6]]


def test_who_asks_again_waits_again() -> None:
    """A sleeper that schedules itself while being called is called at every interval."""
    sweeper = Sweeper()
    sleeper = Sleeper(sweeper, again_ticks=2)
    sweeper.schedule(sleeper, 1)
    for _ in range(6):
        sweeper.advance()
    assert sleeper.called_at == [2, 4, 6]


def test_a_newer_wish_replaces_the_older_and_a_cancelled_one_leaves_nothing() -> None:
    """Rescheduling moves, cancelling removes; cancelling again does nothing."""
    sweeper = Sweeper()
    moved, gone = Sleeper(sweeper), Sleeper(sweeper)
    sweeper.schedule(moved, 1)
    sweeper.schedule(moved, 3)
    sweeper.schedule(gone, 2)
    sweeper.cancel(gone)
    sweeper.cancel(gone)
    for _ in range(4):
        sweeper.advance()
    assert (moved.called_at, gone.called_at, sweeper._buckets) == ([4], [], {})


def test_seconds_become_whole_ticks() -> None:
    """A time is never cut short by the length of a tick, and never none."""
    assert [Sweeper(0.25).ticks(1), Sweeper(1).ticks(1.5), Sweeper(1).ticks(0)] == [4, 2, 1]


async def test_it_ticks_by_itself_until_it_is_stopped() -> None:
    """Once started, the loop makes the ticks; stopping ends them."""
    sweeper = Sweeper(tick_s=0.001)
    ticked = asyncio.Event()

    class Waiter(Sleeper):
        def swept(self) -> None:
            ticked.set()

    sweeper.schedule(Waiter(sweeper), 3)
    sweeper.start()
    async with asyncio.timeout(LIMIT_S):
        await ticked.wait()
    sweeper.stop()
    assert sweeper.tick >= 4
    assert sweeper._timer is None
