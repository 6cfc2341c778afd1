"""Which lane a player's commands take, and the arguments that all of them share.

Those arguments are packed once and kept for an epoch. A new epoch begins when they may have changed: with
another catalogue, run of Redis or topology of the cluster.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from persistence.live.keys import Bucket, bucket_of, bucket_of_channel
from persistence.live.lane_contract import pack
from persistence.live.session_commands import bulk
from persistence.live.session_ref import SessionRef

if TYPE_CHECKING:
    from game.session import UserId
    from persistence.live.lane import Lane
    from persistence.live.lanes import Lanes
    from persistence.live.sources import CatalogueSource


class SessionAddresses:
    """Addresses the sessions of players over the lanes."""

    def __init__(self, lanes: Lanes, catalogues: CatalogueSource) -> None:
        self._lanes = lanes
        self._catalogues = catalogues
        self.epoch = 0

    def ref(self, user_id: UserId) -> SessionRef:
        """Address a player's session."""
        return SessionRef(user_id, self._lanes.lane_of(user_id), self._lanes.keys.channel(user_id))

    def lane_of(self, ref: SessionRef) -> Lane:
        """Return the lane that a session's commands take now."""
        return self._lanes.lane_of(ref.user_id)

    def lane_of_channel(self, channel: bytes) -> Lane:
        """Return the lane that the commands of a channel's player take now."""
        return self._lanes.lane_for(Bucket(bucket_of_channel(channel)))

    def stamp(self, lane: Lane) -> str:
        """Name the catalogue generation and the run of Redis that derived fields hold under."""
        return f"{self._catalogues.current.generation}.{lane.run_id}"

    def end_epoch(self) -> None:
        """Address every session again at its next command."""
        self.epoch += 1

    def current(self, ref: SessionRef) -> Lane:
        """Return the lane of a session's next command, for one that shares no arguments with the others."""
        if ref.epoch != self.epoch:
            self.pack(ref)
        return ref.lane

    def pack(self, ref: SessionRef) -> None:
        """Pack a session's keys and the shared arguments for the lane and catalogue of now."""
        lane = self._lanes.lane_of(ref.user_id)
        if lane is not ref.lane:
            ref.lane = lane
            self._lanes.lapses += 1
        keys = self._lanes.keys
        ref.keys = bulk(keys.session(ref.user_id), keys.dirty(bucket_of(ref.user_id)))
        ref.channel_word = bulk(ref.channel)
        ref.head = self._head(ref, ref.keys, heard=ref.heard)
        ref.epoch = self.epoch

    def head_apart(self, ref: SessionRef) -> bytes:
        """Pack them with the session's key in the place of the marks, which may be on another node.

        That may be another one also than where the channel is subscribed to.
        """
        key = self._lanes.keys.session(ref.user_id)
        return self._head(ref, bulk(key, key), heard=False)

    def _head(self, ref: SessionRef, keys: bytes, *, heard: bool) -> bytes:
        stamp, origin = self.shared(ref.lane)
        return b"".join((keys, bulk(stamp), _player(ref, heard=heard), bulk(origin)))

    def news(self, channel: bytes) -> bytes:
        """Pack what lets other processes read a player's session again.

        From this process' own origin: its connections are sent what its replies say.
        """
        return pack("SPUBLISH", channel, self._lanes.origin + b" reloaded 0")

    def shared(self, lane: Lane) -> tuple[str, bytes]:
        """Return what the commands of all players on a lane share: stamp and origin."""
        return self.stamp(lane), self._lanes.origin

    def move(self, ref: SessionRef) -> None:
        """Turn to the lane that serves a session by now, its subscription with it."""
        lane = self._lanes.lane_of(ref.user_id)
        if lane is not ref.lane and ref.subscribed:
            lane.subscribe(ref.channel)
        if lane is not ref.lane:
            self._lanes.lapses += 1
        ref.lane = lane
        ref.epoch = -1


def _player(ref: SessionRef, *, heard: bool) -> bytes:
    """Pack the arguments that are a player's own: user id, channel, and whether this process hears it."""
    return bulk(ref.user_id, ref.channel, "1" if heard else "0")
