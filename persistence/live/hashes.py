"""A session as the hash in Redis: which numbers its packed fields hold, and the texts beside them.

The numbers are doubles in three fields (`record` states their order), so that a script reads and writes what
changes in one piece. `rates` is derived from the rest, by `refresh`; after its numbers stands the stamp under
which it holds. `texts` is `bought;achieved;email`.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Final

from game.session import ClientWindow, Offline, Session, UserId
from persistence.live.record import AMOUNTS, PACKED_LIFE, PACKED_NOW, RECORD, STAMP_AT, Life, Now

if TYPE_CHECKING:
    from collections.abc import Mapping

TEXTS: Final = ("bought", "achieved", "email")
PACKED_WINDOW: Final = struct.Struct("<4d")
CLIENT_PREFIX: Final = b"c:"
_LOW_BITS: Final = 32
_LEAST_MS: Final = 10**11
"""Of a window's last use: what is less is in seconds, of an older release."""


class MalformedSessionError(ValueError):
    """A stored session cannot be read. It is not dropped: its reader quarantines and reports it."""

    def __init__(self, user_id: UserId, reason: str) -> None:
        super().__init__(f"session of user {user_id}: {reason}")
        self.user_id = user_id
        self.reason = reason


def number_text(value: float) -> str:
    """Write a number so that it reads back as the same double, whole numbers below 1e17 as digits."""
    return f"{value:.17g}"


def missing_field(error: KeyError) -> str:
    """Say which field of a hash a KeyError found missing."""
    (name,) = error.args
    return f"field {name.decode() if isinstance(name, bytes) else name!r} is missing"


def numbers_of(fields: Mapping[bytes, bytes]) -> dict[str, float]:
    """Read the packed fields that a hash has, by name. Raises ValueError when one has another length."""
    numbers: dict[str, float] = {}
    for name, (names, packed) in RECORD.items():
        if name in fields:
            try:
                value = fields[name][:STAMP_AT] if name == b"rates" else fields[name]
                numbers.update(zip(names, packed.unpack(value), strict=True))
            except struct.error as error:
                raise ValueError(f"field {name.decode()!r}: {error}") from error
    return numbers


def session_of(user_id: UserId, fields: Mapping[bytes, bytes]) -> Session:
    """Read a session from the reply of HGETALL.

    Raises MalformedSessionError when a field is missing or cannot be read.
    """
    try:
        numbers = numbers_of(fields)
        offline = fields.get(b"offline")
        bought, achieved, _ = texts_of(fields)
        return Session(
            user_id=user_id,
            version=_whole(numbers, "version", "now"),
            accrued_at_ms=_whole(numbers, "accrued_at", "life"),
            rank=_whole(numbers, "rank", "life"),
            bought=parse_bought(bought.decode()),
            achieved=parse_achieved(achieved.decode()),
            offline=None if offline is None else parse_offline(offline.decode()),
            clients={
                name[len(CLIENT_PREFIX) :].decode(): unpacked_window(value)
                for name, value in fields.items()
                if name.startswith(CLIENT_PREFIX)
            },
            **{name: numbers[name] for name in AMOUNTS},
        )
    except KeyError as error:
        raise MalformedSessionError(user_id, missing_field(error)) from error
    except (ValueError, OverflowError) as error:
        raise MalformedSessionError(user_id, str(error)) from error


def texts_of(fields: Mapping[bytes, bytes]) -> list[bytes]:
    """Read `bought`, `achieved` and `email`; raises KeyError or ValueError."""
    texts = fields[b"texts"].split(b";", 2)
    if len(texts) != len(TEXTS):
        raise ValueError("field 'texts' is not bought;achieved;email")
    return texts


def joined_texts(bought: str, achieved: str, email: str) -> bytes:
    """Write `texts`."""
    return f"{bought};{achieved};{email}".encode()


def _whole(numbers: Mapping[str, float], name: str, field: str) -> int:
    """Read a whole number; raises KeyError with the field that would hold it, or ValueError."""
    if name not in numbers:
        raise KeyError(field)
    value = numbers[name]
    if not value.is_integer():
        raise ValueError(f"{name} is {value}")
    return int(value)


