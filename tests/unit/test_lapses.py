"""When a player may have ceased to be heard, it is counted: nothing is computed on what was known before."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Final, cast

import hiredis

from game.session import UserId
from persistence.live.keys import Keys
from persistence.live.lane import Lane
from persistence.live.lane_contract import LaneDown, ReplyLost, pack
from persistence.live.lanes import Lanes
from persistence.live.session_addresses import SessionAddresses
from persistence.live.subscriptions import Subscriptions
from tests.support.game_catalogue import CATALOGUE

if TYPE_CHECKING:
    from persistence.live.lane_contract import OnReply
    from persistence.live.session_commands import SessionCommands
    from persistence.live.session_ref import SessionRef
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


class Line:
    """A lane that keeps what is sent first, and its callbacks."""

    def __init__(self) -> None:
        self.up = True
        self.sent: list[tuple[bytes, OnReply]] = []

    def send_first(self, command: bytes, on_reply: OnReply) -> None:
        """Keep a command."""
        self.sent.append((command, on_reply))


def listening() -> tuple[Line, Subscriptions, SessionRef]:
    """Make the subscriptions of a process, and a player's address on the one lane."""
    line = Line()
    named = SimpleNamespace(keys=Keys(), origin=b"me", lane_of=lambda _: line, lane_for=lambda _: line)
    addresses = SessionAddresses(cast("Lanes", named), cast("CatalogueSource", None))
    return line, Subscriptions(addresses, cast("SessionCommands", None)), addresses.ref(USER)


def test_a_lost_reply_is_owed_to_others_where_the_connection_was_lost() -> None:
    """Over one that stands, where replicas fell short, an end of the subscription was read before."""
    line, subscriptions, ref = listening()
    subscriptions.reply_lost(ref)
    subscriptions.lane_ready(cast("Lane", line))
    assert line.sent == []
    line.up = False
    subscriptions.reply_lost(ref)
    subscriptions.lane_ready(cast("Lane", line))
    ((command, _),) = line.sent
    assert command == pack("SPUBLISH", CHANNEL, b"me reloaded 0")


def test_news_is_owed_until_redis_has_answered() -> None:
    """Lost with another connection it is published over the next; a refusal is an answer: nobody is there."""
    line, subscriptions, ref = listening()
    subscriptions.lapsed(ref, cast("Lane", line))
    for reply in (ReplyLost("redis"), LaneDown("redis"), hiredis.ReplyError("MOVED 1 a:1")):
        _, on_reply = line.sent.pop()
        on_reply(reply)
        assert line.sent == []
        subscriptions.lane_ready(cast("Lane", line))
    assert line.sent == []
