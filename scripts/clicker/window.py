"""What was sent and not answered yet: the part of a client that makes every request count once. No I/O."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any, Final

from server.protocol.fields import STATE_CHANGING

MOST_UNANSWERED: Final = 64
"""The server remembers which of a client's last 64 numbers were applied, and nothing further back."""


@dataclass(slots=True, eq=False)
class Pending:
    """A request until its answer. `seq` 0 means none.

    `asked_s` is when it was first wanted, `sent_s` when it was last sent (loop time, 0: not yet), on which
    `connection` and with which `token`. `times_sent` above 1 means that an earlier answer may have been lost.
    """

    request_id: str
    request_type: str
    data: dict[str, Any]
    seq: int
    asked_s: float
    future: asyncio.Future[Answer]
    sent_s: float = 0.0
    connection: int = 0
    token: str = ""
    times_sent: int = 0


@dataclass(frozen=True, slots=True)
class Answer:
    """The one answer of a request: its `data`, or with `code` what was refused."""

    request_type: str
    data: dict[str, Any]
    code: str = ""


@dataclass(slots=True)
class Window:
    """Requests without an answer, in the order of their sending; at most `size` of them.

    Those that change state get a number (`seq`), so that one sent twice is applied once.
    """

    client: str
    size: int = MOST_UNANSWERED
    _by_id: dict[str, Pending] = field(default_factory=dict)
    _next_id: int = 1
    _next_seq: int = 1

    def __len__(self) -> int:
        return len(self._by_id)

    @property
    def has_room(self) -> bool:
        """Whether one more may be sent: numbers 64 apart are too far for the server, whatever is between."""
        if len(self._by_id) >= self.size:
            return False
        return self._next_seq - self._oldest_seq < MOST_UNANSWERED

    @property
    def _oldest_seq(self) -> int:
        return next((pending.seq for pending in self._by_id.values() if pending.seq), self._next_seq)

    def add(self, request_type: str, data: dict[str, Any], now_s: float) -> Pending:
        """Take a request in and give it its id and number. Ask `has_room` before."""
        seq = 0
        if request_type in STATE_CHANGING:
            seq, self._next_seq = self._next_seq, self._next_seq + 1
            data = {**data, "client": self.client, "seq": seq}
        elif request_type == "session":
            data = {**data, "client": self.client}
        future: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        pending = Pending(str(self._next_id), request_type, data, seq, now_s, future)
        self._next_id += 1
        self._by_id[pending.request_id] = pending
        return pending

    def find(self, request_id: str) -> Pending | None:
        """Return the request that an answer belongs to; None when it was answered before."""
        return self._by_id.get(request_id)

    def settle(self, pending: Pending) -> None:
        """Take a request out: its answer is final."""
        del self._by_id[pending.request_id]

    def unanswered(self) -> list[Pending]:
        """Return what waits, in order: what a new connection sends first."""
        return list(self._by_id.values())
