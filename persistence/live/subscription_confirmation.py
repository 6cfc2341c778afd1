"""What stands in a lane's queue of replies for a subscription."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import hiredis
import structlog

if TYPE_CHECKING:
    from collections.abc import Callable

_log = structlog.get_logger(__name__)


@dataclass(slots=True, eq=False)
class Confirmation:
    """Stands in the queue of replies for a (un)subscription, which is confirmed by a push, not by a reply."""

    kind: bytes
    channel: bytes
    on_refused: Callable[[bytes], None]

    def __call__(self, reply: object) -> None:
        """Take what came in place of the confirmation: an error, or the loss of the connection."""
        if isinstance(reply, hiredis.ReplyError):
            _log.warning("subscription_refused", kind=self.kind.decode(), error=str(reply))
            if self.kind == b"ssubscribe":
                self.on_refused(self.channel)
