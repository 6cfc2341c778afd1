"""A lane for tests, open while a block runs, and what it tells its owner."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from persistence.live.addresses import opener
from persistence.live.lane import Lane
from tests.support.limits import LIMIT_S

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import hiredis

    from persistence.live.lane_contract import LaneLimits

CHANNEL: Final = b"user:{1}:1"


@dataclass
class Hearer:
    """Keeps what a lane tells, and subscribes to `channels` whenever it opens."""

    channels: list[bytes] = field(default_factory=list)
    heard: list[object] = field(default_factory=list)
    lost: int = 0
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    async def lane_opened(self, lane: Lane) -> None:
        """Subscribe."""
        for channel in self.channels:
            lane.subscribe(channel)
        self.changed.set()

    def lane_lost(self, lane: Lane) -> None:  # noqa: ARG002 - the contract's signature
        """Count."""
        self.lost += 1
        self.changed.set()

    def published(self, lane: Lane, channel: bytes, payload: bytes) -> None:  # noqa: ARG002 - the contract's signature
        """Keep."""
        self.heard.append((channel, payload))
        self.changed.set()

    def subscribed(self, lane: Lane, channel: bytes) -> None:
        """What is subscribed to is heard in the tests themselves."""

    def refused(self, lane: Lane, channel: bytes) -> None:  # noqa: ARG002 - the contract's signature
        """Keep what was refused."""
        self.heard.append(("refused", channel))

    def error_replied(self, lane: Lane, error: hiredis.ReplyError) -> None:
        """Errors are given to the callers too."""

    def unsubscribed(self, lane: Lane, channel: bytes) -> None:  # noqa: ARG002 - the contract's signature
        """Keep."""
        self.heard.append(("unsubscribed", channel))
        self.changed.set()

    async def until(self, wanted: int) -> list[object]:
        """Wait until so much was heard."""
        async with asyncio.timeout(LIMIT_S):
            while len(self.heard) < wanted:
                self.changed.clear()
                await self.changed.wait()
        return self.heard


@contextlib.asynccontextmanager
async def running_lane(url: str, hearer: Hearer, limits: LaneLimits | None = None) -> AsyncIterator[Lane]:
    """Run a lane until the block ends; it is up when the block begins."""
    lane = Lane("test", opener(url), hearer, limits)
    task = asyncio.create_task(lane.run())
    try:
        await until_up(lane)
        yield lane
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def until_up(lane: Lane) -> None:
    """Wait until the lane takes commands."""
    async with asyncio.timeout(LIMIT_S):
        while not lane.up:  # noqa: ASYNC110 - a lane has no event of its own
            await asyncio.sleep(0.005)
