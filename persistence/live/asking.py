"""Follows a slot that is on its way from one master to another, one command at a time.

Its old master answers ASK where the command's keys have left it already. A command with two keys is executed
by the new one only where both exist, and a bucket without unsaved players has no marks: so a player is
marked first. That is one more save of the same version, which changes nothing.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from persistence.live.keys import bucket_of
from persistence.live.lane_contract import pack

if TYPE_CHECKING:
    from persistence.live.lane import Lane
    from persistence.live.lane_contract import OnReply
    from persistence.live.lanes import Lanes
    from persistence.live.session_ref import SessionRef


class AskingLane:
    """Stands for a player's lane while one command is sent to the slot's new master.

    The session has its stamp from the old one still.
    """

    def __init__(self, lanes: Lanes, ref: SessionRef, target: Lane) -> None:
        self._ref = ref
        self._source = ref.lane
        self._target = target
        self.run_id = ref.lane.run_id
        # From this process' own origin: its connections are sent the reply itself.
        self._news = pack("SPUBLISH", ref.channel, lanes.origin + b" reloaded 0")
        self._mark = pack(
            "ZADD", lanes.keys.dirty(bucket_of(ref.user_id)), "NX", int(time.time() * 1000), ref.user_id
        )

    def send(self, command: bytes, on_reply: OnReply) -> None:
        """Send a command to the new master; raises LaneDown or LaneFull as a lane does."""

        def take(reply: object) -> None:
            on_reply(reply)
            # Everybody's subscriptions are still at the old master, which hears nothing of the new one.
            if isinstance(reply, list) and self._source.up:
                self._source.send(self._news, _nobody)

        self._target.send_asking(self._mark, _nobody)
        self._target.send_asking(command, take)


def _nobody(_reply: object) -> None:
    """Take a reply that changes nothing for anybody."""
