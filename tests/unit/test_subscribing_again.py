"""A subscription that Redis refused is tried again until it stands, also where its lane is about to open."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Final, cast

import pytest

from persistence.live.lanes import Lanes

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from persistence.live.lane import Lane

CHANNEL: Final = b"user:{7}:7"


class Line:
    """A lane that notes what is subscribed to."""

    def __init__(self, *, up: bool) -> None:
        self.up = up
        self.asked = 0

    def subscribe(self, channel: bytes) -> None:
        """Note it."""
        assert channel == CHANNEL
        self.asked += 1


@pytest.fixture(name="channels")
def _channels() -> list[bytes]:
    """Name the channels that are needed."""
    return [CHANNEL]


@pytest.fixture(name="lanes")
async def _lanes(channels: list[bytes]) -> AsyncIterator[Lanes]:
    """Make lanes with a hearer, and nothing to open."""
    lanes = Lanes("redis://127.0.0.1:1", "me", {})
    lanes._hearer = cast(
        "Any",
        SimpleNamespace(channels_of=lambda _: channels, unheard=lambda *_: None, subscribed=lambda *_: None),
    )
    lanes._buckets = cast("Any", SimpleNamespace(hears=lambda *_: True))
    yield lanes
    await lanes.stop()


def refuse(lanes: Lanes, *, up: bool) -> Line:
    """Refuse a subscription on a lane."""
    line = Line(up=up)
    lanes._lanes = {"first": cast("Lane", line)}
    lanes.refused(cast("Lane", line), CHANNEL)
    return line


def try_again(lanes: Lanes) -> None:
    """Do what is due a little later."""
    assert lanes._subscribing_again is not None
    lanes._subscribing_again.cancel()
    lanes._subscribe_again()


async def test_what_is_refused_is_asked_for_again(lanes: Lanes) -> None:
    """Once: if that is refused too, the lane says so."""
    line = refuse(lanes, up=True)
    try_again(lanes)
    assert (line.asked, lanes._unheard, lanes._subscribing_again) == (1, set(), None)


async def test_what_is_refused_while_a_lane_opens_is_asked_for_until_it_stands(lanes: Lanes) -> None:
    """The lane had subscribed before the refusal, and is up only after the first trials."""
    line = refuse(lanes, up=False)
    for _ in range(3):
        try_again(lanes)
    line.up = True
    try_again(lanes)
    assert (line.asked, lanes._unheard, lanes._subscribing_again) == (4, set(), None)


@pytest.mark.parametrize("up", [False, True])
async def test_nobody_asks_for_a_player_who_has_left(
    lanes: Lanes, channels: list[bytes], *, up: bool
) -> None:
    """Whether the lane is up or not."""
    line = refuse(lanes, up=up)
    channels.clear()
    try_again(lanes)
    assert (line.asked, lanes._unheard, lanes._subscribing_again) == (0, set(), None)


@pytest.mark.parametrize("up", [False, True])
async def test_what_was_confirmed_meanwhile_is_not_asked_for(lanes: Lanes, *, up: bool) -> None:
    """As the lane opened again."""
    line = refuse(lanes, up=up)
    lanes.subscribed(cast("Lane", line), CHANNEL)
    try_again(lanes)
    assert (line.asked, lanes._unheard, lanes._subscribing_again) == (0, set(), None)
