"""One player's address in Redis, as this process keeps it for each player connected to it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from game.session import UserId
    from persistence.live.lane import Lane


class SessionRef:
    """A player's lane and channel, and the packed arguments that each of the player's commands shares.

    `head` holds those arguments under `epoch`; in a newer epoch they are packed again before a command.
    `apart`: since it was cleared, a command was executed while the slot was on its way, perhaps where the
    player's channel is not subscribed to: what others changed there was not heard.
    `keys` and `player` are the parts of it that are this player's own: the KEYS; user id, channel and `own`.
    """

    __slots__ = ("apart", "channel", "epoch", "head", "keys", "lane", "player", "subscribed", "user_id")

    def __init__(self, user_id: UserId, lane: Lane, channel: str) -> None:
        self.user_id = user_id
        self.channel = channel.encode()
        self.lane = lane
        self.head = self.keys = self.player = b""
        self.epoch = -1
        self.subscribed = False
        self.apart = False
