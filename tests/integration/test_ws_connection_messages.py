"""Messages through a connection, over real sockets: whole, cut, many at once, paused."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from websockets.exceptions import ProtocolError
from websockets.frames import Frame, Opcode
from websockets.protocol import State
from websockets.server import ServerProtocol

from server.protocol.close_codes import CloseCode
from server.ws.frames import is_utf8, text_frame
from server.ws.limits import ConnectionLimits
from tests.support.ws_peer import close_frame, connected, masked, more, raw_frame, text

if TYPE_CHECKING:
    from server.ws.connection import Connection


def echo(connection: Connection, payload: bytes) -> None:
    """Send a message back."""
    connection.send(payload)


@pytest.mark.parametrize("size", [0, 1, 125, 126, 127, 1023, 1024, 10_000, 65_535, 65_536, 200_000])
async def test_a_text_of_any_size_comes_back_as_it_was(size: int) -> None:
    """A text of every length encoding is received and sent unchanged."""
    limits = ConnectionLimits(max_message_bytes=200_000, max_unsent_bytes=2**20)
    async with connected(limits, echo) as peer:
        payload = b"x" * size
        peer.write(text(payload))
        assert [payload] == await peer.texts(1)
        assert (1, size, 1, size) == (
            peer.connection.messages_in,
            peer.connection.bytes_in,
            peer.connection.messages_out,
            peer.connection.bytes_out,
        )


async def test_many_frames_in_one_piece_are_received_in_order() -> None:
    """Frames that arrive together, controls and fragments among them, keep their order."""
    async with connected(on_message=echo) as peer:
        peer.write(
            text(b"1"),
            text("é".encode() * 200),
            raw_frame(0x89, b"p"),
            text(b"2"),
            text(b"a", fin=False),
            more(b"b"),
        )
        peer.write(more(b"c", fin=True), text(b"3"))
        frames = [await peer.frame() for _ in range(6)]
        assert [b"1", "é".encode() * 200, b"p", b"2", b"abc", b"3"] == [bytes(frame.data) for frame in frames]
        assert Opcode.PONG is frames[2].opcode


async def test_a_byte_at_a_time_is_as_good_as_a_whole_frame() -> None:
    """Frames whose bytes dribble in are put together."""
    async with connected(on_message=echo) as peer:
        for byte in text(b"short") + text(b"x" * 300) + text("ж".encode(), fin=False) + more(b"!", fin=True):
            peer.write(bytes((byte,)))
            await asyncio.sleep(0)
        assert [b"short", b"x" * 300, "ж!".encode()] == await peer.texts(3)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=True)
@given(
    payloads=st.lists(st.text(max_size=200).map(str.encode), max_size=12),
    cuts=st.lists(st.integers(1, 400), min_size=1, max_size=8),
    fragments=st.lists(st.integers(1, 90), min_size=1, max_size=4),
)
def test_cuts_and_fragments_never_change_what_is_received(
    payloads: list[bytes], cuts: list[int], fragments: list[int]
) -> None:
    """However messages are fragmented and their bytes are cut, the same messages come out."""

    def framed(number: int, payload: bytes) -> bytes:
        size = fragments[number % len(fragments)]
        if number % 3 == 0 or len(payload) <= size:
            return text(payload)
        parts = [payload[at : at + size] for at in range(0, len(payload), size)]
        middle = [more(part) for part in parts[1:-1]]
        return b"".join([text(parts[0], fin=False), *middle, raw_frame(0x8A), more(parts[-1], fin=True)])

    async def play() -> list[bytes]:
        async with connected(ConnectionLimits(max_fragments=1000, max_controls_per_s=1000)) as peer:
            stream = b"".join(framed(*pair) for pair in enumerate(payloads))
            at = turn = 0
            while at < len(stream):
                peer.write(stream[at : at + cuts[turn % len(cuts)]])
                at += cuts[turn % len(cuts)]
                turn += 1
                await asyncio.sleep(0)
            await peer.settled()
            return peer.recorder.received

    assert payloads == asyncio.run(play())


def library_verdict(stream: bytes) -> tuple[list[bytes], int]:
    """Let the library alone read a stream: the text messages before its end or first fault, and the code."""
    protocol = ServerProtocol(state=State.OPEN, max_size=200)
    protocol.receive_data(stream)
    messages: list[bytes] = []
    fragments: list[bytes] = []
    for frame in protocol.events_received():
        assert isinstance(frame, Frame)
        if frame.opcode is Opcode.BINARY:
            return messages, CloseCode.BINARY
        if frame.opcode in (Opcode.TEXT, Opcode.CONT):
            fragments.append(bytes(frame.data))
            if frame.fin:
                payload, fragments = b"".join(fragments), []
                if not is_utf8(payload):
                    return messages, CloseCode.NOT_UTF8
                messages.append(payload)
    if isinstance(protocol.parser_exc, ProtocolError):
        # The one case in which ours differs: a close may come within a fragmented message.
        assume(str(protocol.parser_exc) != "incomplete fragmented message")
    close = protocol.close_sent
    return messages, close.code if close is not None else CloseCode.ABNORMAL


ANY_FRAME = st.builds(
    lambda opcode, payload, fin: masked(opcode, payload, fin=fin),
    st.sampled_from([Opcode.TEXT, Opcode.TEXT, Opcode.CONT, Opcode.BINARY, Opcode.PONG]),
    st.text(max_size=60).map(str.encode) | st.binary(max_size=130),
    st.just(value=True) | st.booleans(),
)


@settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
@given(
    frames=st.lists(ANY_FRAME | st.just(close_frame(1000)), max_size=8),
    flips=st.lists(st.tuples(st.integers(0, 2000), st.integers(1, 255)), max_size=2),
    cuts=st.lists(st.integers(1, 300), min_size=1, max_size=4),
)
def test_broken_streams_are_judged_as_the_library_judges_them(
    frames: list[bytes], flips: list[tuple[int, int]], cuts: list[int]
) -> None:
    """Whatever bytes come, in whatever pieces, messages and close code are those of the library alone."""
    flipped = bytearray(b"".join(frames))
    for at, flip in flips:
        if flipped:
            flipped[at % len(flipped)] ^= flip
    stream = bytes(flipped)
    expected = library_verdict(stream)

    async def play() -> tuple[list[bytes], int]:
        limits = ConnectionLimits(max_message_bytes=200, max_controls_per_s=1000)
        async with connected(limits) as peer:
            at = turn = 0
            while at < len(stream):
                peer.write(stream[at : at + cuts[turn % len(cuts)]])
                at += cuts[turn % len(cuts)]
                turn += 1
                await asyncio.sleep(0)
            peer.writer.write_eof()
            await peer.ended()
            return peer.recorder.received, peer.connection.close_code

    assert expected == asyncio.run(play())


async def test_what_is_said_while_reading_leaves_as_one_piece() -> None:
    """Answers to a few frames that arrived together are written together and in order."""
    async with connected(on_message=echo) as peer:
        peer.write(*(text(b"%d" % number) for number in range(4)))
        piece = await peer.reader.read(65536)
        assert (
            b"".join(Frame(Opcode.TEXT, b"%d" % number).serialize(mask=False) for number in range(4)) == piece
        )


async def test_what_is_held_goes_in_front_of_whatever_follows() -> None:
    """Held messages leave together, in front of an answer, a pong and a close."""
    async with connected(on_message=echo) as peer:
        connection = peer.connection

        def hold(*payloads: bytes) -> None:
            for payload in payloads:
                connection.hold(payload, text_frame(payload))

        connection.send(b"1")
        hold(b"2", b"3")
        connection.send(b"4")
        hold(b"5")
        connection.send_latest(b"6")
        hold(b"7", b"8")
        connection.send_held()
        connection.send_held()
        assert [b"%d" % number for number in range(1, 9)] == await peer.texts(8)
        hold(b"9")
        peer.write(raw_frame(0x89, b"p"), text(b"10"), text(b"11"))
        frames = [await peer.frame() for _ in range(4)]
        assert [bytes(frame.data) for frame in frames] == [b"9", b"p", b"10", b"11"]
        hold(b"12")
        connection.close(CloseCode.REVOKED)
        hold(b"too late")
        connection.send_held()
        assert await peer.texts(1) == [b"12"]
        assert await peer.close_code() == CloseCode.REVOKED
        assert connection.messages_out == 12


async def test_as_much_is_held_as_its_bound_says() -> None:
    """Without a `send_held` the first 64 messages leave when the 64th comes."""
    async with connected() as peer:
        for number in range(70):
            peer.connection.hold(b"%d" % number, text_frame(b"%d" % number))
        assert [b"%d" % number for number in range(64)] == await peer.texts(64)
        peer.connection.send(b"70")
        assert [b"%d" % number for number in range(64, 71)] == await peer.texts(7)


async def test_nothing_is_held_for_a_peer_that_does_not_keep_up() -> None:
    """Its messages wait where they are counted, in order, and too many of them close it."""
    limits = ConnectionLimits(high_water_bytes=4096, max_unsent_bytes=20_000)
    async with connected(limits) as peer:
        sent = 0
        while peer.connection.open:
            payload = b"%06d" % sent + b"x" * 500
            peer.connection.hold(payload, text_frame(payload))
            if sent % 7 == 0:
                peer.connection.send_held()
            sent += 1
        received = await peer.texts(sent)
        assert list(range(sent)) == [int(payload[:6]) for payload in received]
        assert await peer.close_code() == CloseCode.SLOW_READER


async def test_nothing_is_received_during_a_pause_and_nothing_is_lost_by_it() -> None:
    """A pause holds even what has already arrived, a partial frame included, until reading resumes."""

    def pause_each_time(connection: Connection, payload: bytes) -> None:
        connection.send(payload)
        connection.pause_reading()

    async with connected(on_message=pause_each_time) as peer:
        late = text(b"late")
        peer.write(text(b"1"), text(b"2"), text(b"3"), late[:3])
        for expected in ([b"1"], [b"1", b"2"], [b"1", b"2", b"3"]):
            assert expected[-1:] == await peer.texts(1)
            assert expected == peer.recorder.received
            peer.connection.resume_reading()
        peer.write(late[3:])
        assert await peer.texts(1) == [b"late"]


async def test_a_pause_taken_back_at_once_loses_nothing() -> None:
    """Pausing and resuming again and again within a callback delivers every message once."""

    def flicker(connection: Connection, payload: bytes) -> None:
        connection.pause_reading()
        connection.resume_reading()
        connection.pause_reading()
        connection.send(payload)
        connection.resume_reading()

    async with connected(on_message=flicker) as peer:
        payloads = [b"%d" % number for number in range(20)]
        peer.write(*map(text, payloads))
        assert payloads == await peer.texts(20)


async def test_bytes_behind_the_handshake_are_received_after_it() -> None:
    """What came in one piece with the request is received once the caller has its connection."""
    async with connected(on_message=echo, trailing=text(b"early") + text(b"half")[:4]) as peer:
        peer.write(text(b"half")[4:])
        first = await peer.texts(1)
        assert first == [b"early"]


async def test_a_close_during_a_pause_still_completes() -> None:
    """A connection that is closed while it is paused reads the peer's answer."""
    async with connected() as peer:
        peer.write(text(b"x")[:3])
        await asyncio.sleep(0)
        peer.connection.pause_reading()
        peer.connection.close(1001, "later")
        assert await peer.close_code() == 1001
        peer.write(text(b"x")[3:], close_frame(1001))
        assert await peer.ended() == b""
        assert peer.recorder.received == []


async def test_a_fault_in_the_receiver_costs_its_own_connection_only(loop_errors: list[str]) -> None:
    """An exception from the receiver ends that connection; what it had to say reaches nobody else."""

    def fail_at_second(connection: Connection, payload: bytes) -> None:
        connection.send(b"secret")
        if payload == b"2":
            raise RuntimeError("broken receiver")

    async with connected(on_message=fail_at_second) as broken, connected(on_message=echo) as other:
        broken.write(text(b"1"), text(b"2"))
        await broken.ended()
        other.write(text(b"a"), text(b"b"))
        assert await other.texts(2) == [b"a", b"b"]
        assert len(loop_errors) == 1
        loop_errors.clear()
