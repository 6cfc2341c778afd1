"""Sends a player's command while the slot is on its way from one master to another.

Meanwhile only a command with one key is executed everywhere: where its key is, and at the new master where it
is nowhere. One with more keys gets TRYAGAIN where some of them are elsewhere, or in no place at all. So the
player is marked in a call of its own, wherever the marks are, and the command names the session alone. It is
marked once more afterwards: a flush may have cleared the mark in between. That is one more save of the same
version, which changes nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from persistence.live.decisions import Caller, Step, decide, is_failure
from persistence.live.lane_contract import LaneError

if TYPE_CHECKING:
    import hiredis

    from persistence.live.lane import Lane
    from persistence.live.lane_contract import OnReply
    from persistence.live.lanes import Lanes
    from persistence.live.session_ref import SessionRef


class ApartLane:
    """Stands for a player's lane while one command is sent: to the old master, or to `target`, which asks.

    `note` marks the player, `news` lets other processes read the session again. The session has its stamp
    from the old master still.
    """

    def __init__(self, lanes: Lanes, ref: SessionRef, target: Lane | None, note: bytes, news: bytes) -> None:
        self._lanes = lanes
        self._source = ref.lane
        self._target = target
        self._note = note
        self.run_id = ref.lane.run_id
        self._news = news

    def send(self, command: bytes, on_reply: OnReply) -> None:
        """Send a command; raises LaneDown or LaneFull as a lane does."""

        def take(reply: object) -> None:
            on_reply(reply)
            if isinstance(reply, list) and self._source.up:
                self._source.send(self._note, self._noted)
                if self._target is not None:
                    # Everybody's subscriptions are still at the old master, which hears nothing of the new.
                    self._source.send(self._news, _nobody)

        if self._target is None:
            self._source.send(command, take)
        else:
            self._target.send_asking(command, take)

    def _noted(self, reply: object) -> None:
        if not is_failure(reply):
            return
        if decide(reply, Caller.BULK, cluster=True).step is Step.ASK:
            target = self._lanes.asked(cast("hiredis.ReplyError", reply))
            try:
                target.send_asking(self._note, _nobody)
            except LaneError:
                return


def _nobody(_reply: object) -> None:
    """Take a reply that changes nothing for anybody."""
