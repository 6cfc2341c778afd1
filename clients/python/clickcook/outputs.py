"""What the core wants done, one class for each kind; the I/O around it carries them out in order. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Connect:
    """Open a socket now; say `opened` or `closed`."""


@dataclass(frozen=True, slots=True)
class Send:
    """Write one request to the socket, for the `times_sent`-th time. `call` is None for the core's own."""

    request_id: str
    request_type: str
    data: dict[str, Any]
    call: object
    times_sent: int

    @property
    def message(self) -> dict[str, Any]:
        """The request as it goes over the wire."""
        return {
            "message_type": "request",
            "request_id": self.request_id,
            "request_type": self.request_type,
            "data": self.data,
        }


@dataclass(frozen=True, slots=True)
class Drop:
    """Abort the socket without a close frame. The core has taken note: no `closed` is to follow."""


@dataclass(frozen=True, slots=True)
class Close:
    """Close the socket with 1000."""


@dataclass(frozen=True, slots=True)
class Refresh:
    """Get another pair of tokens than that of the access token `refused`; say `tokens` or `no_tokens`."""

    refused: str | None


@dataclass(frozen=True, slots=True)
class Settle:
    """A call's final answer."""

    call: object
    request_type: str
    data: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Refuse:
    """A call's final error: nothing was changed."""

    call: object
    request_type: str
    code: str
    data: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Full:
    """A call was not taken: too many are unanswered."""

    call: object


@dataclass(frozen=True, slots=True)
class Push:
    """The server said something by itself: a copy of another connection's change, income, an achievement."""

    request_type: str
    data: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Joined:
    """The `session` that opens a connection was answered; `data` may hold what was earned `offline`."""

    data: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Lost:
    """The server no longer knows of `count` requests that it had answered as applied."""

    count: int


@dataclass(frozen=True, slots=True)
class Unsent:
    """A call without an answer at the end. `maybe_applied`: it was sent, and changes state."""

    call: object
    request_type: str
    data: dict[str, Any]
    seq: int
    maybe_applied: bool


@dataclass(frozen=True, slots=True)
class End:
    """The conversation is over; nothing follows."""

    reason: str
    unsent: tuple[Unsent, ...]


Output = Connect | Send | Drop | Close | Refresh | Settle | Refuse | Full | Push | Joined | Lost | End
