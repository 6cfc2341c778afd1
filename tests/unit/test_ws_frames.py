"""Framing by hand agrees with the library."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.frames import Frame, Opcode

from server.ws.frames import MANY_LENGTHS, TEXT_HEADERS, frame_span, is_utf8, text_header


@pytest.mark.parametrize("length", [0, 1, 125, 126, 127, 1023, 1024, 65_535, 65_536, 100_000])
def test_a_text_header_is_the_library_s(length: int) -> None:
    """The header of a text frame is what the library writes, looked up or computed."""
    expected = Frame(Opcode.TEXT, b"x" * length).serialize(mask=False)[: -length or None]
    assert expected == text_header(length)
    if length < MANY_LENGTHS:
        assert expected == TEXT_HEADERS[length]


@given(st.sampled_from([Opcode.TEXT, Opcode.CLOSE, Opcode.CONT]), st.integers(0, 70_000), st.booleans())
def test_a_frame_ends_where_the_library_ends_it(opcode: Opcode, length: int, masked: bool) -> None:
    """The span of a frame is known from its header, wherever in the data it stands."""
    if opcode is Opcode.CLOSE:
        length %= 126
    frame = Frame(opcode, b"x" * length).serialize(mask=masked)
    data = bytearray(b"before" + frame + b"after")
    assert (6 + len(frame) - length, 6 + len(frame)) == frame_span(data, 6, len(data))


@pytest.mark.parametrize("head", [b"\x81\x85", b"\x81\xfe\x01\x00", b"\x81\xff" + (2**40).to_bytes(8, "big")])
def test_a_header_in_part_says_nothing_yet(head: bytes) -> None:
    """Until a header's length is complete, both ends are 0; then they are given without the mask."""
    for stop in range(len(head)):
        assert frame_span(bytearray(head), 0, stop) == (0, 0)
    body, end = frame_span(bytearray(head), 0, len(head))
    assert len(head) + 4 == body
    assert end > body


@given(st.binary(max_size=20))
def test_utf8_is_what_python_decodes(payload: bytes) -> None:
    """Surrogates, overlong forms and cut sequences are not UTF-8."""
    try:
        expected = payload.decode("utf-8", "strict").encode() == payload
    except UnicodeDecodeError:
        expected = False
    assert expected is is_utf8(payload)
