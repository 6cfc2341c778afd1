"""What stands in a lane's queue of replies for a subscription, and for its end."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import hiredis
import structlog

from persistence.live.lane_contract import pack

if TYPE_CHECKING:
    from collections.abc import Callable

_log = structlog.get_logger(__name__)

_HELLO: Final = pack("HELLO")
"""The one command that Redis refuses in no state and to no user; it says what the connection is."""


@dataclass(slots=True, eq=False)
class Confirmation:
    """Stands in the queue of replies for a subscription, which is confirmed by a push, not by a reply."""

    channel: bytes
    on_refused: Callable[[bytes], None]

    def __call__(self, reply: object) -> None:
        """Take what came in place of the confirmation: an error, or the loss of the connection."""
        if isinstance(reply, hiredis.ReplyError):
            _log.warning("subscription_refused", error=str(reply))
            self.on_refused(self.channel)


@dataclass(slots=True, eq=False)
class Unsubscription:
    """Stands in the queue of replies for the end of a subscription: for SUNSUBSCRIBE, and a HELLO behind it.

    Redis confirms by a push, and says in the same words that it ended a subscription of itself: which of the
    two a push is, nobody can say. Where the slot has left, the command is refused behind such a push. So an
    error leaves this in the queue, and only the reply to HELLO takes it out.
    """

    channel: bytes

    @staticmethod
    def command(channel: bytes) -> bytes:
        """Pack both."""
        return pack("SUNSUBSCRIBE", channel) + _HELLO

    def __call__(self, reply: object) -> None:
        """Take the reply to HELLO, or the loss of the connection: it says nothing."""
