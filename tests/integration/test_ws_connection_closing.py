"""How a connection ends: by either side, for a reason, in time, and once."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import socket

import pytest
from websockets.frames import Frame, Opcode

from server.protocol.close_codes import CloseCode
from server.ws.connection import Connection
from server.ws.library_protocol import LibraryProtocol
from server.ws.limits import ConnectionLimits
from tests.support.limits import LIMIT_S
from tests.support.ws_peer import close_frame, connected, masked, more, raw_frame, text


@pytest.mark.parametrize(
    "wrong",
    [
        raw_frame(0x81, b"unmasked", masked=False),
        raw_frame(0xC1, b"rsv1"),
        raw_frame(0x91, b"rsv3"),
        raw_frame(0x83, b"reserved opcode"),
        raw_frame(0x8B, b"reserved control"),
        raw_frame(0x09, b"fragmented ping"),
        raw_frame(0x80, b"continues nothing"),
        raw_frame(0x88, b"\x03"),
        raw_frame(0x88, (1005).to_bytes(2, "big")),
        raw_frame(0x88, (2999).to_bytes(2, "big")),
        masked(Opcode.PING, b"x" * 126),
        text(b"a", fin=False) + text(b"b"),
        b"GET / HTTP/1.1\r\n\r\n",
    ],
)
async def test_what_is_against_the_rfc_closes_with_1002(wrong: bytes) -> None:
    """A frame against RFC 6455 is answered with 1002 and the end of the stream; what follows is ignored."""
    async with connected() as peer:
        peer.write(wrong, text(b"after"))
        assert await peer.close_code() == CloseCode.PROTOCOL_ERROR
        assert await peer.ended() == b""
        assert peer.recorder.received == []
        assert peer.connection.close_code == CloseCode.PROTOCOL_ERROR


@pytest.mark.parametrize(
    ("frames", "code"),
    [
        (raw_frame(0x82, b"binary"), CloseCode.BINARY),
        (raw_frame(0x02, b"binary"), CloseCode.BINARY),
        (text(b"\xff"), CloseCode.NOT_UTF8),
        (text(b"\xed\xa0\x80"), CloseCode.NOT_UTF8),
        (text(b"ok\xc3", fin=False) + more(b"\x28", fin=True), CloseCode.NOT_UTF8),
        (raw_frame(0x88, b"\x03\xe8\xff"), CloseCode.NOT_UTF8),
        (b"\x81\xfe\x27\x11" + bytes(4), CloseCode.TOO_BIG),
        (b"\x81\xff" + (2**62).to_bytes(8, "big") + bytes(4), CloseCode.TOO_BIG),
        (text(b"x" * 9_000, fin=False) + b"\x00\xfe\x10\x00" + bytes(4 + 4096), CloseCode.TOO_BIG),
        (text(b"", fin=False) + more(b"") * 64, CloseCode.POLICY),
        (raw_frame(0x89) * 21, CloseCode.POLICY),
        (raw_frame(0x8A) * 21, CloseCode.POLICY),
    ],
)
async def test_what_we_do_not_take_closes_with_its_code(frames: bytes, code: CloseCode) -> None:
    """Binary, broken text, and too much of anything are refused, sizes by what is declared alone."""
    async with connected() as peer:
        peer.write(frames, text(b"after"))
        while (frame := await peer.frame()).opcode is Opcode.PONG:
            pass
        assert (frame.opcode, frame.data[:2]) == (Opcode.CLOSE, code.to_bytes(2, "big"))
        assert await peer.ended() == b""
        assert peer.recorder.received == []


async def test_the_most_of_each_limit_is_still_taken() -> None:
    """64 fragments, 10,000 bytes and 20 controls a second pass; the next second brings 20 more."""
    async with connected() as peer:
        peer.write(text(b"", fin=False), more(b"") * 62, more(b"x" * 10_000, fin=True), raw_frame(0x89) * 20)
        assert {(await peer.frame()).opcode for _ in range(20)} == {Opcode.PONG}
        peer.advance(1)
        peer.write(raw_frame(0x89) * 20)
        assert {(await peer.frame()).opcode for _ in range(20)} == {Opcode.PONG}
        assert peer.recorder.received == [b"x" * 10_000]


async def test_a_pong_that_comes_alone_counts_among_the_controls_of_its_second() -> None:
    """Twenty pings behind it are one too many; in the next second they are not."""
    async with connected() as peer:
        for next_second in (True, False):
            peer.advance(1)
            peer.write(raw_frame(0x8A, b"beat"))
            async with asyncio.timeout(LIMIT_S):
                while peer.connection._controls_tick != peer.sweeper.tick:  # noqa: ASYNC110 - a pong has no event
                    await asyncio.sleep(0)
            peer.advance(next_second)
            peer.write(raw_frame(0x89) * 20)
            assert {(await peer.frame()).opcode for _ in range(20)} == {Opcode.PONG}
        assert await peer.close_code() == CloseCode.POLICY


@pytest.mark.parametrize("before", [b"", text(b"unfinished", fin=False), text(b"unfinished")[:5]])
async def test_a_close_is_answered_with_its_own_code(before: bytes) -> None:
    """A peer's close is echoed, within a fragmented message too, then the stream ends."""
    async with connected() as peer:
        peer.connection.send(b"before")
        if len(before) != 5:
            peer.write(before)
        peer.write(close_frame(4321, "bye"), text(b"after"))
        assert await peer.texts(1) == [b"before"]
        assert await peer.frame() == Frame(Opcode.CLOSE, (4321).to_bytes(2, "big") + b"bye")
        peer.connection.send(b"too late")
        assert await peer.ended() == b""
        assert (peer.recorder.received, peer.connection.close_code) == ([], 4321)


