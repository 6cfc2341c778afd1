"""What a lane promises: its errors, limits and totals, and how a command is packed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import hiredis

OnReply = Callable[[object], None]
"""Receives a command's reply: what hiredis parsed, a `hiredis.ReplyError`, or a `LaneError`."""


def pack(*words: bytes | str | float) -> bytes:
    """Pack one command as RESP."""
    # hiredis' stub asks for a tuple of one word; it takes any number.
    return hiredis.pack_command(words)  # type: ignore[arg-type,no-any-return]


class Regardless:
    """A callback for what is only shown: it is given its reply also where too few replicas have it.

    Publications are passed on as early.
    """

    __slots__ = ("_on_reply",)

    def __init__(self, on_reply: OnReply) -> None:
        self._on_reply = on_reply

    def __call__(self, reply: object) -> None:
        """Pass on a reply."""
        self._on_reply(reply)


class LaneError(Exception):
    """A command got no reply."""


class LaneDown(LaneError):  # noqa: N818 - the state it reports
    """There is no connection: the command was not sent. Send it again later."""


class LaneFull(LaneError):  # noqa: N818 - the state it reports
    """Too many commands wait for Redis: this one was not sent. Send it again later."""


class ReplyLost(LaneError):  # noqa: N818 - the state it reports
    """The command was sent and its reply was lost, or its replicas fell short: it may have happened."""


@dataclass(frozen=True, slots=True)
class LaneLimits:
    """Bounds of a lane.

    `max_pending` commands may wait for their replies; one that waited `reply_timeout_s` breaks the
    connection. Attempts to connect are `retry_first_s` to `retry_most_s` apart, jittered.
    With `wait_replicas` above 0 the replies of a batch are withheld until so many replicas have it; where
    they fall short within `wait_replicas_ms`, its commands are answered by ReplyLost: they may be lost yet.
    """

    max_pending: int = 50_000
    reply_timeout_s: float = 2.0
    connect_timeout_s: float = 2.0
    retry_first_s: float = 0.05
    retry_most_s: float = 1.0
    wait_replicas: int = 0
    wait_replicas_ms: int = 1000


@dataclass(slots=True)
class LaneTotals:
    """What a lane did since it was made; plain integers, read by the metrics.

    `short_at_s` is when too few replicas confirmed a batch last (loop time), `-inf` for never.
    """

    sent: int = 0
    replies: int = 0
    batches: int = 0
    publications: int = 0
    lost: int = 0
    connects: int = 0
    refused_full: int = 0
    replicas_short: int = 0
    short_at_s: float = float("-inf")
    last_error: str = ""
