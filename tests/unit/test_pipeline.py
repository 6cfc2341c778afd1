"""What is handed over when, where replies are held back until replicas have what they answer."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

import pytest

from persistence.live.lane_contract import LaneFull, LaneLimits, pack
from persistence.live.pipeline import Pipeline

if TYPE_CHECKING:
    import asyncio

    import hiredis

CHANNEL = b"user:{7}:7"
ONE_REPLICA = b":1\r\n"


def push(*words: bytes | int) -> bytes:
    """Write a push of RESP3."""
    parts = [
        b":%d\r\n" % word if isinstance(word, int) else b"$%d\r\n%b\r\n" % (len(word), word) for word in words
    ]
    return b"".join((b">%d\r\n" % len(words), *parts))


class Connected(Pipeline):
    """A pipeline that is up and waits for one replica; notes what it hands over."""

    def __init__(self) -> None:
        super().__init__("test", LaneLimits(wait_replicas=1))
        self.handed: list[object] = []
        self.written: list[bytes] = []
        self._transport = cast("asyncio.Transport", SimpleNamespace(write=self.written.append))
        self.up = self._holding = True

    def published(self, channel: bytes, payload: bytes) -> None:  # noqa: ARG002 - the contract of Pipeline
        """Note a publication."""
        self.handed.append(payload)

    def subscribed(self, channel: bytes) -> None:  # noqa: ARG002 - as above
        """Note that it is heard."""
        self.handed.append("subscribed")

    def unsubscribed(self, channel: bytes) -> None:  # noqa: ARG002 - as above
        """Note that it is not heard any more."""
        self.handed.append("unsubscribed")

    def error_replied(self, error: hiredis.ReplyError) -> None:
        """Errors are not looked at."""

    def refused(self, channel: bytes) -> None:
        """No subscription is refused here."""

    def broken(self) -> None:
        """The connection lasts as long as the test."""

    def ask(self) -> None:
        """Send a command."""
        self.send(pack("ECHO", "x"), self.handed.append)
        self._flush()

    def receive(self, data: bytes) -> None:
        """Take what Redis says."""
        self.get_buffer(-1)[: len(data)] = data
        self.buffer_updated(len(data))


async def test_a_subscription_that_ends_ends_behind_the_replies_before_it() -> None:
    """Who joins by a held reply has joined before the subscription is lost and made again."""
    pipeline = Connected()
    pipeline.subscribe(CHANNEL)
    pipeline.ask()
    confirmed = push(b"ssubscribe", CHANNEL, 1)
    pipeline.receive(confirmed + b"$1\r\nx\r\n" + push(b"sunsubscribe", CHANNEL, 0))
    assert pipeline.handed == []
    pipeline.subscribe(CHANNEL)
    pipeline._flush()
    pipeline.receive(ONE_REPLICA + confirmed)
    assert pipeline.handed == ["subscribed", b"x", "unsubscribed"]
    assert not pipeline.hears(CHANNEL)
    pipeline.receive(ONE_REPLICA)
    assert pipeline.handed[3:] == ["subscribed"]
    assert pipeline.hears(CHANNEL)


async def test_a_publication_waits_for_the_replies_before_it_alone() -> None:
    """It comes behind what is held; at once where nothing is, and not with this process' next command."""
    pipeline = Connected()
    pipeline.receive(push(b"smessage", CHANNEL, b"first"))
    assert pipeline.handed == [b"first"]
    pipeline.ask()
    pipeline.receive(b"$1\r\nx\r\n" + push(b"smessage", CHANNEL, b"second"))
    assert pipeline.handed == [b"first"]
    pipeline.receive(ONE_REPLICA)
    assert pipeline.handed == [b"first", b"x", b"second"]


async def test_commands_that_are_sent_together_are_all_queued_or_none() -> None:
    """Where there is no room for all of them, none was sent; their replies come in their order."""
    pipeline = Connected()
    taken: list[object] = []
    last: list[object] = []
    pipeline.send_all([pack("GET", "a"), pack("GET", "b")], taken.append, last.append)
    with pytest.raises(LaneFull):
        pipeline.send_all([pack("PING")] * LaneLimits().max_pending, taken.append, last.append)
    assert pipeline.depth == 2
    pipeline._flush()
    pipeline.receive(b"$1\r\na\r\n$1\r\nb\r\n" + ONE_REPLICA)
    assert (taken, last) == ([b"a"], [b"b"])
