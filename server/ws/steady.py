"""A player's income as one piece of bytes, for as long as nothing but the second changes. Pure.

Of ten thousand players who watch, each is looked at once a second, and by then the processor's caches have
lost what is known of them. One short piece of memory is read faster than the objects that it was made from.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from game.course import Course

_STEADY: Final = struct.Struct("<14q")


def steady_of(course: Course, seconds: int, last_s: int, lapses: int) -> bytes | None:
    """Write what each second after `seconds`, up to `last_s`, is computed from; None where nothing can be.

    `seconds` is the one that was just shown. No achievement is reached in those after it, and each differs
    from the one before. `lapses`: while the process counts so many, it hears of the player.
    """
    run = course.run_of(seconds)
    if run is None or min(run.last_s, last_s) <= seconds:
        return None
    head = (lapses, course.accrued_at_ms, min(run.last_s, last_s), course.version, course.rank)
    return _STEADY.pack(*head, run.first_s, *run.line)


def steady_at(
    packed: bytes, now_ms: int, sent_s: int, lapses: int
) -> tuple[int, int, int, tuple[int, int, int, int]] | None:
    """Return the second, its version, the rank, and money, dishes, xp and stars at a time of Redis.

    None where that is not to be read here: behind the last second, before `sent_s`, or where the player may
    have ceased to be heard since. Then the course says what to do. Hot.
    """
    (
        heard,
        since_ms,
        last_s,
        version,
        rank,
        first_s,
        money,
        more_money,
        dishes,
        more_dishes,
        xp,
        more_xp,
        stars,
        more_stars,
    ) = _STEADY.unpack(packed)
    seconds = (now_ms - since_ms) // 1000
    if not sent_s <= seconds <= last_s or heard != lapses:
        return None
    part = seconds - first_s
    amounts = (
        money + part * more_money,
        dishes + part * more_dishes,
        xp + part * more_xp,
        stars + part * more_stars,
    )
    return seconds, version + seconds, rank, amounts
