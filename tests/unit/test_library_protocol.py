"""What is not plain text is judged from its bytes alone."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from websockets.frames import Close, Frame, Opcode
from websockets.protocol import State
from websockets.server import ServerProtocol

from server.protocol.close_codes import CloseCode
from server.ws.library_protocol import LibraryProtocol
from server.ws.limits import ConnectionLimits


def framed(opcode: Opcode, payload: bytes, *, fin: bool = True) -> bytearray:
    """Frame a payload as a client does."""
    return bytearray(Frame(opcode, payload, fin).serialize(mask=True))


def test_fragments_become_one_message_and_a_ping_between_them_is_answered() -> None:
    """A message is complete at its last fragment; until then the judge is not idle."""
    judge = LibraryProtocol(ConnectionLimits())
    judge.receive(framed(Opcode.TEXT, b"\xd0", fin=False))
    assert (judge.messages, judge.idle) == ([], False)
    judge.receive(framed(Opcode.PING, b"now"))
    assert (judge.controls, judge.output()) == (1, [b"\x8a\x03now"])
    judge.receive(framed(Opcode.CONT, b"\xb6"))
    assert (judge.messages, judge.idle, judge.close_code) == ([("ж".encode(), False)], True, 0)


def test_binary_is_taken_only_where_it_is_allowed() -> None:
    """A binary message is a message for an echo and 1003 for the game."""
    allowing = LibraryProtocol(ConnectionLimits(allow_binary=True))
    allowing.receive(framed(Opcode.BINARY, b"\xff"))
    assert (allowing.messages, allowing.close_code) == ([(b"\xff", True)], 0)
    refusing = LibraryProtocol(ConnectionLimits())
    refusing.receive(framed(Opcode.BINARY, b"\xff"))
    assert (refusing.messages, refusing.close_code) == ([], CloseCode.BINARY)


def test_a_long_reason_is_cut_between_characters() -> None:
    """A close frame holds 123 bytes of reason, never half a character."""
    judge = LibraryProtocol(ConnectionLimits())
    judge.close(CloseCode.POLICY, "ж" * 100)
    (frame,) = judge.output()
    assert Close(CloseCode.POLICY, "ж" * 61) == Close.parse(frame[2:])


def test_a_failure_ends_the_stream_and_everything_behind_it_is_nothing() -> None:
    """After a failure the close frame and the end of the stream are written, once."""
    judge = LibraryProtocol(ConnectionLimits())
    judge.fail(CloseCode.POLICY, "too many pings")
    assert judge.output() == [b"\x88\x10\x03\xf0too many pings", b""]
    judge.receive(framed(Opcode.TEXT, b"late") + framed(Opcode.CLOSE, b""))
    assert (judge.messages, judge.output(), judge.close_code) == ([], [], CloseCode.POLICY)


@pytest.mark.parametrize("state", ["open", "closing"])
@given(data=st.binary(min_size=1, max_size=300))
@settings(max_examples=150)
def test_no_bytes_raise(state: str, data: bytes) -> None:
    """Whatever arrives is a message, a close or nothing, never an exception."""
    judge = LibraryProtocol(ConnectionLimits(max_message_bytes=100))
    if state == "closing":
        judge.close(CloseCode.GOING_AWAY, "")
    judge.receive(bytearray(data))
    judge.receive(bytearray(b"\x88\x80" + bytes(4)))
    assert all(len(payload) <= 100 for payload, _ in judge.messages)


def test_the_undocumented_names_of_the_library() -> None:
    """The names that websockets does not document mean what the judge takes them for."""
    protocol = ServerProtocol(state=State.OPEN)
    assert (protocol.current_size, protocol.close_sent, protocol.close_rcvd) == (None, None, None)

    protocol.receive_data(framed(Opcode.TEXT, b"begun", fin=False))
    assert protocol.current_size == 5
    protocol.current_size = None
    protocol.receive_data(framed(Opcode.CLOSE, Close(1001, "bye").serialize()))
    assert (protocol.close_rcvd, protocol.state) == (Close(1001, "bye"), State.CLOSING)

    failed = ServerProtocol(state=State.OPEN)
    failed.fail(1008, "no")
    assert failed.close_sent == Close(1008, "no")


def test_a_close_amid_a_fragmented_message_is_a_close() -> None:
    """A close frame may come before the last fragment: its code is taken, it is no protocol error."""
    judge = LibraryProtocol(ConnectionLimits())
    judge.receive(framed(Opcode.TEXT, b"begun", fin=False))
    judge.receive(framed(Opcode.CLOSE, Close(1001, "bye").serialize()))
    assert judge.close_code == 1001
