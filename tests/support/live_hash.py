"""A session's hash in Redis by the names of what it holds, for tests that look at one or put one there."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, cast

from persistence.live.hashes import (
    TEXTS,
    joined_texts,
    number_text,
    numbers_of,
    text_of_window,
    texts_of,
)
from persistence.live.record import RECORD, STAMP_AT, saved_version

if TYPE_CHECKING:
    from collections.abc import Mapping

    import redis
    from redis.client import Pipeline

_NUMBERS = {name: field for field, (names, _) in RECORD.items() for name in names}
_JOINED = {*TEXTS, "stamp"}


def by_name(fields: Mapping[bytes, bytes]) -> dict[str, str]:
    """Read a hash: each number as text, each text as it is; and `saved`, which `dirty` says."""
    held = numbers_of(fields)
    if "dirty" in held:
        held["saved"] = saved_version(held["version"], held["dirty"])
    numbers = {name: number_text(value) for name, value in held.items()}
    plain = {
        name.decode(): text_of_window(value) if name.startswith(b"c:") else value.decode()
        for name, value in fields.items()
        if name not in RECORD and name != b"texts"
    }
    return numbers | _texts(fields) | plain


def with_values(fields: Mapping[bytes, bytes], values: Mapping[str, object]) -> dict[bytes, bytes]:
    """Set numbers and texts of a hash; what stands beside one and is not there yet is 0 or empty."""
    numbers = {name: float(str(value)) for name, value in values.items() if name in _NUMBERS}
    plain = {
        name.encode(): str(value).encode()
        for name, value in values.items()
        if name not in _NUMBERS and name not in _JOINED
    }
    held = numbers_of(fields) | numbers
    touched = {_NUMBERS[name] for name in numbers} | ({b"rates"} if "stamp" in values else set())
    texts = _texts(fields) | {name: str(value) for name, value in values.items() if name in _JOINED}
    new = {
        field: packed.pack(*(held.get(name, 0.0) for name in names))
        for field, (names, packed) in RECORD.items()
        if field in fields or field in touched
    }
    if b"rates" in new:
        new[b"rates"] += texts.get("stamp", "").encode()
    if b"texts" in fields or not values.keys().isdisjoint(TEXTS):
        new[b"texts"] = joined_texts(*(texts.get(name, "") for name in TEXTS))
    return {**fields, **new, **plain}


def change_values(live: redis.Redis, key: str, values: Mapping[str, object]) -> None:
    """Set numbers and texts of a hash at once: a server may change it too."""

    def change(pipeline: Pipeline) -> None:
        held = cast("dict[bytes, bytes]", pipeline.hgetall(key))
        pipeline.multi()
        pipeline.hset(key, mapping=with_values(held, values))  # type: ignore[arg-type] # invariant

    live.transaction(change, key)


def hash_of(**values: object) -> list[bytes]:
    """Write a hash with these values, as HSET takes it."""
    return list(itertools.chain.from_iterable(with_values({}, values).items()))


def _texts(fields: Mapping[bytes, bytes]) -> dict[str, str]:
    found = {}
    if b"texts" in fields:
        found = dict(zip(TEXTS, (text.decode() for text in texts_of(fields)), strict=True))
    if b"rates" in fields:
        found["stamp"] = fields[b"rates"][STAMP_AT:].decode()
    return found
