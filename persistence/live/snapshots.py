"""What is read of a session without changing it: the fields to ask for, and what their values say."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from persistence.live.record import STAMP_AT, read_life, read_now, saved_version
from persistence.live.replies.refusals import Stale
from persistence.live.replies.status import Status

if TYPE_CHECKING:
    from persistence.live.replies.play import Amount


class _Fields(NamedTuple):
    """The reply of HMGET: all None where there is no session."""

    now: bytes | None
    life: bytes | None
    texts: bytes | None
    rates: bytes | None


SNAPSHOT_FIELDS: Final = _Fields._fields
_EXACT_TO: Final = 2**53
_NO_RUN: Final = (b"", b"?")
"""Runs in the stamps of sessions that were loaded (lua/load.lua) and suspected (lua/raise_above.lua)."""


class Snapshot(NamedTuple):
    """A session as it was read. Amounts are as scripts reply them."""

    version: int
    saved: int
    email: bytes
    money: Amount
    dishes: Amount
    rank: Amount
    xp: Amount
    stars: Amount
    boost: Amount
    accumulated: Amount
    bought: bytes
    achieved: bytes
    clicks: Amount
    cooked: Amount
    earned: Amount
    purchases: Amount
    resets: Amount


def snapshot_of(reply: object) -> Snapshot | None:
    """Read a snapshot: None where there is no session, or the reply is a failure."""
    fields = _fields_of(reply)
    if fields is None or fields.now is None or fields.life is None or fields.texts is None:
        return None
    bought, achieved, email = fields.texts.split(b";", 2)
    now, life = read_now(fields.now), read_life(fields.life)
    return Snapshot(
        version=int(now.version),
        saved=int(saved_version(now.version, now.dirty)),
        email=email,
        money=_amount(now.money),
        dishes=_amount(now.dishes),
        rank=_amount(life.rank),
        xp=_amount(now.xp),
        stars=_amount(life.stars),
        boost=_amount(life.boost),
        accumulated=_amount(life.accumulated),
        bought=bought,
        achieved=achieved,
        clicks=_amount(now.clicks),
        cooked=_amount(now.cooked),
        earned=_amount(now.earned),
        purchases=_amount(life.purchases),
        resets=_amount(life.resets),
    )


def stale(reply: object, stamp: str) -> Stale | None:
    """Compare a snapshot's stamp with the caller's, as scripts do.

    None where the session has this stamp, there is none, or the reply is a failure; else what a script would
    refuse with: to be refreshed before anybody is shown it.
    """
    fields = _fields_of(reply)
    if fields is None or fields.now is None:
        return None
    held = (fields.rates or b"")[STAMP_AT:]
    return None if held == stamp.encode() else Stale(Status.STALE, held)


def of_no_run(reply: object) -> Stale | None:
    """Tell a session that was loaded, or is suspected since Redis may have lost changes of it.

    Its version may have been given before: such a session is refreshed before it is shown.
    """
    fields = _fields_of(reply)
    if fields is None or fields.now is None:
        return None
    held = (fields.rates or b"")[STAMP_AT:]
    _, _, run = held.partition(b".")
    return Stale(Status.STALE, held) if run in _NO_RUN else None


def _fields_of(reply: object) -> _Fields | None:
    return _Fields(*reply) if isinstance(reply, list) else None


def _amount(value: float) -> Amount:
    return int(value) if value < _EXACT_TO else b"%.17g" % value
