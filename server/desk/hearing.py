"""One player's changes as they happen: heard on the player's channel, said as tabs are sent them."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from persistence.live.replies.publications import (
    ALL_FAMILIES,
    KIND_OF_CHANGE,
    FamilyRevoked,
    NewlyAchieved,
    Reloaded,
    publication_of,
)
from server.protocol import results

if TYPE_CHECKING:
    from collections.abc import Callable

    from game.catalogue import Catalogue
    from game.session import UserId
    from persistence.live.lane import Lane
    from persistence.live.lanes import FirstCommand, Lanes


class Ear:
    """Hears the channels of players over lanes of its own, whose owner starts and stops them."""

    def __init__(self, lanes: Lanes) -> None:
        self._lanes = lanes
        self._followed: dict[bytes, tuple[UserId, Callable[[list[bytes] | None], None]]] = {}

    def follow(self, user_id: UserId, heard: Callable[[list[bytes] | None], None]) -> None:
        """Call `heard` with each publication on a player's channel, once the lanes were started.

        None in its place: publications may have been missed, as always at the beginning.
        """
        channel = self._lanes.keys.channel(user_id).encode()
        self._followed[channel] = user_id, heard
        self._lanes.lane_of(user_id).subscribe(channel)

    def leave(self, user_id: UserId) -> None:
        """Hear a player no more."""
        channel = self._lanes.keys.channel(user_id).encode()
        del self._followed[channel]
        lane = self._lanes.lane_of(user_id)
        if lane.up:
            lane.unsubscribe(channel)

    def hears(self, user_id: UserId) -> bool:
        """Say whether Redis counts this process among those that hear a player."""
        return self._lanes.lane_of(user_id).hears(self._lanes.keys.channel(user_id).encode())

    def channels_of(self, lane: Lane) -> list[bytes]:
        """Name the channels on the lane to the master that has them."""
        followed = self._followed.items()
        return [channel for channel, (user_id, _) in followed if self._lanes.lane_of(user_id) is lane]

    def first_commands(self, lane: Lane) -> list[FirstCommand]:  # noqa: ARG002 - the contract of Hearer
        """Nothing is to be sent."""
        return []

    def lane_ready(self, lane: Lane) -> None:
        """Nothing is known before the channels are heard."""

    def subscribed(self, lane: Lane, channel: bytes) -> None:  # noqa: ARG002 - the contract of Hearer
        """Say that something may have been missed: what was published before was not heard."""
        self._pass_on(channel, None)

    def unheard(self, lane: Lane, channel: bytes) -> None:
        """Nothing is to be done before it is heard again."""

    def published(self, channel: bytes, words: list[bytes]) -> None:
        """Pass a publication on."""
        self._pass_on(channel, words)

    def _pass_on(self, channel: bytes, words: list[bytes] | None) -> None:
        followed = self._followed.get(channel)
        if followed is not None:
            _, heard = followed
            heard(words)


class Message(NamedTuple):
    """A change as tabs are sent it: the kind, its data as JSON, and the version of the session after it.

    Kind `session` has no data: the session was replaced, and is to be read again.
    """

    kind: str
    data: str
    version: int


def message_of(words: list[bytes] | None, newest: int, catalogue: Catalogue) -> Message | None:
    """Say what was heard, after what has version `newest`; None where it says nothing new."""
    publication = None if words is None else publication_of(words)
    match publication:
        case FamilyRevoked():
            which = "every" if publication.family.decode() == ALL_FAMILIES else "one"
            return Message("closed", f'{{"code":4001,"log_ins":"{which}"}}', newest)
        case NewlyAchieved():
            push = results.achievement_push(publication.version, publication.newly, catalogue).decode()
            *_, data = push.partition('"data":')
            # The change that reached it has the same version, and comes after it.
            return Message("achievement", data.removesuffix("}"), newest)
        case None if words is not None:
            return None  # of a newer release
        case None | Reloaded():
            return Message("session", "", newest)
        case _ if publication.version > newest:
            kind = KIND_OF_CHANGE[publication.__class__]
            return Message(kind, f"{{{results.written(publication)}}}", publication.version)
        case _:
            return None  # what was shown has it
