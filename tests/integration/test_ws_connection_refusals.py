"""What a peer may not send, or not so much of: each is closed with its code."""

from __future__ import annotations

import asyncio

import pytest
from websockets.frames import Opcode

from server.protocol.close_codes import CloseCode
from tests.support.limits import LIMIT_S
from tests.support.ws_peer import connected, masked, more, raw_frame, text


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