def fields_of(
    session: Session,
    email: str = "",
    *,
    dirty: bool = False,
    saved: int | None = None,
    joined_until_ms: int = 0,
) -> list[bytes]:
    """Write the persistent part and the e-mail as `name, value, name, value, …`, as HSET takes it.

    PostgreSQL counts as having version `saved` (this one); `dirty` sessions are to be marked. The player
    counts as joined until `joined_until_ms`; no rate limit holds.
    """
    now = Now(
        version=session.version,
        dirty=_dirty(session.version, saved, marked=dirty),
        dishes=session.dishes,
        money=session.money,
        xp=session.xp,
        clicks=session.clicks,
        cooked=session.cooked,
        earned=session.earned,
        tat=0,
    )
    life = Life(
        boost=session.boost,
        accrued_at=session.accrued_at_ms,
        accumulated=session.accumulated,
        rank=session.rank,
        stars=session.stars,
        purchases=session.purchases,
        resets=session.resets,
        spare=0,
        joined_until=joined_until_ms,
    )
    fields = [
        b"now",
        PACKED_NOW.pack(*now),
        b"life",
        PACKED_LIFE.pack(*life),
        b"texts",
        joined_texts(bought_text(session.bought), ",".join(map(str, session.achieved)), email),
    ]
    if session.offline is not None:
        fields += (b"offline", offline_text(session.offline).encode())
    for name, window in session.clients.items():
        fields += (CLIENT_PREFIX + name.encode(), packed_window(window))
    return fields


def _dirty(version: int, saved: int | None, *, marked: bool) -> int:
    if marked:
        return 1 + (version if saved is None else saved)
    return 0 if saved in (None, version) else -1 - saved


def parse_bought(text: str) -> dict[int, int]:
    """Read `id:n,id:n,…`; raises ValueError."""
    pairs = (pair.split(":") for pair in text.split(",")) if text else ()
    return {int(upgrade): int(times) for upgrade, times in pairs}


def bought_text(bought: Mapping[int, int]) -> str:
    """Write the owned upgrades as `id:n,id:n,…` with ascending ids."""
    return ",".join(f"{upgrade}:{times}" for upgrade, times in sorted(bought.items()) if times)


def parse_achieved(text: str) -> tuple[int, ...]:
    """Read `id,id,…`; raises ValueError."""
    return tuple(map(int, text.split(","))) if text else ()


def parse_offline(text: str) -> Offline:
    """Read `seconds:money:dishes:xp:away_seconds:stars`; raises ValueError.

    An older release wrote the first four: the gap then is what was paid, the stars are not known.
    """
    seconds, money, dishes, xp, *more = text.split(":")
    away_seconds, stars = more or (seconds, "0")
    return Offline(
        seconds=int(seconds),
        away_seconds=int(away_seconds),
        money=float(money),
        dishes=float(dishes),
        xp=float(xp),
        stars=float(stars),
    )


def offline_text(offline: Offline) -> str:
    """Write `seconds:money:dishes:xp:away_seconds:stars`."""
    earned = map(number_text, (offline.money, offline.dishes, offline.xp))
    return ":".join((str(offline.seconds), *earned, str(offline.away_seconds), number_text(offline.stars)))


# A client's window: four doubles in the hash, the text `highest:hi:lo:used_version` in PostgreSQL. Its
# 64 bits are in two halves, each of which a double holds exactly. An older release wrote whole seconds last.


def packed_window(window: ClientWindow) -> bytes:
    """Write a window as the hash holds it."""
    low = window.applied & ((1 << _LOW_BITS) - 1)
    return PACKED_WINDOW.pack(window.highest, window.applied >> _LOW_BITS, low, window.used_version)


def unpacked_window(packed: bytes) -> ClientWindow:
    """Read a window of the hash; raises ValueError."""
    return parse_window(text_of_window(packed))


def text_of_window(packed: bytes) -> str:
    """Write a window of the hash as PostgreSQL keeps it; raises ValueError."""
    try:
        return "%d:%d:%d:%d" % PACKED_WINDOW.unpack(packed)  # noqa: UP031 - cuts the doubles to whole numbers
    except (struct.error, OverflowError) as error:
        raise ValueError(f"a client's window: {error}") from error


def window_of_text(text: str) -> bytes:
    """Write a window of PostgreSQL as the hash holds it; raises ValueError."""
    try:
        # Read as the doubles that they become: half the time of whole numbers.
        return PACKED_WINDOW.pack(*map(float, text.split(":")))
    except struct.error as error:
        raise ValueError(f"a client's window: {error}") from error


def parse_window(text: str) -> ClientWindow:
    """Read `highest:hi:lo:used_version`; raises ValueError."""
    highest, high, low, used_version = map(int, text.split(":"))
    if used_version < _LEAST_MS:
        used_version *= 1000
    return ClientWindow(highest, high << _LOW_BITS | low, used_version)
