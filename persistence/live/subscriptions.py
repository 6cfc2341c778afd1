"""Whose publications this process hears, and how long the sessions of its players stay in Redis."""

from __future__ import annotations

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
        ref.owes_news = not lane.up
        lane.send_first(self._addresses.news(ref), _nobody)

    def confirmed(self, ref: SessionRef) -> None:
        """Take note that the subscription stands where a player's commands go."""
        if ref.owes_news:
            ref.owes_news = False
            self._addresses.lane_of(ref).send_first(self._addresses.news(ref), _nobody)
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
