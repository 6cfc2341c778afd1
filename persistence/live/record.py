"""A session's numbers: which packed field of its hash holds which, and in what order.

This is the one place that states the order: the formats, what is packed and unpacked, and the rows for
PostgreSQL are made of it, and `persistence.live.check` holds the Lua scripts against it. All numbers are
doubles, little-endian.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from operator import itemgetter
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol, cast

if TYPE_CHECKING:
    from collections.abc import Mapping


class Now(NamedTuple):
    """Field `now`: what clicks change. `dirty` and `tat` are in Redis alone.

    `dirty` is 0 while PostgreSQL has this version. Otherwise it is 1 + the version that PostgreSQL has, and
    negative where the session may not be marked: the next change marks it.
    """

    version: float
    dirty: float
    dishes: float
    money: float
    xp: float
    clicks: float
    cooked: float
    earned: float
    tat: float


class Life(NamedTuple):
    """Field `life`: what else is kept. `spare` and `joined_until` are in Redis alone.

    `spare` is 0: an older release beside this one reads there which version PostgreSQL has, and marks where
    that is not the session's.
    """

    boost: float
    accrued_at: float
    accumulated: float
    rank: float
    stars: float
    purchases: float
    resets: float
    spare: float
    joined_until: float


class Rates(NamedTuple):
    """Field `rates`: what `refresh` derives. The stamp under which it holds follows its numbers."""

    cook_gain: float
    click_xp: float
    mPc: float  # noqa: N815 - the names of boost types
    mM: float  # noqa: N815
    sPs: float  # noqa: N815
    dPc: float  # noqa: N815
    dM: float  # noqa: N815
    mPs: float  # noqa: N815
    dPs: float  # noqa: N815
    mpM: float  # noqa: N815
    dpM: float  # noqa: N815
    need: float
    first_need: float


PACKED_NOW: Final = struct.Struct(f"<{len(Now._fields)}d")
PACKED_LIFE: Final = struct.Struct(f"<{len(Life._fields)}d")
PACKED_RATES: Final = struct.Struct(f"<{len(Rates._fields)}d")
STAMP_AT: Final = PACKED_RATES.size
"""Where in `rates` the stamp begins."""

RECORD: Final[Mapping[bytes, tuple[tuple[str, ...], struct.Struct]]] = {
    b"now": (Now._fields, PACKED_NOW),
    b"life": (Life._fields, PACKED_LIFE),
    b"rates": (Rates._fields, PACKED_RATES),
}
"""The names of the numbers in each packed field of the hash, and its format."""

WHOLE: Final = ("version", "accrued_at", "rank")
"""Numbers that are integers in PostgreSQL and in `Session`."""

_LIVE_ONLY: Final = frozenset({"dirty", "tat", "spare", "joined_until"})
_KEPT: Final = (*Now._fields, *Life._fields)
AMOUNTS: Final = tuple(name for name in _KEPT if name not in {*WHOLE, *_LIVE_ONLY})
"""Numbers that are doubles in PostgreSQL and in `Session` too, by the same name."""

_ZERO: Final = "8x"
"""Eight zero bytes: the double 0.0, which takes no argument of `pack`."""


packed_version: Final[Callable[[int], bytes]] = struct.Struct("<d").pack
"""Writes a version as `now` begins with it."""


def saved_version(version: float, dirty: float) -> float:
    """Return the version that PostgreSQL is known to have of a session; 0: none."""
    return version if dirty == 0 else abs(dirty) - 1


def read_now(packed: bytes) -> Now:
    """Read the field `now` by name; raises struct.error for another length."""
    return Now._make(PACKED_NOW.unpack(packed))


def read_life(packed: bytes) -> Life:
    """Read the field `life` by name; raises struct.error for another length."""
    return Life._make(PACKED_LIFE.unpack(packed))


def read_rates(packed: bytes) -> Rates:
    """Read the numbers of the field `rates` by name; raises struct.error where it is too short."""
    return Rates._make(PACKED_RATES.unpack_from(packed))


class Columns(Protocol):
    """The columns of a saved session: `asyncpg.Record`, or a mapping."""

    def __getitem__(self, name: str, /) -> Any:
        """Return a column's value."""


