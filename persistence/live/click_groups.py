"""Clicks by the handful: those of one event-loop pass share calls of a script.

A call of a script costs Redis as much as what a click does in it. Clicks that are sent in one pass reach
Redis in one write and are executed between the same two syncs of the append-only file, so a shared call makes
nobody wait. Each player keeps a reply, a refusal, an error and a publication of their own.
"""

from __future__ import annotations

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

_Click = tuple["SessionRef", int, str, int, "OnReply"]


class ClickGroups:
    """Sends the clicks of this pass to Redis; on a cluster, whose slots share no call, each one alone."""

    def __init__(self, addresses: SessionAddresses, commands: SessionCommands, *, cluster: bool) -> None:
        self._cluster = cluster
        self._addresses = addresses
        self._commands = commands
        self._waiting: dict[str, list[_Click]] = {"cook": [], "sell": []}
        self._lane: Lane | None = None
        self._shared = b""
        self._shared_epoch = -1

    def add(  # noqa: PLR0917 - by position, which is cheaper for the hottest call
        self, ref: SessionRef, kind: str, count: int, client: str, seq: int, on_reply: OnReply
    ) -> None:
        """Send a click with the others of this pass.

        Raises NotSent where the lane is down or full; `on_reply` is never called then. Where that happens
        later in the pass, `on_reply` is given the lane's error.
        """
        if self._lane is None:
            try:
                if self._cluster:
                    self._send_alone(kind, (ref, count, client, seq, on_reply))
                    return
                ref.lane.before_writing(self._send)
            except LaneError as error:
                raise NotSent(error) from error
            self._lane = ref.lane
        self._waiting[kind].append((ref, count, client, seq, on_reply))

    def _send(self) -> None:
        """Send what waits; called once, before the lane writes what was sent in this pass."""
        lane, self._lane = self._lane, None
        if lane is None:
            return
        for kind, waiting in self._waiting.items():
            if not waiting:
                continue
            self._waiting[kind] = []
            if len(waiting) <= MOST_IN_A_CALL:
                self._send_together(lane, kind, waiting)
                continue
            size = -(-len(waiting) // -(-len(waiting) // MOST_IN_A_CALL))
            for start in range(0, len(waiting), size):
                self._send_together(lane, kind, waiting[start : start + size])

    def _send_together(self, lane: Lane, kind: str, clicks: list[_Click]) -> None:
        try:
            if len(clicks) == 1:
                self._send_alone(kind, *clicks)
            else:
                on_replies = [on_reply for _, _, _, _, on_reply in clicks]
                lane.send(self._packed(lane, kind, clicks), partial(_hand_out, lane, kind, on_replies))
        except LaneError as error:
            _hand_out(lane, kind, [on_reply for _, _, _, _, on_reply in clicks], error)
        except Exception as fault:  # noqa: BLE001 - whatever it is, these players are answered
            _log.exception("click_group_failed", kind=kind, players=len(clicks))
            _hand_out(lane, kind, [on_reply for _, _, _, _, on_reply in clicks], LaneError(str(fault)))

    def _send_alone(self, kind: str, click: _Click) -> None:
        ref, count, client, seq, on_reply = click
        if ref.epoch != self._addresses.epoch:
            self._addresses.pack(ref)
        if count == 1 and not seq:
            prefix, tail = self._commands.plain_clicks[kind]
        else:
            prefix, tail = self._commands.click(kind, count, client, seq)
        ref.lane.send(b"".join((prefix, ref.head, tail)), on_reply)

    def _packed(self, lane: Lane, kind: str, clicks: Sequence[_Click]) -> bytes:
        """Pack the call of several players."""
        addresses, commands = self._addresses, self._commands
        epoch, plain, own = addresses.epoch, commands.plain_words, commands.own_words
        all_plain = all(count == 1 and not seq and ref.subscribed for ref, count, _, seq, _ in clicks)
        parts = [commands.clicks_prefix(kind, len(clicks), plain=all_plain)]
        arguments: list[bytes] = []
        for ref, count, client, seq, _ in clicks:
            # Again: a subscription may have begun or ended in this pass, and stands before this call.
            if ref.epoch != epoch:
                addresses.pack(ref)
            parts.append(ref.keys)
            arguments.append(ref.channel_word)
            if not all_plain:
                words = plain if count == 1 and not seq else commands.click_words(count, client, seq)
                arguments += (own[ref.subscribed], words)
        if self._shared_epoch != epoch:
            self._shared = commands.clicks_shared(*addresses.shared(lane))
            self._shared_epoch = epoch
        return b"".join((*parts, self._shared, *arguments))


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
