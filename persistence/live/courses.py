"""A player's course, as a process reads it: the fields to ask for, and what their values say."""

from __future__ import annotations

from typing import Final, NamedTuple

from game.accrual import Amounts, flow_of
from game.achievements import Counter
from game.catalogue import BoostType
from game.course import Course
from game.rates import Rates
from persistence.live.record import STAMP_AT, read_life, read_now, read_rates


class _Fields(NamedTuple):
    """The reply of HMGET: all None where there is no session."""

    now: bytes | None
    life: bytes | None
    rates: bytes | None


COURSE_FIELDS: Final = _Fields._fields


def course_of(reply: object, stamp: str) -> Course | None:
    """Read a course: None where there is no session under this stamp, or the reply is a failure."""
    if not isinstance(reply, list):
        return None
    fields = _Fields(*reply)
    if fields.now is None or fields.life is None or fields.rates is None:
        return None
    if fields.rates[STAMP_AT:] != stamp.encode():
        return None
    now, life, held = read_now(fields.now), read_life(fields.life), read_rates(fields.rates)
    rates = Rates(
        sums={kind: getattr(held, kind.value) for kind in BoostType},
        cook_gain=held.cook_gain,
        click_xp=held.click_xp,
        need=held.need,
    )
    return Course(
        version=int(now.version),
        accrued_at_ms=int(life.accrued_at),
        joined_until_ms=int(life.joined_until),
        amounts=Amounts(now.money, now.dishes, now.xp, life.accumulated, now.cooked, now.earned),
        flow=flow_of(rates, life.boost) if rates.passive else None,
        counters={
            Counter.CLICKS: now.clicks,
            Counter.COOKED: now.cooked,
            Counter.EARNED: now.earned,
            Counter.PURCHASES: life.purchases,
            Counter.RESETS: life.resets,
            Counter.RANK: life.rank,
            Counter.STARS: life.stars,
        },
    )
