"""What of RFC 6455's framing is done by hand: text frames out, and where a frame ends."""

from __future__ import annotations

TEXT_FINAL = 0x81
"""The first byte of an unfragmented text frame."""

PONG_FINAL = 0x8A
"""The first byte of a pong."""

PING = b"\x89\x00"

MAX_REASON_BYTES = 123
"""What a close frame holds besides its code."""

MANY_LENGTHS = 1024
"""Below this, the header of a text frame is looked up, not computed."""


def text_header(length: int) -> bytes:
    """Compute the header of an unmasked, unfragmented text frame."""
    if length < 126:  # noqa: PLR2004 - RFC 6455, 5.2
        return bytes((TEXT_FINAL, length))
    if length < 65536:  # noqa: PLR2004 - RFC 6455, 5.2
        return b"\x81\x7e" + length.to_bytes(2, "big")
    return b"\x81\x7f" + length.to_bytes(8, "big")


TEXT_HEADERS = tuple(text_header(length) for length in range(MANY_LENGTHS))


def text_frame(payload: bytes) -> bytes:
    """Make the frame of a text message."""
    length = len(payload)
    return (TEXT_HEADERS[length] if length < MANY_LENGTHS else text_header(length)) + payload


def frame_span(data: bytearray, start: int, stop: int) -> tuple[int, int]:
    """Where the payload of the frame at `start` begins and ends, by its header alone.

    `data` counts up to `stop`. Both are 0 while the header is not complete; the end may lie beyond `stop`.
    """
    if stop - start < 2:  # noqa: PLR2004 - the shortest header
        return 0, 0
    length = data[start + 1] & 0x7F
    length_bytes = {126: 2, 127: 8}.get(length, 0)
    body = start + 2 + length_bytes
    if stop < body:
        return 0, 0
    if length_bytes:
        length = int.from_bytes(data[start + 2 : body], "big")
    if data[start + 1] & 0x80:
        body += 4
    return body, body + length


def is_utf8(payload: bytes) -> bool:
    """Whether `payload` is valid UTF-8, surrogates excluded."""
    try:
        payload.decode()
    except UnicodeDecodeError:
        return False
    return True
