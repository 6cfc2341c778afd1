"""When a player may have ceased to be heard, it is counted: nothing is computed on what was known before."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Final, cast

from game.session import UserId
from persistence.live.lane import Lane
from persistence.live.lanes import Lanes
from persistence.live.session_addresses import SessionAddresses
from tests.support.game_catalogue import CATALOGUE

if TYPE_CHECKING:
    from persistence.live.sources import CatalogueSource

USER: Final = UserId(7)
CHANNEL: Final = b"user:{7}:7"


async def _never() -> Any:
    """Open nothing."""
    raise OSError


async def test_a_player_who_takes_another_lane_lapses() -> None:
    """Packed again, or moved: once, however often the new lane is asked for."""
    lanes = Lanes("redis://127.0.0.1:1", "me", {})
    first, second = (Lane(name, _never, lanes) for name in ("first", "second"))
    serving = first
    named = SimpleNamespace(keys=lanes.keys, origin=b"me", lapses=0, lane_of=lambda _: serving)
    catalogues = cast("CatalogueSource", SimpleNamespace(current=CATALOGUE))
    addresses = SessionAddresses(cast("Lanes", named), catalogues)
    ref = addresses.ref(USER)
    counted = []
    for turn in (addresses.pack, addresses.move):
        for _ in range(2):
            turn(ref)
            counted.append(named.lapses)
        serving = second if serving is first else first
        for _ in range(2):
            turn(ref)
            counted.append(named.lapses)
    assert counted == [0, 0, 1, 1, 1, 1, 2, 2]


async def test_what_a_lane_hears_no_more_lapses() -> None:
    """A connection that was lost, a subscription that was refused, and one that Redis ended."""
    lanes = Lanes("redis://127.0.0.1:1", "me", {})
    lane = Lane("first", _never, lanes)
    lane.broken()
    assert lanes.lapses == 1
    lane.refused(CHANNEL)
    assert lanes.lapses == 2
    lane.unsubscribed(CHANNEL)
    assert lanes.lapses == 3
    await lanes.stop()
