"""One connection's requests: one in flight at a time, the others waiting in order."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Final

from server.protocol.conversation import Conversation

if TYPE_CHECKING:
    from collections.abc import Callable

    from server.protocol.messages import Request
    from server.ws.connection import Connection
    from server.ws.hub import Player

INBOX_MESSAGES: Final = 64
"""Past this many waiting messages the connection is not read any more until they are answered."""


class Exchange(Conversation):
    """What dispatch keeps for a connection, beside whose it is.

    `busy` while a request is in flight or the pause after a refusal lasts. `leaving`: it is closed when that
    is answered. `version` is the newest version that the connection was told of. `request` and
    `started_s` belong to the request in flight.
    """

    __slots__ = (
        "address",
        "busy",
        "connection",
        "inbox",
        "leaving",
        "number",
        "on_lost",
        "on_reply",
        "opened_s",
        "player",
        "request",
        "started_s",
        "version",
    )

    def __init__(
        self, connection: Connection, number: int, address: str, opened_s: float, on_lost: Callable[[], None]
    ) -> None:
        super().__init__()
        self.connection = connection
        self.number = number
        self.address = address
        self.opened_s = opened_s
        self.on_lost = on_lost
        self.player: Player | None = None
        self.version = 0
        self.busy = False
        self.leaving = False
        self.inbox: deque[bytes] | None = None
        self.request: Request | None = None
        self.started_s = 0.0
        self.on_reply: Callable[[object], None] | None = None

    def enqueue(self, payload: bytes) -> None:
        """Keep a message until those before it are answered; reading pauses at the bound."""
        if self.inbox is None:
            self.inbox = deque()
        self.inbox.append(payload)
        if len(self.inbox) >= INBOX_MESSAGES:
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
