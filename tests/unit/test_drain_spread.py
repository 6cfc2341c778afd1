"""Connections that a stopping server sends away: over a time, unevenly, in no burst."""

from __future__ import annotations

import asyncio
import itertools
import statistics
from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

import pytest

from server.ws.dispatch import Dispatch

if TYPE_CHECKING:
    from collections.abc import Callable

SPREAD_S = 10.0


class Clock:
    """A loop's time, which passes only while somebody sleeps."""

    def __init__(self) -> None:
        self.now_s = 1000.0

    def time(self) -> float:
        """Return the time."""
        return self.now_s

    async def sleep(self, delay_s: float) -> None:
        """Let time pass."""
        self.now_s += delay_s


@pytest.fixture
def drained(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], list[float]]:
    """Send so many connections away; returns when each went, in seconds since the beginning."""

    def drain(connections: int) -> list[float]:
        clock, went_s = Clock(), list[float]()
        monkeypatch.setattr("server.ws.dispatch.asyncio.sleep", clock.sleep)
        dispatch = SimpleNamespace(
            exchanges=range(connections),
            send_away=lambda _: went_s.append(clock.now_s - 1000.0),
            _loop=clock,
            _draining=False,
        )
        asyncio.run(Dispatch.drain(cast("Dispatch", dispatch), SPREAD_S))
        assert dispatch._draining
        return went_s

    return drain


def test_a_crowd_leaves_over_the_whole_time(drained: Callable[[int], list[float]]) -> None:
    """Two hundred go over ten seconds: no tenth of it sees a third of them, no two gaps are alike."""
    moments_s = drained(200)
    assert len(moments_s) == 200
    assert 0.8 * SPREAD_S <= moments_s[-1] - moments_s[0] <= SPREAD_S
    window_s = SPREAD_S / 10
    most = max(sum(start <= each < start + window_s for each in moments_s) for start in moments_s)
    assert most <= len(moments_s) / 3
    gaps_s = [later - earlier for earlier, later in itertools.pairwise(moments_s)]
    assert statistics.pstdev(gaps_s) > statistics.mean(gaps_s) / 4


def test_a_few_need_not_wait_for_each_other(drained: Callable[[int], list[float]]) -> None:
    """The time shrinks with their number: five are gone within a tenth of it."""
    assert max(drained(5)) <= SPREAD_S / 10
