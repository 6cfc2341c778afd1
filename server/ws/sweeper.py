"""One clock for all connections: pings, silence and close time-outs without a timer for each.

Connections wait in buckets, one for each tick to come; a tick costs only what is due at it. Time is counted
in ticks that this process really made, so a process that was stopped for a minute drops nobody for it.
"""

from __future__ import annotations

import asyncio
import math
from typing import Protocol


class Swept(Protocol):
    """What waits for a tick. `due_tick` belongs to the sweeper; 0 while not waiting."""

    due_tick: int

    def swept(self) -> None:
        """Do the work that is due; called once, a connection that needs more asks again. Must not raise."""


class Sweeper:
    """The clock of one event loop. `tick` grows by one every `tick_s` seconds once started."""

    __slots__ = ("_buckets", "_timer", "tick", "tick_s")

    def __init__(self, tick_s: float = 1.0) -> None:
        self.tick = 1
        self.tick_s = tick_s
        self._buckets: dict[int, set[Swept]] = {}
        self._timer: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Begin to tick on the running loop."""
        self._timer = asyncio.get_running_loop().call_later(self.tick_s, self._on_timer)

    def stop(self) -> None:
        """Stop ticking; what waits is left as it is."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def ticks(self, seconds: float) -> int:
        """How many ticks cover `seconds`, at least one."""
        return max(1, math.ceil(seconds / self.tick_s))

    def schedule(self, swept: Swept, ticks: int) -> None:
        """Call `swept` at the `ticks`-th tick from now (at least 1), in place of any earlier wish."""
        self.cancel(swept)
        due = self.tick + ticks
        swept.due_tick = due
        bucket = self._buckets.get(due)
        if bucket is None:
            self._buckets[due] = {swept}
        else:
            bucket.add(swept)

    def cancel(self, swept: Swept) -> None:
        """Forget `swept`; nothing happens when it does not wait."""
        due = swept.due_tick
        if due:
            swept.due_tick = 0
            bucket = self._buckets[due]
            bucket.discard(swept)
            if not bucket:
                del self._buckets[due]

    def advance(self) -> None:
        """Make one tick: call everything that is due."""
        self.tick += 1
        due = self._buckets.get(self.tick)
        while due:
            swept = next(iter(due))
            self.cancel(swept)
            swept.swept()

    def _on_timer(self) -> None:
        self.start()
        self.advance()
