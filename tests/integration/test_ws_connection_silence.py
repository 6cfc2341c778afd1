"""A peer of which nothing is heard: pinged, and cut off in time."""

from __future__ import annotations

import contextlib

from websockets.frames import Opcode

from server.protocol.close_codes import CloseCode
from tests.support.ws_peer import connected, raw_frame


async def test_an_idle_peer_is_pinged_within_54_s_and_dropped_after_60() -> None:
    """A peer of which nothing is heard gets a ping and is cut off 60 s after its last byte."""
    async with connected() as peer:
        peer.advance(59)
        assert (await peer.frame()).opcode is Opcode.PING
        peer.write(raw_frame(0x8A))
        await peer.settled()
        peer.advance(59)
        assert peer.recorder.closed == []
        peer.advance(1)
        await peer.ended()
        assert peer.connection.close_code == CloseCode.ABNORMAL


async def test_a_peer_that_answers_pings_stays() -> None:
    """An idle peer is pinged every 54 s after its first ping, and stays as long as it answers."""
    async with connected() as peer:
        pings = 0
        for _ in range(6):
            peer.advance(54)
            pings += (await peer.frame()).opcode is Opcode.PING
            peer.write(raw_frame(0x8A))
            await peer.settled()
        assert (pings, peer.connection.open) == (6, True)


async def test_a_pause_of_ours_is_not_the_silence_of_the_peer() -> None:
    """While we do not read, silence is not counted; it begins when reading resumes."""
    async with connected() as peer:
        peer.connection.pause_reading()
        peer.advance(200)
        assert peer.connection.open
        peer.connection.resume_reading()
        peer.advance(60)
        assert not peer.connection.open


async def test_first_pings_are_spread() -> None:
    """Connections that came together are not pinged in the same second."""
    async with contextlib.AsyncExitStack() as stack:
        peers = [await stack.enter_async_context(connected()) for _ in range(20)]
        due = {peer.connection._next_ping_tick for peer in peers}
        assert len(due) > 5
        assert max(due) <= 1 + 54
