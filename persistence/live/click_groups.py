"""Clicks by the handful: those that come together share calls of a script.

A call of a script costs Redis as much as what a click does in it. Clicks that are sent in one pass of the
event loop reach Redis in one write and are executed between the same two syncs of the append-only file. What
comes while calls are unanswered would wait at Redis, which is at work on these: it waits here, for at most a
millisecond, until they are answered or a call is full. Each player keeps a reply, a refusal, an error and a
publication of their own.
"""

from __future__ import annotations

import asyncio
import itertools
from functools import partial
from typing import TYPE_CHECKING, Final

import hiredis
import structlog

from persistence.errors import NotSent
from persistence.live.lane_contract import LaneError
from persistence.live.replica_barrier import hand
from persistence.live.replies.clicks import REPLIES_OF_CLICKS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from persistence.live.lane import Lane
    from persistence.live.lane_contract import OnReply
    from persistence.live.session_addresses import SessionAddresses
    from persistence.live.session_commands import SessionCommands
    from persistence.live.session_ref import SessionRef

_log = structlog.get_logger(__name__)

MOST_IN_A_CALL: Final = 12
"""Players of one call: it holds up the calls of others for so long. Of the instructions of single calls a
call for 2 takes 0.83, for 8 0.57, for 12 0.54; more bring little (docs/decisions/0009-clicks-share-calls.md).
"""

MOST_WAIT_S: Final = 0.001
"""How long a click waits at most for the answers to calls before it: where the network is slower than Redis,
they do not say whether Redis is at work."""

_Click = tuple["SessionRef", int, str, int, "OnReply"]


