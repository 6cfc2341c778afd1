"""A peer that does not read: what waits for it is bounded, and nobody else is harmed."""

from __future__ import annotations

import asyncio

from server.protocol.close_codes import CloseCode
from server.ws.limits import ConnectionLimits
from tests.support.limits import LIMIT_S
from tests.support.ws_peer import close_frame, connected, raw_frame


async def test_a_reader_that_does_not_read_is_closed_with_4000_and_cut_off() -> None:
    """Unsent bytes are bounded: past the bound the connection closes with 4000, all is freed 5 s later."""
    limits = ConnectionLimits(high_water_bytes=4096, max_unsent_bytes=20_000)
    async with connected(limits) as peer, connected() as other:
        payload = b"x" * 1000
        sent = 0
        while peer.connection.open and sent < 10_000:
            peer.connection.send(payload)
            sent += 1
        assert not peer.connection.open
        assert peer.connection.close_code == CloseCode.SLOW_READER
        transport = peer.connection._transport
        assert 20_000 < transport.get_write_buffer_size() < 22_000
        peer.connection.send(payload)
        other.connection.send(b"unharmed")
        assert await other.texts(1) == [b"unharmed"]
        peer.advance(5)
        async with asyncio.timeout(LIMIT_S):
            await peer.recorder.gone.wait()
        assert transport.get_write_buffer_size() == 0


async def test_a_slow_reader_that_wakes_up_finds_everything_and_the_close() -> None:
    """A reader that catches up within 5 s gets what was said before the 4000, in order."""
    limits = ConnectionLimits(high_water_bytes=4096, max_unsent_bytes=20_000)
    async with connected(limits) as peer:
        sent = 0
        while peer.connection.open:
            peer.connection.send(b"%06d" % sent + b"x" * 500)
            sent += 1
        received = await peer.texts(sent)
        assert [int(payload[:6]) for payload in received] == list(range(sent))
        assert await peer.close_code() == CloseCode.SLOW_READER
        peer.write(close_frame(4000))
        assert await peer.ended() == b""


async def test_only_the_newest_droppable_message_waits_for_a_slow_reader() -> None:
    """Droppable messages replace each other while the peer is slow, and keep their place among the others."""
    limits = ConnectionLimits(high_water_bytes=4096, max_unsent_bytes=2**20)
    async with connected(limits) as peer:
        filler = 0
        while not peer.connection._congested:
            peer.connection.send(b"filler" + b"x" * 500)
            filler += 1
        for number in range(100):
            peer.connection.send_latest(b"passive %d" % number)
        peer.connection.send(b"response")
        for number in range(100, 200):
            peer.connection.send_latest(b"passive %d" % number)
        await peer.texts(filler)
        assert await peer.texts(3) == [b"passive 99", b"response", b"passive 199"]
        peer.connection.send_latest(b"at once")
        assert await peer.texts(1) == [b"at once"]
        assert peer.connection.messages_out == filler + 4


async def test_pings_of_a_peer_that_does_not_read_do_not_pile_up() -> None:
    """Pongs count as unsent bytes, and none are written once the connection is closing."""
    limits = ConnectionLimits(high_water_bytes=1024, max_unsent_bytes=4096, max_controls_per_s=10**6)
    async with connected(limits) as peer:
        peer.writer.transport.pause_reading()  # type: ignore[attr-defined]  # a socket's can
        async with asyncio.timeout(LIMIT_S):
            while not peer.connection.closing:
                peer.write(raw_frame(0x89, b"x" * 125) * 20)
                await asyncio.sleep(0)
        assert peer.connection.close_code == CloseCode.SLOW_READER
        for _ in range(200):
            peer.write(raw_frame(0x89, b"x" * 125) * 20)
            await asyncio.sleep(0)
        assert peer.connection._transport.get_write_buffer_size() < 4096 + 400
