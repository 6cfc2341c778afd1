"""A session on its way between the hash in Redis and the row in PostgreSQL.

Numbers stay doubles and texts stay bytes: a row is a tuple of COPY's binary format, so neither a flush nor a
restore writes or reads a decimal. PostgreSQL checks what it is given.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import orjson

from game.session import Session, UserId
from persistence.live.hashes import (
    AMOUNTS,
    CLIENT_PREFIX,
    PACKED_LIFE,
    PACKED_NOW,
    STAMP_AT,
    MalformedSessionError,
    fields_of,
    joined_texts,
    parse_achieved,
    parse_bought,
    parse_offline,
    parse_window,
    text_of_window,
    texts_of,
    window_of_text,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    import asyncpg

COLUMNS: Final = (
    "user_id",
    "version",
    "accrued_at",
    "rank",
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
# Each value stands behind its length: three bigint, a smallint, the doubles.
_NUMBERS: Final = struct.Struct(">h" + "iq" * 3 + "ih" + "id" * len(AMOUNTS))
_LENGTH: Final = struct.Struct(">i")
_BIGINT: Final = struct.Struct(">iq")
_NULL: Final = _LENGTH.pack(-1)


@dataclass(frozen=True, slots=True)
class Row:
    """A session ready to be written: its key, its fence, and its tuple in the binary format of COPY."""

    user_id: UserId
    version: int
    line: bytes


def row_of_hash(user_id: UserId, fields: Mapping[bytes, bytes]) -> Row:
    """Make the row of a session's hash, as HGETALL replied it.

    Raises MalformedSessionError when a field is missing or has no number where one must be. Whether the
    amounts are sound is left to PostgreSQL.
    """
    try:
        number, _, dishes, money, xp, clicks, cooked, earned, _ = PACKED_NOW.unpack(fields[b"now"])
        boost, accrued_at, accumulated, rank, stars, purchases, resets, _, _ = PACKED_LIFE.unpack(
            fields[b"life"]
        )
        version = int(number)
        numbers = _NUMBERS.pack(
            len(COLUMNS),
            8,
            user_id,
            8,
            version,
            8,
            int(accrued_at),
            2,
            int(rank),
            8,
            money,
            8,
            dishes,
            8,
            xp,
            8,
            stars,
            8,
            accumulated,
            8,
            boost,
            8,
            clicks,
            8,
            cooked,
            8,
            earned,
            8,
            purchases,
            8,
            resets,
        )
        bought, achieved, _ = texts_of(fields)
    except KeyError as error:
        raise MalformedSessionError(user_id, f"field {error.args[0].decode()!r} is missing") from error
    except (struct.error, ValueError, OverflowError) as error:
        raise MalformedSessionError(user_id, f"it cannot be read: {error}") from error
    names = [name for name in fields if name.startswith(CLIENT_PREFIX)]
    line = b"".join(
        (
            numbers,
            _LENGTH.pack(len(bought)),
            bought,
            _LENGTH.pack(len(achieved)),
            achieved,
            _text(fields.get(b"offline")),
            _text(_clients_column(user_id, {name: fields[name] for name in names}) if names else None),
            _derived(fields),
        )
    )
    return Row(user_id, version, line)


def _derived(fields: Mapping[bytes, bytes]) -> bytes:
    """Write `generation` and `rates`: what income is paid at until the catalogue changes."""
    rates = fields.get(b"rates", b"")
    generation = rates[STAMP_AT:].partition(b".")[0]
    if not generation.isdigit():
        return _NULL + _NULL
    return _BIGINT.pack(8, int(generation)) + _text(rates[:STAMP_AT])


def _text(value: bytes | None) -> bytes:
    return _NULL if value is None else _LENGTH.pack(len(value)) + value


def _clients_column(user_id: UserId, clients: Mapping[bytes, bytes]) -> bytes:
    try:
        return orjson.dumps(
            {name[len(CLIENT_PREFIX) :].decode(): text_of_window(value) for name, value in clients.items()}
        )
    except UnicodeDecodeError as error:
        raise MalformedSessionError(user_id, "the name of a client is not UTF-8") from error
    except ValueError as error:
        raise MalformedSessionError(user_id, str(error)) from error


def row_of_session(session: Session) -> Row:
    """Make the row of a session."""
    words = fields_of(session)
    return row_of_hash(session.user_id, dict(zip(words[::2], words[1::2], strict=True)))


def fields_of_record(record: asyncpg.Record) -> list[bytes]:
    """Write a selected row as `name, value, name, value, …`, as `load` takes it."""
    version = record["version"]
    fields = [
        b"now",
        PACKED_NOW.pack(
            version,
            0,
            record["dishes"],
            record["money"],
            record["xp"],
            record["clicks"],
            record["cooked"],
            record["earned"],
            0,
        ),
        b"life",
        PACKED_LIFE.pack(
            record["boost"],
            record["accrued_at"],
            record["accumulated"],
            record["rank"],
            record["stars"],
            record["purchases"],
            record["resets"],
            version,
            0,
        ),
        b"texts",
        joined_texts(record["bought"], record["achieved"], record["email"]),
    ]
    if record["offline"] is not None:
        fields += (b"offline", record["offline"].encode())
    if record["clients"] is not None:
        for name, window in orjson.loads(record["clients"]).items():
            fields += (CLIENT_PREFIX + name.encode(), window_of_text(window))
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
