"""One player's address in Redis, as this process keeps it for each player connected to it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from game.session import UserId
    from persistence.live.lane import Lane


class SessionRef:
    """A player's lane and channel, and the packed arguments that each of the player's commands shares.

    `head` holds those arguments under `epoch`; in a newer epoch they are packed again before a command.
    `sent_apart`: so many commands were sent while the slot was on its way, perhaps where the player's channel
    is not subscribed to: what others changed there was not heard.
    `heard`: the next command stands behind a subscription to the channel that Redis has not refused or ended,
    as far as this process knows. A script does not publish to it alone, since it reads the reply.
    `keys` and `channel_word` are the parts of it that a call for several players has of each.
    """

    __slots__ = (
        "channel",
        "channel_word",
        "epoch",
        "head",
        "heard",
        "keys",
        "lane",
        "sent_apart",
        "subscribed",
        "user_id",
    )

    def __init__(self, user_id: UserId, lane: Lane, channel: str) -> None:
        self.user_id = user_id
        self.channel = channel.encode()
        self.lane = lane
        self.head = self.keys = self.channel_word = b""
        self.epoch = -1
        self.subscribed = self.heard = False
        self.sent_apart = 0
