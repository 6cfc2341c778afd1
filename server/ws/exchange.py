"""One connection's requests, and the player whose connections they are."""

from __future__ import annotations

import math
from collections import deque
from typing import TYPE_CHECKING, Final, Protocol

from server.protocol.conversation import Conversation
from server.protocol.patterns import pattern_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from game.course import Course
    from game.session import UserId
    from persistence.live.session_ref import SessionRef
    from server.protocol.fields import RequestShape
    from server.protocol.messages import Request
    from server.protocol.patterns import Pattern
    from server.ws.connection import Connection

INBOX_MESSAGES: Final = 64
INBOX_BYTES: Final = 64 * 1024
"""Past so many waiting messages, or bytes of them, the connection is not read any more until they are
answered."""

MAX_LEARNED: Final = 8
"""A connection looks for the pattern of so many messages with one token; then it keeps those it has."""


class Serving(Protocol):
    """Serves some players each second: those `awake` by their courses, others from what it keeps."""

    awake: dict[Player, None]

    def settle(self, player: Player, seconds: int, last_s: int) -> None:
        """Serve a player from what is kept, if that can be, up to a second of the course."""

    def unsettle(self, player: Player) -> None:
        """Note on a settled player and the exchanges what was sent; the player is awake behind that."""

    def remove(self, player: Player) -> None:
        """Let a player go."""


class _Watched:
    """What is looked at of each player who is awake: in front of all else, in one piece of memory."""

    __slots__ = ("active", "block", "earns", "exchanges", "place", "settled")


class Player(_Watched):
    """A player with at least one connection here.

    `course`: the session as it was last read; it holds until `active` says that something may have changed
    since: call `stir`, which sets it. `earns`: it had income without a click. From the first second on the
    player is in a `block`, at a `place`; `settled`: what was sent last is known there alone. `sent` are the
    amounts that were last sent as a whole: money, dishes, xp and stars; computed ones reach until
    `sent_until_ms`. `write_ms` is when the income is written next; both are Redis' time. `reached`: how many
    achievements the session had got to when they were last looked for. `doubts` counts how often the
    connections may have missed a change; `shown_apart` up to which of the commands that were `sent_apart`
    they were shown what lay before. `branch`: the branch of Redis' history that the connections' versions are
    of. `copied_s`: when copies were sent last, by the loop's clock; `gathers` while they are held, to be sent
    together.
    """

    __slots__ = (
        "_sent",
        "_sent_until_ms",
        "branch",
        "copied_s",
        "course",
        "doubts",
        "gathers",
        "reached",
        "ref",
        "shown_apart",
        "user_id",
        "write_ms",
    )

    def __init__(self, user_id: UserId, ref: SessionRef) -> None:
        self.user_id = user_id
        self.ref = ref
        self.exchanges: list[Exchange] = []
        self.course: Course | None = None
        self.active = True
        self.earns = False
        self._sent: tuple[object, ...] = ()
        self._sent_until_ms = 0
        self.block: Serving | None = None
        self.place = 0
        self.settled = False
        self.write_ms = 0
        self.reached = -1
        self.doubts = self.shown_apart = 0
        self.branch = ""
        self.copied_s = -math.inf
        self.gathers = False

    @property
    def sent(self) -> tuple[object, ...]:
        """The amounts that were last sent as a whole: money, dishes, xp and stars. Asking unsettles."""
        self.unsettle()
        return self._sent

    @sent.setter
    def sent(self, amounts: tuple[object, ...]) -> None:
        self.unsettle()
        self._sent = amounts

    @property
    def sent_until_ms(self) -> int:
        """Until when computed income was sent. Asking unsettles."""
        self.unsettle()
        return self._sent_until_ms

    @sent_until_ms.setter
    def sent_until_ms(self, until_ms: int) -> None:
        self.unsettle()
        self._sent_until_ms = until_ms

    def stir(self) -> None:
        """Read the session again, before anything is computed from it: something may have changed.

        Behind this, `sent` and the versions of the exchanges say what was sent.
        """
        self.active = True
        self.unsettle()
        if self.block is not None:
            self.block.awake[self] = None

    def unsettle(self) -> None:
        """Compute from the course again. Call it before the exchanges, or their versions, are looked at."""
        if self.settled and self.block is not None:
            self.block.unsettle(self)

    def note_sent(self, course: Course, seconds: int) -> None:
        """Note up to which second of the course income was sent."""
        self._sent = course.shown(seconds)
        self._sent_until_ms = course.accrued_at_ms + 1000 * seconds

    @property
    def joined(self) -> bool:
        """Whether a connection is sent the player's changes."""
        return any(exchange.joined for exchange in self.exchanges)


