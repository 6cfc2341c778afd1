"""A session's hash in Redis by the names of what it holds, for tests that look at one or put one there."""

from __future__ import annotations

from typing import TYPE_CHECKING

from persistence.live.hashes import PACKED, number_text, numbers_of, text_of_window

if TYPE_CHECKING:
    from collections.abc import Mapping

_NUMBERS = {name: field for field, (names, _) in PACKED.items() for name in names}


def by_name(fields: Mapping[bytes, bytes]) -> dict[str, str]:
    """Read a hash: each number as text, each text as it is."""
    texts = {
        name.decode(): text_of_window(value) if name.startswith(b"c:") else value.decode()
        for name, value in fields.items()
        if name not in PACKED
    }
    return {name: number_text(value) for name, value in numbers_of(fields).items()} | texts


def with_values(fields: Mapping[bytes, bytes], values: Mapping[str, object]) -> dict[bytes, bytes]:
    """Set numbers and texts of a hash; a number beside which nothing is packed yet stands among zeros."""
    numbers = {name: float(str(value)) for name, value in values.items() if name in _NUMBERS}
    texts = {name.encode(): str(value).encode() for name, value in values.items() if name not in _NUMBERS}
    held = numbers_of(fields) | numbers
    packed = {
        field: PACKED[field][1].pack(*(held.get(name, 0.0) for name in PACKED[field][0]))
        for field in PACKED
        if field in fields or not numbers.keys().isdisjoint(PACKED[field][0])
    }
    return {**fields, **packed, **texts}