class ClickGroups:
    """Sends clicks to Redis, several in a call; on a cluster, whose slots share no call, each one alone."""

    def __init__(self, addresses: SessionAddresses, commands: SessionCommands, *, cluster: bool) -> None:
        self._cluster = cluster
        self._addresses = addresses
        self._commands = commands
        self._waiting: dict[str, list[_Click]] = {"cook": [], "sell": []}
        self._unanswered = 0
        """Calls on their way."""
        self._sends = False
        """At the end of this pass `_send` is called."""
        self._timer: asyncio.TimerHandle | None = None
        self._shared = b""
        self._shared_epoch = -1

    def add(  # noqa: PLR0917 - by position, which is cheaper for the hottest call
        self, ref: SessionRef, kind: str, count: int, client: str, seq: int, on_reply: OnReply
    ) -> None:
        """Send a click with others.

        Raises NotSent where the lane is down or full; `on_reply` is never called then. Where that happens
        later, `on_reply` is given the lane's error.
        """
        if not self._sends:
            try:
                if self._cluster:
                    self._send_alone(kind, (ref, count, client, seq, on_reply), on_reply)
                    return
                ref.lane.before_writing(self._send)
            except LaneError as error:
                raise NotSent(error) from error
            self._sends = True
        self._waiting[kind].append((ref, count, client, seq, on_reply))

    def _send(self) -> None:
        """Send what need not wait; called before the lane writes what was sent in this pass."""
        self._sends = False
        idle = not self._unanswered
        waits = False
        for kind, waiting in self._waiting.items():
            if idle or len(waiting) >= MOST_IN_A_CALL:
                self._send_all(kind)
            elif waiting:
                waits = True
        if waits and self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(MOST_WAIT_S, self._send_waiting)
        elif self._timer is not None and not waits:
            self._timer.cancel()
            self._timer = None

    def _send_waiting(self) -> None:
        """Send what waits: it has waited for long enough."""
        self._timer = None
        for kind in self._waiting:
            self._send_all(kind)

    def _send_all(self, kind: str) -> None:
        waiting, self._waiting[kind] = self._waiting[kind], []
        if len(waiting) <= MOST_IN_A_CALL:
            if waiting:
                self._send_together(kind, waiting)
            return
        size = -(-len(waiting) // -(-len(waiting) // MOST_IN_A_CALL))
        for start in range(0, len(waiting), size):
            self._send_together(kind, waiting[start : start + size])

    def _send_together(self, kind: str, clicks: list[_Click]) -> None:
        first, *others = clicks
        ref, _, _, _, on_reply = first
        # The lane of now: while these clicks waited, another may have become the players'.
        lane = self._addresses.current(ref)
        try:
            if others:
                on_replies = [on_reply for _, _, _, _, on_reply in clicks]
                hand_out = partial(_hand_out, lane, kind, on_replies)
                lane.send(self._packed(lane, kind, clicks), partial(self._answered, hand_out))
            else:
                self._send_alone(kind, first, partial(self._answered, on_reply))
            self._unanswered += 1
        except LaneError as error:
            _hand_out(lane, kind, [on_reply for _, _, _, _, on_reply in clicks], error)
        except Exception as fault:  # noqa: BLE001 - whatever it is, these players are answered
            _log.exception("click_group_failed", kind=kind, players=len(clicks))
            _hand_out(lane, kind, [on_reply for _, _, _, _, on_reply in clicks], LaneError(str(fault)))

    def _answered(self, hand_out: OnReply, reply: object) -> None:
        """Take note that a call was answered, or lost, and pass its reply on."""
        self._unanswered -= 1
        if self._timer is not None and not (self._unanswered or self._sends):
            self._send_with_this_pass()
        hand_out(reply)

    def _send_with_this_pass(self) -> None:
        """Send what waits, together with the clicks that come in this pass."""
        ref, *_ = next(itertools.chain.from_iterable(self._waiting.values()))
        try:
            self._addresses.current(ref).before_writing(self._send)
        except LaneError:
            self._send()  # each of them is given the error
        else:
            self._sends = True

    def _send_alone(self, kind: str, click: _Click, on_reply: OnReply) -> None:
        ref, count, client, seq, _ = click
        lane = self._addresses.current(ref)
        if count == 1 and not seq:
            prefix, tail = self._commands.plain_clicks[kind]
        else:
            prefix, tail = self._commands.click(kind, count, client, seq)
        lane.send(b"".join((prefix, ref.head, tail)), on_reply)

    def _packed(self, lane: Lane, kind: str, clicks: Sequence[_Click]) -> bytes:
        """Pack the call of several players. Hot."""
        addresses, commands = self._addresses, self._commands
        epoch = addresses.epoch
        all_plain = True
        for ref, count, _, seq, _ in clicks:
            # Again: a subscription may have begun or ended in this pass, and stands before this call.
            if ref.epoch != epoch:
                addresses.pack(ref)
            if seq or count != 1 or not ref.heard:
                all_plain = False
        if self._shared_epoch != epoch:
            self._shared = commands.clicks_shared(*addresses.shared(lane))
            self._shared_epoch = epoch
        parts = [commands.clicks_prefix(kind, len(clicks), plain=all_plain)]
        parts += [ref.keys for ref, _, _, _, _ in clicks]
        parts.append(self._shared)
        if all_plain:
            parts += [ref.channel_word for ref, _, _, _, _ in clicks]
            return b"".join(parts)
        plain, own = commands.plain_words, commands.own_words
        for ref, count, client, seq, _ in clicks:
            words = plain if count == 1 and not seq else commands.click_words(count, client, seq)
            parts += (ref.channel_word, own[ref.heard], words)
        return b"".join(parts)


def _hand_out(lane: Lane, kind: str, on_replies: Sequence[OnReply], reply: object) -> None:
    """Give each player of a call the reply of their own, or all of them what became of the call."""
    if not isinstance(reply, list):
        for on_reply in on_replies:
            hand(on_reply, reply)
        return
    for on_reply, own in zip(on_replies, REPLIES_OF_CLICKS[kind](reply), strict=True):
        if own.__class__ is hiredis.ReplyError:
            lane.error_replied(own)
        hand(on_reply, own)