class Exchange(Conversation):
    """The requests of one connection: one in flight at a time, the others waiting in order.

    `busy` while a request is in flight or the pause after a refusal lasts. `leaving`: the connection is
    closed when that is over. `awaits_turn` while a token waits to be checked. `version` is the newest version
    that the connection was sent, unless the player is settled. `doubt` is the number of the player's last
    doubt by which the connection may have missed a change; 0 when it missed none. `doubt_version` is the
    version up to which it missed nothing: if the session still has that one, there was nothing to miss. 0
    where nobody can say which that is. `request` and `started_s` belong to the request in flight.
    """

    __slots__ = (
        "awaits_turn",
        "busy",
        "doubt",
        "doubt_version",
        "inbox",
        "inbox_bytes",
        "learned",
        "leaving",
        "number",
        "on_lost",
        "opened_s",
        "patterns",
        "player",
        "request",
        "started_s",
    )

    def __init__(
        self, connection: Connection, number: int, opened_s: float, on_lost: Callable[[], None]
    ) -> None:
        super().__init__()
        self.connection = connection
        self.number = number
        self.opened_s = opened_s
        self.on_lost = on_lost
        self.player: Player | None = None
        self.version = 0
        self.doubt = 0
        self.doubt_version = 0
        self.busy = self.awaits_turn = False
        self.leaving = False
        self.inbox: deque[bytes] | None = None
        self.inbox_bytes = 0
        self.request: Request | None = None
        self.patterns: tuple[Pattern, ...] = ()
        self.learned = 0
        self.started_s = 0.0

    def bind(self, token: str, user_id: UserId, family: str, expires_at_s: float) -> None:
        """Take a token that was found good, and forget how messages with another one looked."""
        super().bind(token, user_id, family, expires_at_s)
        self.patterns, self.learned = (), 0

    def learn(self, payload: bytes, request: Request, shapes: Mapping[str, RequestShape]) -> None:
        """Keep the pattern of a click that came with the connection's token: one for each type of request.

        `request` is what `payload` was parsed into. Where its token is another, nothing is learned.
        """
        if self.learned >= MAX_LEARNED or not self.token or request.token != self.token:
            return
        self.learned += 1
        request.token = self.token  # the same object, so that comparing the two takes no time
        pattern = pattern_of(payload, request, shapes)
        if pattern is not None:
            others = [one for one in self.patterns if one.request_type != pattern.request_type]
            self.patterns = (pattern, *others)

    def enqueue(self, payload: bytes) -> None:
        """Keep a message until those before it are answered; reading pauses at the bound."""
        if self.inbox is None:
            self.inbox = deque()
            self.inbox_bytes = 0
        self.inbox.append(payload)
        self.inbox_bytes += len(payload)
        if len(self.inbox) >= INBOX_MESSAGES or self.inbox_bytes >= INBOX_BYTES:
            self.connection.pause_reading()

    def next_payload(self) -> bytes | None:
        """Take the message that waits longest; None when none does."""
        inbox = self.inbox
        if not inbox:
            return None
        payload = inbox.popleft()
        if not inbox:
            self.inbox = None
            self.connection.resume_reading()
        return payload
