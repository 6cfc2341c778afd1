"""What is read of a session without changing it: the fields to ask for, and what their values say."""

from __future__ import annotations

from typing import Final

from persistence.live.hashes import PACKED_LIFE, PACKED_NOW, PACKED_RATES, RATES, STAMP_AT

SNAPSHOT_FIELDS: Final = ("now", "life", "texts", "rates")
PASSIVE_FIELDS: Final = ("rates",)
_MPS: Final = RATES.index("mPs")
_DPS: Final = RATES.index("dPs")
_EXACT_TO: Final = 2**53


def snapshot_of(reply: object) -> list[int | bytes] | None:
    """Read a snapshot: None where there is no session, or the reply is a failure.

    Version, saved version, e-mail, money, dishes, rank, xp, stars, boost, accumulated, bought, achieved.
    Amounts are as scripts reply them: integers to 2^53, beyond that decimal text.
    """
    if not isinstance(reply, list) or reply[0] is None:
        return None
    now, life, texts, _ = reply
    bought, achieved, email = texts.split(b";", 2)
    version, _, dishes, money, xp, _, _, _, _ = PACKED_NOW.unpack(now)
    boost, _, accumulated, rank, stars, _, _, saved, _ = PACKED_LIFE.unpack(life)
    return [
        _amount(version),
        _amount(saved),
        email,
        *map(_amount, (money, dishes, rank, xp, stars, boost, accumulated)),
        bought,
        achieved,
    ]


def stale(reply: object, stamp: str) -> list[bytes] | None:
    """Hold what was read for a snapshot against a stamp, as scripts do.

    None where the session has this stamp, there is none, or the reply is a failure; else what a script would
    refuse with: to be refreshed before anybody is shown it. Under another run of Redis it may lack ticks that
    were told already.
    """
    if not isinstance(reply, list) or reply[0] is None:
        return None
    held: bytes = (reply[3] or b"")[STAMP_AT:]
    return None if held == stamp.encode() else [b"stale", held]


def _amount(value: float) -> int | bytes:
    return int(value) if value < _EXACT_TO else b"%.17g" % value


def passive_of(reply: object, stamp: str) -> bool | None:
    """Read whether a player has passive income: None where that is not known under this stamp."""
    if not isinstance(reply, list) or reply[0] is None or reply[0][STAMP_AT:] != stamp.encode():
        return None
    rates = PACKED_RATES.unpack_from(reply[0])
    return bool(rates[_MPS] or rates[_DPS])
