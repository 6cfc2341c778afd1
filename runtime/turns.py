"""Work that can wait, a little of it in every other pass of the event loop, so that clicks go in between.

One loop serves everybody: what is done in one pass for all who ask at the same moment is waited for by those
who only click. So what anybody can cause at will takes turns here.
"""

from __future__ import annotations

import time
from collections import deque
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

_MOST_IN_A_PASS: Final = 4
"""A request over HTTP is answered in a task behind its turn: reading a form may take half a millisecond."""
_BEGIN_WITHIN_S: Final = 0.00025
"""In one pass no turn begins later than this: a request over HTTP takes that long on average."""


class Turns:
    """Pieces of work in the order in which they came. Each is called once, none within `add`."""

    __slots__ = ("_clock", "_loop", "_waiting")

    def __init__(
        self, loop: asyncio.AbstractEventLoop, clock: Callable[[], float] = time.perf_counter
    ) -> None:
        self._loop = loop
        self._clock = clock
        self._waiting: deque[Callable[[], None]] = deque()

    def __len__(self) -> int:
        """Return how many wait."""
        return len(self._waiting)

    def add(self, work: Callable[[], None]) -> None:
        """Call `work` in its turn. What it raises is the loop's to report; the others go on."""
        if not self._waiting:
            self._loop.call_soon(self._run)
        self._waiting.append(work)

    def _rest(self) -> None:
        """Leave this pass to what the turns of the one before have begun."""
        self._loop.call_soon(self._run)

    def _run(self) -> None:
        """Do a pass' share. What is added meanwhile waits for the next share: I/O lies in between."""
        end_s = self._clock() + _BEGIN_WITHIN_S
        try:
            for _ in range(min(len(self._waiting), _MOST_IN_A_PASS)):
                self._waiting[0]()
                self._waiting.popleft()
                if self._clock() >= end_s:
                    break
        except BaseException:
            self._waiting.popleft()
            raise
        finally:
            if self._waiting:
                self._loop.call_soon(self._rest)
