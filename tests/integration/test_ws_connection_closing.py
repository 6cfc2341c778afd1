"""How a connection ends: by either side, for a reason, in time, and once."""

from __future__ import annotations

import asyncio
import gc
import os
import socket

import pytest
from websockets.frames import Frame, Opcode

from server.protocol.close_codes import CloseCode
from server.ws.connection import Connection
from server.ws.library_protocol import LibraryProtocol
from tests.support.limits import LIMIT_S
from tests.support.ws_peer import close_frame, connected, raw_frame, text


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


@pytest.mark.parametrize("fault", [RuntimeError("its fault"), asyncio.CancelledError("its fault")], ids=repr)
async def test_what_a_receiver_raises_ends_its_connection_and_is_reported(fault: BaseException) -> None:
    """The event loop's handler is given it, by whichever way the bytes came."""
    reported: list[dict[str, object]] = []

    def fail(_connection: Connection, _payload: bytes) -> None:
        raise fault

    asyncio.get_running_loop().set_exception_handler(lambda _loop, context: reported.append(context))
    async with connected(on_message=fail) as peer:
        peer.write(text(b"a"))
        await peer.ended()
        assert (len(peer.recorder.closed), peer.connection.open) == (1, False)
    assert [context["exception"] for context in reported] == [fault]


async def test_nothing_is_received_once_a_connection_was_cut_off() -> None:
    """Bytes that lie in the socket by then, and would be read before it is closed, are no message."""
    received: list[bytes] = []
    async with connected(on_message=lambda _connection, payload: received.append(payload)) as peer:
        peer.write(text(b"a"))
        await peer.settled()
        peer.write(text(b"b"))
        peer.connection.abort()
        await peer.ended()
        assert received == [b"a"]


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
