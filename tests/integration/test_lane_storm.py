"""A lane in a storm: calls, cancellations, subscriptions and lost connections, as chance has them."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest

from persistence.live.lane_contract import LaneError, LaneLimits, pack
from tests.support.lanes import CHANNEL, Hearer, running_lane, until_up

if TYPE_CHECKING:
    from persistence.live.lane import Lane
    from persistence.live.lane_contract import OnReply
    from tests.support.servers import ValkeyServer

SEEDS = range(6)
STORM_STEPS = 500


@dataclass
class Storm:
    """Does what chance says to a lane, and counts how often each handler was called."""

    lane: Lane
    valkey: ValkeyServer
    chance: random.Random
    tasks: list[asyncio.Task[None]] = field(default_factory=list)
    sent: set[int] = field(default_factory=set)
    calls: Counter[int] = field(default_factory=Counter)

    def step(self, number: int) -> None:
        """Call, send, (un)subscribe, cancel an earlier call, or have Redis cut the connection."""
        action = self.chance.random()
        if action < 0.45:
            self.tasks.append(asyncio.create_task(self._ask(number)))
        elif action < 0.8:
            with contextlib.suppress(LaneError):
                self.lane.send(pack("ECHO", number), self._handler(number))
                self.sent.add(number)
        elif action < 0.9:
            change = self.chance.choice([self.lane.subscribe, self.lane.unsubscribe])
            change(b"storm:{%d}" % self.chance.randrange(3))
        elif action < 0.98 and self.tasks:
            self.chance.choice(self.tasks).cancel()
        elif self.lane.up:
            self.valkey.ask("CLIENT", "KILL", "TYPE", self.chance.choice(["normal", "pubsub"]))

    async def _ask(self, number: int) -> None:
        with contextlib.suppress(LaneError):
            assert await self.lane.call("ECHO", number) == b"%d" % number

    def _handler(self, number: int) -> OnReply:
        def on_reply(reply: object) -> None:
            self.calls[number] += 1
            if not isinstance(reply, LaneError) and reply != b"%d" % number:
                self.calls[number] += 1_000

        return on_reply


@pytest.mark.parametrize("seed", SEEDS)
async def test_a_storm_mixes_nothing_up(own_valkey: ValkeyServer, seed: int) -> None:
    """Whatever is cancelled, subscribed or cut off when: a reply is its caller's own, and comes once."""
    limits = LaneLimits(max_pending=60, retry_first_s=0.001, retry_most_s=0.01)
    async with running_lane(own_valkey.url, Hearer(channels=[CHANNEL]), limits) as lane:
        storm = Storm(lane, own_valkey, random.Random(seed))
        for number in range(STORM_STEPS):
            storm.step(number)
            if storm.chance.random() < 0.3:
                await asyncio.sleep(storm.chance.choice([0, 0, 0.001]))
        outcomes = await asyncio.gather(*storm.tasks, return_exceptions=True)
        assert [each for each in outcomes if each and not isinstance(each, asyncio.CancelledError)] == []
        await until_up(lane)
        assert await lane.call("ECHO", "end") == b"end"
        assert lane.depth == 0
        assert lane.totals.connects > 1
    assert storm.calls == Counter(storm.sent)
