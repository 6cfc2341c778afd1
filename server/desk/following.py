"""Operators who follow players: each waits for the next change, and is answered with all that came since.

Any proxy passes on an answer that waits, and the next request comes when the last answer was read: a slow
page gets more at once, not a queue.
"""

from __future__ import annotations

import asyncio
import re
import secrets
import time
from collections import deque
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, NamedTuple

from persistence.errors import LiveUnavailable
from persistence.live.lane_contract import LaneDown
from server.desk.hearing import Ear, message_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from game.catalogue import Catalogue
    from game.session import UserId
    from persistence.live.lanes import Lanes

WAIT_S: Final = 5.0
"""Then what no publication tells is looked at again, as that the session is saved."""
AT_MOST_EVERY_S: Final = 0.5
MOST_WAITING: Final = 64
MOST_OF_ONE: Final = 8
"""Requests that may wait at once, in all and of one operator."""
_MOST_LINES: Final = 100
_LEAVE_AFTER_S: Final = 30.0
_LOOK_S: Final = 5.0


class TooManyFollowError(Exception):
    """So many requests wait already."""


class Line(NamedTuple):
    """One change: when it was heard (ms of Unix time), its kind, and its data as JSON."""

    at_ms: int
    kind: str
    data: str


@dataclass(frozen=True, slots=True)
class Heard:
    """What came since the last answer; `since` goes into the next request.

    `missed`: there was more than is kept.
    """

    since: str
    lines: list[Line] = field(default_factory=list)
    missed: bool = False


class _Followed:
    """A player who is followed, and the latest changes."""

    def __init__(self, catalogue: Callable[[], Catalogue]) -> None:
        self._catalogue = catalogue
        self._newest = 0
        self.name = secrets.token_hex(4)
        """Differs from what a request says that was answered before this player was followed."""
        self.lines: deque[Line] = deque(maxlen=_MOST_LINES)
        self.number = 0
        self.changed = asyncio.Event()
        self.waiting = 0
        self.left_s = time.monotonic()

    def take(self, words: list[bytes] | None) -> None:
        """Keep a change, and wake who waits."""
        message = message_of(words, self._newest, self._catalogue())
        if message is not None:
            self._newest = message.version
            self.lines.append(Line(time.time_ns() // 1_000_000, message.kind, message.data))
            self.number += 1
            self.wake()

    def wake(self) -> None:
        """Wake who waits."""
        self.changed.set()
        self.changed = asyncio.Event()

    def since(self, number: int) -> Heard:
        """Return what came after a change of this number."""
        more = self.number - number
        lines = list(self.lines)[-more:] if more > 0 else []
        return Heard(f"{self.name}.{self.number}", lines, missed=more > len(lines))


class Following:
    """Waits for changes on connections to Redis of its own. Run `run` in a supervised task.

    The connections are opened for the first player who is followed, and ended some time after the last.
    """

    def __init__(self, make_lanes: Callable[[], Lanes], catalogue: Callable[[], Catalogue]) -> None:
        self._make_lanes = make_lanes
        self._catalogue = catalogue
        self._opening = asyncio.Lock()
        self._lanes: Lanes | None = None
        self._ear: Ear | None = None
        self._followed: dict[UserId, _Followed] = {}
        self._waiting: dict[str, int] = {}
        self._ended = False

    async def run(self) -> None:
        """Let go of players whom nobody follows any more; at the end, of the connections."""
        try:
            while True:
                await asyncio.sleep(_LOOK_S)
                await self._leave()
        finally:
            await self._close()

    def end(self) -> None:
        """Answer all who wait, and let nobody wait any more."""
        self._ended = True
        for followed in self._followed.values():
            followed.wake()

    def hears(self, user_id: UserId) -> bool:
        """Say whether this is one of the processes that Redis counts for a player."""
        return user_id in self._followed and self._ear is not None and self._ear.hears(user_id)

    async def wait(self, operator: str, user_id: UserId, since: str) -> Heard:
        """Return what came after the answer that said `since`, once there is something, or in five seconds.

        Without a `since`, or with one of long ago, at once. Raises TooManyFollowError, or LiveUnavailable
        where Redis is away: the same again is safe.
        """
        begun_s = time.monotonic()
        with self._place(operator):
            followed = await self._follow(user_id)
            followed.waiting += 1
            try:
                number = _number_of(since, followed)
                if number is None:
                    return followed.since(followed.number)
                if followed.number == number and not self._ended:
                    await _within(followed.changed, WAIT_S)
                if not self._ended:
                    await asyncio.sleep(max(0.0, begun_s + AT_MOST_EVERY_S - time.monotonic()))
                return followed.since(number)
            finally:
                followed.waiting -= 1
                followed.left_s = time.monotonic()

    @contextmanager
    def _place(self, operator: str) -> Iterator[None]:
        of_one = self._waiting.get(operator, 0)
        if of_one >= MOST_OF_ONE or sum(self._waiting.values()) >= MOST_WAITING:
            raise TooManyFollowError
        self._waiting[operator] = of_one + 1
        try:
            yield
        finally:
            self._waiting[operator] -= 1
            if not self._waiting[operator]:
                del self._waiting[operator]

    async def _follow(self, user_id: UserId) -> _Followed:
        async with self._opening:
            if self._ear is None:
                self._lanes = self._make_lanes()
                self._ear = ear = Ear(self._lanes)
                try:
                    await self._lanes.start(ear)
                except LaneDown as error:
                    await self._close()
                    raise LiveUnavailable(str(error)) from error
            followed = self._followed.get(user_id)
            if followed is None:
                followed = self._followed[user_id] = _Followed(self._catalogue)
                self._ear.follow(user_id, followed.take)
            return followed

    async def _leave(self) -> None:
        async with self._opening:
            long_ago_s = time.monotonic() - _LEAVE_AFTER_S
            for user_id, followed in list(self._followed.items()):
                if not followed.waiting and followed.left_s < long_ago_s and self._ear is not None:
                    del self._followed[user_id]
                    self._ear.leave(user_id)
            if not self._followed:
                await self._close()

    async def _close(self) -> None:
        lanes, self._lanes, self._ear = self._lanes, None, None
        self._followed.clear()
        if lanes is not None:
            await lanes.stop()


def _number_of(since: str, followed: _Followed) -> int | None:
    """Read up to which change a page knows a player; None where it knows nothing of this following."""
    match = re.fullmatch(r"(?P<name>[0-9a-f]{8})\.(?P<number>[0-9]{1,15})", since, re.ASCII)
    if match is None or match["name"] != followed.name:
        return None
    number = int(match["number"])
    return number if number <= followed.number else None


async def _within(event: asyncio.Event, wait_s: float) -> None:
    try:
        async with asyncio.timeout(wait_s):
            await event.wait()
    except TimeoutError:
        return
