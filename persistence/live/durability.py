"""What a Redis says of itself: whether it could lose what it has answered."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

import hiredis
import structlog

if TYPE_CHECKING:
    from persistence.live.lane import Lane

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Durability:
    """What a Redis said of itself when its lane opened."""

    appendonly: bool
    appendfsync: str
    maxmemory_policy: str
    maxmemory: int

    @property
    def keeps_every_answer(self) -> bool:
        """Whether a killed Redis comes back with everything it had answered."""
        return self.appendonly and self.appendfsync == "always"

    def warnings(self) -> list[str]:
        """Say in words how this Redis could lose answered requests; empty when it can't."""
        found = []
        if not self.appendonly:
            found.append("Redis has no append-only file: a restart loses everything since the last flush")
        elif self.appendfsync != "always":
            found.append(
                f"Redis has appendfsync {self.appendfsync}: a crash can lose up to 2 s of answered requests"
            )
        if self.maxmemory and self.maxmemory_policy != "noeviction":
            found.append(f"Redis has maxmemory-policy {self.maxmemory_policy}: it may evict unsaved sessions")
        return found


async def ask_durability(lane: Lane) -> Durability | None:
    """Ask the Redis of a lane that opens, and log what it could lose; None where it does not say.

    Raises LaneError.
    """
    try:
        reply = await lane.call("CONFIG", "GET", "appendonly", "appendfsync", "maxmemory-policy", "maxmemory")
    except hiredis.ReplyError as error:
        # Managed Redis services refuse CONFIG; what can't be read is not claimed.
        _log.warning("redis_durability_unknown", lane=lane.name, error=str(error))
        return None
    items = cast("dict[bytes, bytes]", reply)
    durability = Durability(
        appendonly=items.get(b"appendonly") == b"yes",
        appendfsync=items.get(b"appendfsync", b"").decode(),
        maxmemory_policy=items.get(b"maxmemory-policy", b"").decode(),
        maxmemory=int(items.get(b"maxmemory", b"0")),
    )
    for warning in durability.warnings():
        _log.warning("redis_not_durable", lane=lane.name, why=warning)
    return durability
