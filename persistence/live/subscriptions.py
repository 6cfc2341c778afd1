"""Whose publications this process hears, and how long the sessions of its players stay in Redis."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from persistence.live.lane_contract import LaneError

if TYPE_CHECKING:
    from persistence.live.lane import Lane
    from persistence.live.session_addresses import SessionAddresses
    from persistence.live.session_commands import SessionCommands
    from persistence.live.session_ref import SessionRef


class Subscriptions:
    """Subscribes to the channels of players and keeps their sessions from expiring."""

    def __init__(self, addresses: SessionAddresses, commands: SessionCommands) -> None:
        self._addresses = addresses
        self._commands = commands
        self._owed: set[bytes] = set()
        """Channels of players of whom other processes may not know a change."""

    def subscribe(self, ref: SessionRef) -> None:
        """Hear a player's publications from before the next command on."""
        ref.subscribed = ref.heard = True
        ref.epoch = -1
        ref.lane = self._addresses.lane_of(ref)
        ref.lane.subscribe(ref.channel)

    def lapsed(self, ref: SessionRef, lane: Lane) -> None:
        """Take note that Redis refused or ended the subscription on the lane that a player's commands took.

        Those on their way may be executed without it. A script that counted on it would say nothing where one
        other process listens: so that one is sent to read the session, behind them.
        """
        ref.heard = False
        ref.epoch = -1
        self._publish_news(ref.channel, lane)

    def ended(self, channel: bytes, lane: Lane) -> None:
        """Take note of the end of a subscription that was read after the player had left; as `lapsed`."""
        self._publish_news(channel, lane)

    def reply_lost(self, ref: SessionRef) -> None:
        """Take note that a command may have been executed, also without the subscription it counted on.

        Where the connection stands, and replicas fell short, its end would have been read before.
        """
        if not ref.lane.up:
            self._owed.add(ref.channel)

    def lane_ready(self, lane: Lane) -> None:
        """Publish over a lane that is back what is owed, also for players who have left."""
        for channel in [each for each in self._owed if self._addresses.lane_of_channel(each) is lane]:
            self._publish_news(channel, lane)

    def _publish_news(self, channel: bytes, lane: Lane) -> None:
        """Have other processes read a session again: that is owed until Redis has answered."""
        self._owed.add(channel)
        lane.send_first(self._addresses.news(channel), partial(self._published, channel))

    def _published(self, channel: bytes, reply: object) -> None:
        if not isinstance(reply, LaneError):
            self._owed.discard(channel)

    def confirmed(self, ref: SessionRef) -> None:
        """Take note that the subscription stands where a player's commands go."""
        if ref.channel in self._owed:
            self._publish_news(ref.channel, self._addresses.lane_of(ref))
        if not ref.heard:
            ref.heard = True
            ref.epoch = -1

    def release(self, ref: SessionRef, ttl_s: int) -> None:
        """Stop hearing a player's publications and let a clean session expire `ttl_s` from now."""
        ref.subscribed = ref.heard = False
        ref.epoch = -1
        lane = self._addresses.lane_of(ref)
        if lane.up:
            lane.unsubscribe(ref.channel)
            self._expire(ref, ttl_s)

    def touch(self, ref: SessionRef, ttl_s: int) -> None:
        """Give a connected player's clean session its whole time to live again."""
        if self._addresses.lane_of(ref).up:
            self._expire(ref, ttl_s)

    def _expire(self, ref: SessionRef, ttl_s: int) -> None:
        try:
            lane = self._addresses.lane_of(ref)
            lane.send(self._commands.release(ref, self._addresses.stamp(lane), ttl_s), _nobody)
        except LaneError:
            return


def _nobody(_reply: object) -> None:
    """Take a reply that changes nothing for anybody."""
