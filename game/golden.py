"""Golden guests: one in each period of Redis' time pays for what the player's own kitchen makes.

When a guest comes follows from the period and the player alone, so nothing is stored before one is served.
Which were served, the session remembers as the numbers of one more client. Twin of
`persistence/live/lua/golden_guest.lua` and `lib/comes_ms.lua`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from game import clients
from game.arithmetic import saturated
from game.errors import NoDish, NoGoldenGuest, SeqTooOld
from game.idle import income
from game.outcomes import GoldenGuest
from game.session import ClientWindow

if TYPE_CHECKING:
    from game.live_session import LiveSession
    from game.session import Session, UserId

GUESTS: Final = "golden guests have the numbers of the periods of Redis' time in which they come"
"""The client under which a session remembers the guests it served: longer than a player's may be."""

EVERY_MS: Final = 480_000
"""One guest comes in each period of this length."""
STAYS_MS: Final = 60_000
"""How long a guest waits."""
COOKS: Final = 40.0
"""The guest pays for the dishes of so many cooks, as if they were sold by hand …"""
SECONDS: Final = 40.0
"""… and for what so many seconds bring without a click in a kitchen that has no dishes in stock."""
_SPREAD: Final = 67_108_859
"""A prime below 2^26: the square of a rest is exact in a double."""


def comes_ms(user_id: UserId, number: int) -> int:
    """Return when the guest of a period comes, Redis' time."""
    mixed = (number % _SPREAD * 1103 + user_id % _SPREAD) % _SPREAD
    return number * EVERY_MS + mixed * mixed % _SPREAD % EVERY_MS


def golden_guest(live: LiveSession, now_us: int, cap_s: int, serve: int = 0) -> GoldenGuest:
    """Say who waits or comes next; first `serve` the guest of that number (0: nobody), once.

    Income is paid first. Raises NoGoldenGuest where the guest to serve is not here, NoDish.
    """
    session, rates = live.session, live.rates
    now_ms = now_us // 1000
    version, accrued = live.next_version(now_ms), live.accrue(now_ms, cap_s)
    window = _placed(session, serve, version) if serve else None
    gain = 0.0
    if window is not None:
        if not 0 <= now_ms - comes_ms(session.user_id, serve) < STAYS_MS:
            raise NoGoldenGuest
        if rates.cook_gain == 0:
            raise NoDish
        by_hand = rates.sale(saturated(COOKS * rates.cook_gain), session.boost)
        gain = saturated(by_hand + income(SECONDS, 0.0, rates.kitchen(session.boost)).money)
    if accrued.moved or window is not None:
        accrued.apply(session)
        session.version = version
        live.promise(now_ms)
    if window is not None:
        session.money = saturated(session.money + gain)
        session.earned = saturated(session.earned + gain)
        clients.remember(session, GUESTS, window)
    number = _following(session, now_ms, version)
    comes = comes_ms(session.user_id, number)
    return GoldenGuest(
        session.version,
        session.money,
        session.dishes,
        session.rank,
        session.xp,
        session.accumulated,
        accrued.paid or window is not None,
        gain,
        number,
        max(0, comes - now_ms),
        comes + STAYS_MS - now_ms,
        duplicate=bool(serve) and window is None,
    )


def _placed(session: Session, number: int, version: int) -> ClientWindow | None:
    """Return the window once a guest is served; None where the guest was served before."""
    try:
        return clients.place(session, GUESTS, number, version)
    except SeqTooOld:
        # The clock ran back by hours: nobody waits for a wrong clock's future.
        return ClientWindow(number, 1, version)


def _following(session: Session, now_ms: int, version: int) -> int:
    """Return who waits or comes next and was not served.

    The guest of the period before may wait still. At most 66 steps: of a window's 64 numbers those behind the
    highest one can be served already.
    """
    number = now_ms // EVERY_MS - 1
    while now_ms >= comes_ms(session.user_id, number) + STAYS_MS or _placed(session, number, version) is None:
        number += 1
    return number
