"""What processes compute for a player in between requests, held against what Redis says.

Two processes read the session and send from its course; Redis is asked for the same at the same time.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from game.accrual import CAP_S
from persistence.live.courses import COURSE_FIELDS, course_of
from persistence.live.keys import bucket_of
from tests.support.plain_keys import channel, dirty_key, session_key
from tests.support.wire import CLOCK_KEY

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from game.session import UserId

REQUESTING: Final = 0
LISTENING: Final = 1
"""The processes at which the player is joined."""


@dataclass(slots=True)
class _Sent:
    """What a process computed at a time: where in the replies its course is, and what Redis said."""

    process: int
    read_at: int
    asked_at: int
    now_ms: int
    stamp: str


@dataclass(slots=True)
class _Changed:
    """A change that a process heard of, or with version 0 the loss of all that it had heard."""

    process: int
    version: int


class ComputedPushes:
    """The pushes of both processes. `plain` gathers a command, returns where among the replies its own is."""

    def __init__(self, user_id: UserId, passive_sha: str, plain: Callable[..., int]) -> None:
        self._user_id = user_id
        self._key = session_key(user_id)
        self._marks_key = dirty_key(bucket_of(user_id))
        self._channel = channel(user_id)
        self._passive_sha = passive_sha
        self._plain = plain
        self._unread: set[int] = {REQUESTING, LISTENING}
        self._courses: dict[int, int] = {}
        self._sent: list[_Sent | _Changed] = []
        self.computed = 0
        """How many pushes were computed and held against Redis."""

    def overwritten(self) -> None:
        """Note that the session was changed by neither process: both read it again."""
        self._unread = {REQUESTING, LISTENING}

    def forgotten(self) -> None:
        """Note that what was shown is known no more: what comes from PostgreSQL knows of no push."""
        self._sent += (_Changed(process, 0) for process in (REQUESTING, LISTENING))

    def share(self, own: int) -> None:
        """Let the other process leave, or be there: as it comes, it reads."""
        self._unread.add(LISTENING)
        if own:
            self._courses.pop(LISTENING, None)

    def watch(self, stamp: str, own: int, now_us: int) -> None:
        """Let both processes at which the player is joined compute what they send now.

        One sends the requests, the other hears what is published. Each reads the session where it heard of a
        change. Redis is asked for the same, of a copy: it must say the same, under a higher version.
        """
        away = {LISTENING} if own else set()
        for process in sorted(self._unread - away):
            self._courses[process] = self._plain("HMGET", self._key, *COURSE_FIELDS)
        self._unread &= away
        copy, copied_marks = f"{self._key}:copy", f"{self._marks_key}:copy"
        self._plain("COPY", self._key, copy, "REPLACE")
        self._plain("SET", CLOCK_KEY, now_us)
        args = (stamp, self._user_id, f"{self._channel}:copy", 0, "elsewhere", CAP_S)
        asked_at = self._plain("EVALSHA", self._passive_sha, 2, copy, copied_marks, *args)
        now_ms = now_us // 1000
        self._sent += (
            _Sent(process, read_at, asked_at, now_ms, stamp) for process, read_at in self._courses.items()
        )
        self._plain("DEL", copied_marks)

    def heard(self, before: int, version: int, *, published: bool) -> None:
        """Note who hears of a step that took the session from the version `before` to `version`."""
        heard = {REQUESTING, LISTENING} if published else {REQUESTING}
        self._unread |= heard
        if version != before:
            self._sent += (_Changed(process, version) for process in heard)

    def hold(self, replies: Sequence[Any]) -> None:
        """Hold what was computed against what Redis said, and versions against those sent before."""
        sent = dict.fromkeys((REQUESTING, LISTENING), 0)
        for event in self._sent:
            if isinstance(event, _Changed):
                assert event.version > sent[event.process] or not event.version
                sent[event.process] = event.version
                continue
            course = course_of(replies[event.read_at], event.stamp)
            seconds = -1 if course is None else course.seconds(event.now_ms)
            if course is None or course.flow is None or seconds < 0 or not course.may_compute(event.now_ms):
                continue
            status, version, money, dishes, rank, xp, accumulated, _ = replies[event.asked_at]
            amounts = tuple(map(float, (money, dishes, xp, accumulated)))
            for before in range(max(0, seconds - 3), seconds):  # in steps, as a ticker goes
                course.shown(before)
            assert (b"ok", rank, amounts) == (status, course.rank, course.shown(seconds))
            computed = course.version + seconds
            assert computed < version or not seconds
            if computed > sent[event.process]:
                sent[event.process] = computed
                self.computed += 1
        self._sent.clear()
        self._courses.clear()
        self._unread = {REQUESTING, LISTENING}
