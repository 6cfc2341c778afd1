"""Saved sessions as COPY writes them, on their way into Redis: one piece each, with few fields read."""

from __future__ import annotations

import struct
from typing import Final, NamedTuple

import orjson

from game.session import UserId
from persistence.durable.rows import COPY_HEAD, COPY_TAIL, SavedHash
from persistence.live.hashes import CLIENT_PREFIX, PACKED_WINDOW, window_of_text
from persistence.live.record import AMOUNTS, ROW_NUMBERS, WHOLE, read_now, row_reader

_LENGTH: Final = struct.Struct(">i")
_LENGTH_OF_NUMBERS: Final = struct.Struct("<i")
_COUNT: Final = struct.Struct(">H")
_OFFLINE: Final = _LENGTH.pack(len(b"offline")) + b"offline"
_WINDOW_LENGTH: Final = _LENGTH.pack(PACKED_WINDOW.size)
_numbers_of_row: Final = row_reader()


class PackedHash(NamedTuple):
    """A saved session as lua/restore.lua takes it: one argument costs Redis less than one for each word.

    `packed` has the fields `now`, `life`, `texts` and `rates` (empty: none), each after its length, then how
    many fields follow (two bytes), then their names and values, each after its length. Lengths have four
    bytes: little-endian for `now` and `life`, as their numbers, else big-endian, as COPY writes them.
    """

    user_id: UserId
    packed: bytes

    def unpacked(self) -> SavedHash:
        """Read the hash, for what takes it in words."""
        fields: list[bytes] = []
        at = 0
        for name, length in (
            (b"now", _LENGTH_OF_NUMBERS),
            (b"life", _LENGTH_OF_NUMBERS),
            (b"texts", _LENGTH),
            (b"rates", _LENGTH),
        ):
            value, at = _value_at(self.packed, at, length)
            if value:
                fields += (name, value)
        (more,) = _COUNT.unpack_from(self.packed, at)
        at += _COUNT.size
        for _ in range(2 * more):
            value, at = _value_at(self.packed, at, _LENGTH)
            fields.append(value)
        _, now, *_ = fields
        return SavedHash(self.user_id, int(read_now(now).version), fields)


def _value_at(packed: bytes, at: int, length: struct.Struct) -> tuple[bytes, int]:
    """Read a value after its length; returns it and where it ends."""
    (size,) = length.unpack_from(packed, at)
    begin = at + length.size
    return packed[begin : begin + size], begin + size


HASH_COLUMNS: Final = (
    *(f"sessions.{name}" for name in ("user_id", *WHOLE, *AMOUNTS)),
    "concat(bought, ';', achieved, ';', accounts.email)",
    "coalesce(rates || convert_to(generation || '.', 'UTF8'), '')",
    "offline",
    "clients",
)
"""What COPY is asked for, so that `hashes_of_copy` can read it: texts and rates as the hash has them."""


def hashes_of_copy(copied: bytes) -> list[PackedHash]:
    """Read what COPY wrote of HASH_COLUMNS in its binary format."""
    hashes: list[PackedHash] = []
    length_at = _LENGTH.unpack_from
    at, end = len(COPY_HEAD), len(copied) - len(COPY_TAIL)
    while at < end:
        user_id, numbers = _numbers_of_row(copied, at)
        texts_at = at + ROW_NUMBERS.size
        (length,) = length_at(copied, texts_at)
        at = texts_at + 4 + length
        (length,) = length_at(copied, at)
        at += 4 + length
        texts_and_rates = copied[texts_at:at]
        more: list[bytes] = []
        (length,) = length_at(copied, at)
        if length >= 0:
            more.append(_OFFLINE + copied[at : at + 4 + length])
            at += length
        at += 4
        (length,) = length_at(copied, at)
        at += 4
        if length >= 0:
            for name, window in orjson.loads(copied[at : at + length]).items():
                field = CLIENT_PREFIX + name.encode()
                more.append(
                    b"%b%b%b%b" % (_LENGTH.pack(len(field)), field, _WINDOW_LENGTH, window_of_text(window))
                )
            at += length
        packed = b"".join((numbers, texts_and_rates, _COUNT.pack(len(more)), *more))
        hashes.append(PackedHash(UserId(user_id), packed))
    return hashes
