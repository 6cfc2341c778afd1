"""What waits behind a request is bounded, in messages and in bytes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

import pytest

from server.ws.exchange import INBOX_BYTES, INBOX_MESSAGES, Exchange

if TYPE_CHECKING:
    from server.ws.connection import Connection


@dataclass
class Transport:
    """Notes whether the connection is read."""

    reading: bool = True

    def pause_reading(self) -> None:
        """Read no more."""
        self.reading = False

    def resume_reading(self) -> None:
        """Read on."""
        self.reading = True


@pytest.mark.parametrize(
    ("size", "room"), [(1, INBOX_MESSAGES), (1000, INBOX_MESSAGES), (10_000, INBOX_BYTES // 10_000 + 1)]
)
def test_the_connection_is_not_read_past_either_bound(size: int, room: int) -> None:
    """As many messages as have room are kept; reading goes on when all of them are taken, time and again."""
    transport = Transport()
    exchange = Exchange(cast("Connection", transport), 1, 0.0, lambda: None)
    for _ in range(3):
        filling, emptying = [], []
        for _ in range(room):
            exchange.enqueue(b"x" * size)
            filling.append(transport.reading)
        for _ in range(room):
            assert exchange.next_payload() == b"x" * size
            emptying.append(transport.reading)
        assert filling == [True] * (room - 1) + [False]
        assert emptying == [False] * (room - 1) + [True]
        assert exchange.next_payload() is None
