"""A session on its way between the hash in Redis and the row in PostgreSQL.

Numbers stay doubles and texts stay bytes: a row is a tuple of COPY's binary format, so neither a flush nor a
restore writes or reads a decimal. PostgreSQL checks what it is given.
"""

from __future__ import annotations

import struct
from functools import lru_cache
from typing import TYPE_CHECKING, Final, NamedTuple

import orjson

from game.session import Session, UserId
from persistence.live.hashes import (
    CLIENT_PREFIX,
    PACKED_WINDOW,
    MalformedSessionError,
    fields_of,
    joined_texts,
    missing_field,
    parse_achieved,
    parse_bought,
    parse_offline,
    parse_window,
    texts_of,
    window_of_text,
)
from persistence.live.record import (
    AMOUNTS,
    STAMP_AT,
    WHOLE,
    Life,
    Now,
    row_packer,
    saved_packer,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    import asyncpg

COLUMNS: Final = (
    "user_id",
    *WHOLE,
    *AMOUNTS,
    "bought",
    "achieved",
    "offline",
    "clients",
    "generation",
    "rates",
)
"""The columns that a flush writes, in the order of a row's tuple."""

COPY_HEAD: Final = b"PGCOPY\n\xff\r\n\0" + bytes(8)
COPY_TAIL: Final = b"\xff\xff"
_LENGTH: Final = struct.Struct(">i")
_BIGINT: Final = struct.Struct(">iq")
_NULL: Final = _LENGTH.pack(-1)
_numbers_of_row: Final = row_packer(len(COLUMNS))
_saved_now: Final = saved_packer(Now)
_saved_life: Final = saved_packer(Life)


class Row(NamedTuple):
    """A session ready to be written: its key, its fence, and its tuple in the binary format of COPY."""

    user_id: UserId
    version: int
    line: bytes


def row_of_hash(user_id: UserId, fields: Mapping[bytes, bytes]) -> Row:
    """Make the row of a session's hash, as HGETALL replied it.

    Raises MalformedSessionError when a field is missing or has no number where one must be. Whether the
    amounts are sound is left to PostgreSQL.
    """
    rest = dict(fields)
    try:
        version, numbers = _numbers_of_row(user_id, rest.pop(b"now"), rest.pop(b"life"))
        bought, achieved, _ = texts_of(rest)
    except KeyError as error:
        raise MalformedSessionError(user_id, missing_field(error)) from error
    except (struct.error, ValueError, OverflowError) as error:
        raise MalformedSessionError(user_id, f"it cannot be read: {error}") from error
    del rest[b"texts"]
    derived = _derived(rest.pop(b"rates", b""))
    offline = _text(rest.pop(b"offline", None))
    line = b"".join(
        (
            numbers,
            _LENGTH.pack(len(bought)),
            bought,
            _LENGTH.pack(len(achieved)),
            achieved,
            offline,
            _clients_column(user_id, rest) if rest else _NULL,
            derived,
        )
    )
    return Row(user_id, version, line)


def _derived(rates: bytes) -> bytes:
    """Write `generation` and `rates`: what income is paid at until the catalogue changes."""
    head = _derived_head(rates[STAMP_AT:])
    return head + rates[:STAMP_AT] if head else _NULL + _NULL


@lru_cache
def _derived_head(stamp: bytes) -> bytes:
    """Write what comes before the numbers of `rates`; empty where the stamp names no generation.

    One run of Redis has few stamps.
    """
    generation, _, _ = stamp.partition(b".")
    return _BIGINT.pack(8, int(generation)) + _LENGTH.pack(STAMP_AT) if generation.isdigit() else b""


def _text(value: bytes | None) -> bytes:
    return _NULL if value is None else _LENGTH.pack(len(value)) + value


def _clients_column(user_id: UserId, rest: Mapping[bytes, bytes]) -> bytes:
    """Write the windows of clients among what is left of a hash as JSON, or that there are none.

    In pieces, which takes half the time of a dict of texts.
    """
    windows: list[bytes] = []
    try:
        for name, window in rest.items():
            if name.startswith(CLIENT_PREFIX):
                key = orjson.dumps(name[len(CLIENT_PREFIX) :].decode())
                windows.append(b'%b:"%d:%d:%d:%d"' % (key, *PACKED_WINDOW.unpack(window)))
    except UnicodeDecodeError as error:
        raise MalformedSessionError(user_id, "the name of a client is not UTF-8") from error
    except (struct.error, ValueError, OverflowError) as error:
        raise MalformedSessionError(user_id, f"a client's window: {error}") from error
    return _text(b"{%b}" % b",".join(windows) if windows else None)


def row_of_session(session: Session) -> Row:
    """Make the row of a session."""
    words = iter(fields_of(session))
    return row_of_hash(session.user_id, dict(zip(words, words, strict=True)))


class SavedHash(NamedTuple):
    """A saved session as its hash in Redis: `fields` are `name, value, name, value, …`, `now` first."""

    user_id: UserId
    version: int
    fields: list[bytes]


def _windows(clients: str) -> list[bytes]:
    """Write the column `clients` as fields of the hash."""
    fields: list[bytes] = []
    for name, window in orjson.loads(clients).items():
        fields += (CLIENT_PREFIX + name.encode(), window_of_text(window))
    return fields


def hash_of_record(record: asyncpg.Record) -> SavedHash:
    """Make the hash of a selected row."""
    return SavedHash(UserId(record["user_id"]), record["version"], fields_of_record(record))


def fields_of_record(record: asyncpg.Record) -> list[bytes]:
    """Write a selected row as `name, value, name, value, …`, as `load` takes it."""
    fields = [
        b"now",
        _saved_now(record),
        b"life",
        _saved_life(record),
        b"texts",
        joined_texts(record["bought"], record["achieved"], record["email"]),
    ]
    if record["offline"] is not None:
        fields += (b"offline", record["offline"].encode())
    if record["clients"] is not None:
        fields += _windows(record["clients"])
    return fields + derived_fields(record)


def derived_fields(record: asyncpg.Record) -> list[bytes]:
    """Write `rates`, if any: under a stamp that names no run, `refresh` pays at them until they ended."""
    if record["rates"] is None:
        return []
    return [b"rates", b"%b%d." % (record["rates"], record["generation"])]


def session_of_record(record: asyncpg.Record) -> Session:
    """Read a selected row; raises MalformedSessionError when a packed text cannot be read."""
    user_id = UserId(record["user_id"])
    try:
        return Session(
            user_id=user_id,
            version=record["version"],
            accrued_at_ms=record["accrued_at"],
            rank=record["rank"],
            bought=parse_bought(record["bought"]),
            achieved=parse_achieved(record["achieved"]),
            offline=None if record["offline"] is None else parse_offline(record["offline"]),
            clients={
                name: parse_window(window)
                for name, window in orjson.loads(record["clients"] or b"{}").items()
            },
            **{name: record[name] for name in AMOUNTS},
        )
    except ValueError as error:
        raise MalformedSessionError(user_id, str(error)) from error