def saved_packer(field: type[Now | Life]) -> Callable[[Columns], bytes]:
    """Make the function that packs a field of the record from the columns of a saved session.

    The numbers of Redis alone are 0: PostgreSQL has the version that it gives.
    """
    packed = _kept_packer(field)
    values_of = itemgetter(*(name for name in field._fields if _is_kept(name)))
    return lambda record: packed.pack(*values_of(record))


_ROW_VALUES: Final = ("user_id", *WHOLE, *AMOUNTS)
"""The numbers that a row of COPY begins with, in that order."""
_ROW_SIZES: Final[Mapping[str, int]] = {"rank": 2}
"""The bytes of those that have others than 8."""

NumbersOfRow = Callable[[int, bytes, bytes], tuple[int, bytes]]
"""Takes a user id and the fields `now` and `life`; returns the version and the numbers of a row for COPY."""


def row_packer(columns: int) -> NumbersOfRow:
    """Make the function that turns a session's packed fields into the numbers of a row of so many columns.

    They are `user_id`, WHOLE and AMOUNTS, in that order, each after its length in bytes, as COPY's binary
    format has them. It raises struct.error, ValueError or OverflowError for fields that cannot be read.
    The function is compiled from the record's names: picking values by position (`itemgetter`) took a
    third longer, and a flush calls it for every session.
    """
    row = struct.Struct(">h" + "iq" * 3 + "ih" + "id" * len(AMOUNTS))
    source = f"""
def numbers_of_row(user_id, now, life):
    {", ".join(Now._fields)} = unpack_now(now)
    {", ".join(Life._fields)} = unpack_life(life)
    {"; ".join(f"{name} = int({name})" for name in WHOLE)}
    return version, pack({columns}, {", ".join(f"{_ROW_SIZES.get(name, 8)}, {name}" for name in _ROW_VALUES)})
"""
    made: dict[str, Any] = {
        "unpack_now": PACKED_NOW.unpack,
        "unpack_life": PACKED_LIFE.unpack,
        "pack": row.pack,
    }
    exec(source, made)  # noqa: S102 - made of the names above, as dataclasses make their methods
    return cast("NumbersOfRow", made["numbers_of_row"])


FieldsOfRow = Callable[[bytes, int], tuple[int, bytes]]
"""Takes what COPY wrote and where in it a row begins; returns the user id, and `now` and `life`, each after
its length in four bytes, little-endian as they are."""

ROW_NUMBERS: Final = struct.Struct(">2x" + "4xq" * 3 + "4xh" + "4xd" * len(AMOUNTS))
"""What a row of COPY begins with: `user_id`, WHOLE and AMOUNTS, each after its length in bytes."""


def row_reader() -> FieldsOfRow:
    """Make the opposite of `row_packer`: the function that packs a session's fields from a row of COPY.

    The numbers of Redis alone are 0: PostgreSQL has the version that it gives.
    """
    packed = struct.Struct(f"<i{_kept_format(Now)}i{_kept_format(Life)}")
    source = f"""
def fields_of_row(copied, at):
    {", ".join(_ROW_VALUES)} = unpack_from(copied, at)
    return user_id, pack({PACKED_NOW.size}, {_kept_names(Now)}, {PACKED_LIFE.size}, {_kept_names(Life)})
"""
    made: dict[str, Any] = {"unpack_from": ROW_NUMBERS.unpack_from, "pack": packed.pack}
    exec(source, made)  # noqa: S102 - made of the names above, as dataclasses make their methods
    return cast("FieldsOfRow", made["fields_of_row"])


def _kept_packer(field: type[Now | Life]) -> struct.Struct:
    return struct.Struct("<" + _kept_format(field))


def _kept_format(field: type[Now | Life]) -> str:
    return "".join("d" if _is_kept(name) else _ZERO for name in field._fields)


def _kept_names(field: type[Now | Life]) -> str:
    return ", ".join(name for name in field._fields if _is_kept(name))


def _is_kept(name: str) -> bool:
    """Tell whether a number comes from PostgreSQL."""
    return name not in _LIVE_ONLY
