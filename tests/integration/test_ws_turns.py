"""However one connection floods, a pass of the event loop does little for it: clicks go in between."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import TYPE_CHECKING, Final

import pytest

from server.ws.limits import ConnectionLimits
from tests.support.limits import LIMIT_S
from tests.support.ws_peer import close_frame, connected, more, raw_frame, text

if TYPE_CHECKING:
    from tests.support.ws_peer import Peer

EMPTY: Final = more(b"")
FRAGMENTS_A_MESSAGE: Final = 64
MESSAGES: Final = 50
JUDGED_IN_A_TURN: Final = 8
TAKEN_IN_A_TURN: Final = 16


async def passes_of(peer: Peer, wanted: int) -> Counter[int]:
    """Count the messages that arrive in each pass of the loop, until there are so many."""
    found: Counter[int] = Counter()
    async with asyncio.timeout(LIMIT_S):
        number = seen = 0
        while seen < wanted:
            await asyncio.sleep(0)
            number += 1
            found[number] = len(peer.recorder.received) - seen
            seen += found[number]
    return found


@pytest.mark.parametrize("fragments", [2, 8, 64])
async def test_fragments_are_judged_a_few_in_each_pass(fragments: int) -> None:
    """A burst of fragmented messages is taken whole and in order, eight frames in a pass."""
    async with connected() as peer:
        one = text(b"", fin=False) + EMPTY * (fragments - 2) + more(b"{}", fin=True)
        peer.write(one * MESSAGES)
        found = await passes_of(peer, MESSAGES)
        assert max(found.values()) <= max(1, JUDGED_IN_A_TURN // fragments)
        assert peer.connection.open


async def test_messages_that_come_in_a_crowd_are_taken_a_few_in_each_pass() -> None:
    """A burst of plain messages is taken whole and in order, sixteen in a pass."""
    async with connected() as peer:
        sent = [b"%d" % number for number in range(2_000)]
        peer.write(*map(text, sent))
        found = await passes_of(peer, len(sent))
        assert max(found.values()) <= TAKEN_IN_A_TURN
        assert peer.recorder.received == sent


async def test_frames_behind_a_close_are_looked_through_a_few_in_each_pass() -> None:
    """What comes while a connection closes is not judged in one go, and the peer's close is found."""
    async with connected() as peer:
        peer.connection.close(1008, "enough")
        peer.write(text(b"") * 5_000 + close_frame(1008))
        judged = 0
        async with asyncio.timeout(LIMIT_S):
            while peer.connection._kept is not None or not judged:
                await asyncio.sleep(0)
                judged += 1
        assert judged >= 5_000 * len(text(b"")) // 65_536
        assert await peer.close_code() == 1008
        await peer.ended()


FLOODS: Final = (
    raw_frame(0x89) * 19 + text(b"last"),
    text(b"a", fin=False) + raw_frame(0x89) * 10 + more(b"b", fin=True) + text(b"last"),
    (text(b"a", fin=False) + EMPTY * 20 + more(b"b", fin=True) + text(b"c")) * 5 + text(b"last"),
)
"""What is more than plain text frames, in mixes that may stand in one read."""


@pytest.mark.parametrize("flood", FLOODS)
@pytest.mark.parametrize("cut", [1, 7, 1000])
async def test_order_holds_across_turns(flood: bytes, cut: int) -> None:
    """Plain messages stay behind what came before them, however the bytes are cut, also across a pause."""
    async with connected(ConnectionLimits(max_controls_per_s=1000)) as peer:
        for start in range(0, len(flood), cut):
            peer.write(flood[start : start + cut])
            await asyncio.sleep(0)
            if start % (3 * cut) == 0:
                peer.connection.pause_reading()
                await asyncio.sleep(0)
                peer.connection.resume_reading()
        async with asyncio.timeout(LIMIT_S):
            while peer.recorder.received[-1:] != [b"last"]:  # noqa: ASYNC110 - each pass is the point
                await asyncio.sleep(0)
        whole = [message for message in peer.recorder.received if message != b"last"]
        assert whole in ([], [b"ab"], [b"ab", b"c"] * 5)
