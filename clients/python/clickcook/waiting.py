"""The requests without an answer: what is numbered, what is on its way, what is to be sent again. Pure.

Requests that change state carry `client` and a growing `seq`: one sent twice is applied once.
"""

from __future__ import annotations

from bisect import insort
from dataclasses import dataclass
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

SEQ_WINDOW: Final = 64
"""The server remembers which of a client's last 64 numbers were applied; a lower one is refused."""

COUNTED: Final = frozenset({"cook", "sell", "upgrade_buy", "level_up", "session_reset"})
"""The request types that change state, and so take a number."""


@dataclass(frozen=True, slots=True)
class KeptRequest:
    """An unanswered request as the next process goes on with it."""

    request_type: str
    data: dict[str, Any]
    seq: int


@dataclass(frozen=True, slots=True)
class Kept:
    """What the next process of the same tab needs to go on: nothing is lost and nothing counted twice."""

    client: str
    seq: int
    waiting: tuple[KeptRequest, ...]


@dataclass(slots=True, eq=False)
class Entry:
    """A request until its answer. `seq` 0 means none; `order` is its place in the queue.

    `is_own` marks those of the core itself: they belong to one connection and nobody waits for them.
    `applied`: the server is known to have counted it, though its answer was lost.
    """

    call: object
    request_type: str
    data: dict[str, Any]
    seq: int
    order: int
    is_own: bool = False
    request_id: str = ""
    token: str = ""
    times_sent: int = 0
    applied: bool = False


class Waiting:
    """The queue of a conversation: at most `size` requests of its owner, in their order."""

    def __init__(self, kept: Kept, size: int) -> None:
        self.client = kept.client
        self.size = size
        self.seq = kept.seq
        self.joined = False
        self._last_id = 0
        self._last_order = 0
        self._owned = 0
        self._to_send: list[Entry] = []
        self._in_flight: dict[str, Entry] = {}
        self._counted: dict[int, Entry] = {}
        self._returned = 0
        for request in kept.waiting:
            self._put(Entry(None, request.request_type, request.data, request.seq, 0, times_sent=1))

    def kept(self) -> Kept:
        """Give what the next process needs."""
        waiting = (KeptRequest(one.request_type, one.data, one.seq) for one in self._counted.values())
        return Kept(self.client, self.seq, tuple(waiting))

    @property
    def has_room(self) -> bool:
        """Whether a request that changes state may be added: numbers 64 apart are too far."""
        return self._owned < self.size and self.seq + 1 - self._oldest_seq < SEQ_WINDOW

    @property
    def in_flight(self) -> bool:
        """Whether the server owes an answer."""
        return bool(self._in_flight)

    @property
    def has_unsent(self) -> bool:
        """Whether something is to be sent on the connection as it is."""
        return bool(self._to_send) and not (self._in_flight and self._returned) and self._sendable > 0

    @property
    def expected(self) -> Iterator[Entry]:
        """The requests whose effect no answer has shown yet, in their order."""
        return (entry for entry in self._counted.values() if not entry.applied)

    @property
    def unanswered(self) -> int:
        """How many requests of the owner have no answer, and no effect that is known."""
        return self._owned - sum(entry.applied for entry in self._counted.values())

    def of_owner(self) -> Sequence[Entry]:
        """Return the owner's requests in their order."""
        every = [*self._in_flight.values(), *self._to_send]
        return sorted((entry for entry in every if not entry.is_own), key=attrgetter("order"))

    def add(self, call: object, request_type: str, data: dict[str, Any]) -> bool:
        """Take a request in; False where there is no room for it."""
        counted = request_type in COUNTED
        if not (self.has_room if counted else self._owned < self.size):
            return False
        if counted:
            self.seq += 1
        self._put(Entry(call, request_type, data, self.seq if counted else 0, 0))
        return True

    def greet(self) -> None:
        """Put a `session` before everything else: it joins the connection."""
        self.joined = False
        if not any(self._is_greeting(entry) for entry in (*self._to_send, *self._in_flight.values())):
            self._to_send.insert(0, Entry(None, "session", {}, 0, 0, is_own=True))

    def probe(self) -> None:
        """Ask for something small, to hear whether the connection lives."""
        self._last_order += 1
        self._to_send.append(Entry(None, "level_check", {}, 0, self._last_order, is_own=True))

    def find(self, request_id: str) -> Entry | None:
        """Return the request on its way that has this id."""
        return self._in_flight.get(request_id)

    def settle(self, entry: Entry) -> None:
        """Take a request out: its answer is final."""
        del self._in_flight[entry.request_id]
        self._owned -= not entry.is_own
        self._counted.pop(entry.seq, None)

    def again(self, entry: Entry) -> None:
        """Put a request back into its place: it is to be sent once more."""
        del self._in_flight[entry.request_id]
        insort(self._to_send, entry, key=attrgetter("order"))
        self._returned += 1

    def disconnected(self) -> None:
        """Put everything back but the core's own requests: they were of that connection."""
        self.joined = False
        every = [*self._in_flight.values(), *self._to_send]
        self._in_flight.clear()
        self._to_send = sorted((entry for entry in every if not entry.is_own), key=attrgetter("order"))
        self._returned = sum(entry.times_sent > 0 for entry in self._to_send)

    def joined_with(self, last_seq: int) -> None:
        """Take note of the highest number that the server has applied."""
        self.seq = max(self.seq, last_seq)
        for entry in self._counted.values():
            entry.applied = entry.applied or entry.seq <= last_seq

    def take_unsent(self, token: str) -> list[Entry]:
        """Return what is to be sent now, in order, each with its id. What returned waits for all answers."""
        if not self.has_unsent:
            return []
        batch, self._to_send = self._to_send[: self._sendable], self._to_send[self._sendable :]
        for entry in batch:
            self._last_id += 1
            self._returned -= entry.times_sent > 0
            entry.request_id, entry.token = str(self._last_id), token
            entry.times_sent += 1
            self._in_flight[entry.request_id] = entry
        return batch

    def wire_data(self, entry: Entry) -> dict[str, Any]:
        """Return the `data` that a request carries."""
        data = {"token": entry.token, **entry.data}
        if entry.seq or entry.request_type == "session":
            data["client"] = self.client
        if entry.seq:
            data["seq"] = entry.seq
        return data

    @property
    def _sendable(self) -> int:
        """How many of those to be sent may go: before the connection has joined, its `session` alone."""
        if self.joined:
            return len(self._to_send)
        return int(self._is_greeting(next(iter(self._to_send))))

    @property
    def _oldest_seq(self) -> int:
        return next(iter(self._counted), self.seq + 1)

    @staticmethod
    def _is_greeting(entry: Entry) -> bool:
        return entry.is_own and entry.request_type == "session"

    def _put(self, entry: Entry) -> None:
        self._last_order += 1
        entry.order = self._last_order
        self._to_send.append(entry)
        self._owned += 1
        self._returned += entry.times_sent > 0
        if entry.seq:
            self._counted[entry.seq] = entry