async def test_a_close_of_ours_waits_for_the_answer_and_hears_nothing_else() -> None:
    """After our close, messages are ignored and pings unanswered; the peer's close ends the stream."""
    async with connected() as peer:
        peer.connection.close(CloseCode.REVOKED, "log-in revoked" * 20)
        peer.connection.close(CloseCode.NORMAL)
        peer.connection.send(b"too late")
        assert not peer.connection.open
        frame = await peer.frame()
        assert (frame.opcode, frame.data[:2], len(frame.data)) == (Opcode.CLOSE, b"\x0f\xa1", 125)
        peer.write(text(b"ignored"), raw_frame(0x89), text(b"part")[:4])
        peer.write(text(b"part")[4:], close_frame(4001))
        assert await peer.ended() == b""
        assert peer.recorder.received == []
        assert peer.connection.close_code == CloseCode.REVOKED


async def test_frames_behind_a_close_of_ours_are_passed_over_unjudged(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The library sees the peer's close alone: frames before it, whole or in pieces, only have headers."""
    judged: list[bytes] = []
    receive = LibraryProtocol.receive

    def counted(self: LibraryProtocol, data: bytearray) -> None:
        judged.append(bytes(data))
        receive(self, data)

    monkeypatch.setattr(LibraryProtocol, "receive", counted)
    async with connected() as peer:
        peer.connection.close(CloseCode.POLICY)
        peer.write(text(b"") * 4_000 + raw_frame(0x89) * 2_000 + text(b"x" * 9_000), text(b"in two")[:7])
        assert await peer.close_code() == CloseCode.POLICY
        peer.write(text(b"in two")[7:], close_frame(4001), text(b"") * 2_000)
        assert await peer.ended() == b""
        assert judged == [close_frame(4001)]
        assert peer.recorder.received == []


@pytest.mark.parametrize("answer", [b"", raw_frame(0x81, b"nonsense", masked=False)])
async def test_a_close_without_an_answer_is_cut_off_after_5_s(answer: bytes) -> None:
    """A peer that does not finish the closing handshake, or breaks it, is cut off in time."""
    async with connected() as peer:
        peer.connection.close(CloseCode.GOING_AWAY)
        assert await peer.close_code() == CloseCode.GOING_AWAY
        peer.write(answer)
        peer.advance(4)
        await asyncio.sleep(0)
        assert peer.recorder.closed == []
        peer.advance(1)
        assert await peer.ended() == b""


async def test_a_peer_that_keeps_its_end_open_is_cut_off_after_5_s() -> None:
    """A socket is not kept by a peer that never closes it after the closing handshake."""
    async with connected() as peer:
        peer.write(close_frame(1000))
        assert await peer.close_code() == CloseCode.NORMAL
        peer.advance(4)
        await asyncio.sleep(0)
        assert peer.recorder.closed == []
        peer.advance(1)
        async with asyncio.timeout(LIMIT_S):
            await peer.recorder.gone.wait()


@pytest.mark.parametrize("before", [b"", text(b"half")[:7], text(b"part", fin=False)])
async def test_an_end_without_a_close_is_a_broken_connection(before: bytes) -> None:
    """A stream that just ends, between frames or within one, is reported as 1006."""
    async with connected() as peer:
        peer.write(before)
        peer.writer.write_eof()
        assert await peer.ended() == b""
        assert peer.connection.close_code == CloseCode.ABNORMAL


async def test_nothing_raises_on_a_connection_that_is_gone() -> None:
    """Every method may be called at any time; on a closed connection it does nothing."""
    async with connected() as peer:
        peer.connection.abort()
        await peer.ended()
        connection = peer.connection
        connection.send(b"x")
        connection.send_latest(b"x")
        connection.close(CloseCode.NORMAL)
        connection.pause_reading()
        connection.resume_reading()
        connection.abort()
        assert (connection.closing, connection.messages_out) == (True, 0)


async def test_a_frame_goes_to_no_socket_but_its_own() -> None:
    """Once a connection is gone its socket's number may be another's: what is sent late reaches nobody."""
    async with connected() as peer:
        peer.connection.send(b"before")
        assert await peer.texts(1) == [b"before"]
        number = peer.connection.direct_fd
        assert number >= 0, "nothing waits, so the next frame goes straight to the socket"
        peer.connection.abort()
        await peer.ended()
        ours, theirs = socket.socketpair()
        with ours, theirs:
            if ours.fileno() != number:
                os.dup2(ours.fileno(), number)
            try:
                peer.connection.send(b"late")
                peer.connection.send_latest(b"late")
                theirs.setblocking(False)
                with pytest.raises(BlockingIOError):
                    theirs.recv(1)
            finally:
                if ours.fileno() != number:
                    os.close(number)


async def test_what_a_lost_peer_is_sent_ends_its_connection_alone() -> None:
    """A peer that reset its connection is noticed by what it is sent; nothing is raised."""
    async with connected() as peer, connected() as other:
        peer.connection.send(b"before")
        assert await peer.texts(1) == [b"before"]
        peer.writer.transport.abort()
        async with asyncio.timeout(LIMIT_S):
            while not peer.recorder.closed:
                peer.connection.send(b"x")
                await asyncio.sleep(0)
        assert peer.connection.close_code == CloseCode.ABNORMAL
        other.connection.send(b"unharmed")
        assert await other.texts(1) == [b"unharmed"]


async def test_a_close_from_within_a_message_follows_what_was_said_before_it() -> None:
    """Answers given in the same callback precede the close; messages behind it are not received."""

    def answer_and_leave(connection: Connection, payload: bytes) -> None:
        connection.send(payload)
        if payload == b"2":
            connection.close(CloseCode.POLICY)

    async with connected(on_message=answer_and_leave) as peer:
        peer.write(text(b"1"), text(b"2"), text(b"3"), close_frame(1008))
        assert await peer.texts(2) == [b"1", b"2"]
        assert await peer.close_code() == CloseCode.POLICY
        assert await peer.ended() == b""
        assert peer.recorder.received == [b"1", b"2"]


# Silence.


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


# Slow readers.


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


async def test_connections_that_left_are_freed_without_the_collector() -> None:
    """Nothing holds on to a closed connection: counting references alone gives its memory back."""

    async def come_and_go(ending: bytes) -> None:
        async with connected() as peer:
            peer.write(text(b"a", fin=False), ending)
            await peer.close_code()
            await peer.ended()
            assert peer.sweeper._buckets == {}

    def alive() -> int:
        return sum(type(thing) is Connection for thing in gc.get_objects())

    gc.collect()
    gc.disable()
    try:
        before = alive()
        for ending in (close_frame(1000), raw_frame(0x82), b"\x81\xff" + b"\xff" * 12):
            await come_and_go(ending)
        await asyncio.sleep(0)
        assert alive() == before
    finally:
        gc.enable()
