"""The rules of the game as plain functions: the model that the Lua scripts equal, to the last digit.

Each function takes the time from its caller, changes the state in place and returns its outcome, or raises a
Refusal and then has changed nothing. Times are Redis' clock: `now_us` µs, `now_ms` ms.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from game import clients
from game.accrual import AWAY_S, accrue, keep_away
from game.arithmetic import floor, half_up, saturated
from game.catalogue import UpgradeId, UpgradeType
from game.errors import (
    NoDish,
    NoDishes,
    NotEnoughMoney,
    NotEnoughPrestige,
    UpgradeLocked,
    UpgradeNotFound,
)
from game.limit import UNLIMITED, Limit, draw
from game.outcomes import Achieved, Bought, Cooked, Paid, Refreshed, Reset, Risen, Shown, Sold, Unrisen
from game.rates import Rates, click_xp_of, cook_gain_of, need_of, prices_of, rates_of
from game.session import Offline

if TYPE_CHECKING:
    from collections.abc import Iterable

    from game.achievements import Achievement
    from game.catalogue import Catalogue
    from game.session import ClientWindow, Session

ONE_STAR: Final = 10_000.0
"""Ten-thousandths: what a reset takes at least."""


@dataclass(slots=True)
class LiveSession:
    """A session, its catalogue, and what only Redis holds: rates, and the bucket's `tat_us`."""

    session: Session
    catalogue: Catalogue
    rates: Rates
    tat_us: float = 0.0

    @classmethod
    def of(cls, session: Session, catalogue: Catalogue) -> LiveSession:
        """Bring a session to life."""
        return cls(session, catalogue, rates_of(session, catalogue))


@dataclass(frozen=True, slots=True)
class Tag:
    """A client's name and the number of its request: applied at most once."""

    client: str
    seq: int


def _window(session: Session, tag: Tag | None, now_ms: int) -> ClientWindow | None:
    """Return the window to remember once the request is applied; raises SeqTooOld, or _AppliedBeforeError."""
    if tag is None:
        return None
    window = clients.place(session, tag.client, tag.seq, _next_version(session, now_ms))
    if window is None:
        raise _AppliedBeforeError
    return window


def _next_version(session: Session, now_ms: int) -> int:
    """Return the version that the next change takes."""
    return max(session.version + 1, now_ms)


class _AppliedBeforeError(Exception):
    """The request's number was applied: answer with the present state."""


def _changed(
    session: Session, now_ms: int, tag: Tag | None = None, window: ClientWindow | None = None
) -> int:
    """Take the step to the next version, remember the client's number; return the version."""
    session.version = _next_version(session, now_ms)
    if tag is not None and window is not None:
        clients.remember(session, tag.client, window)
    return session.version


def cook(
    live: LiveSession, count: int, now_us: int, limit: Limit = UNLIMITED, tag: Tag | None = None
) -> Cooked:
    """Cook as many of `count` times as the limit lets pass. Raises SeqTooOld, NoDish, RateLimited."""
    session, rates = live.session, live.rates
    now_ms = now_us // 1000
    try:
        window = _window(session, tag, now_ms)
    except _AppliedBeforeError:
        return Cooked(session.version, session.dishes, session.xp, 0, duplicate=True)
    if rates.cook_gain == 0:
        raise NoDish
    applied = float(count)
    if limit.interval_us > 0:
        applied, live.tat_us = draw(applied, live.tat_us, float(now_us), limit)
    session.dishes = saturated(session.dishes + applied * rates.cook_gain)
    session.xp = saturated(session.xp + applied * rates.click_xp)
    session.clicks += applied
    session.cooked = saturated(session.cooked + applied * rates.cook_gain)
    return Cooked(_changed(session, now_ms, tag, window), session.dishes, session.xp, int(applied))


def sell(
    live: LiveSession, count: int, now_us: int, limit: Limit = UNLIMITED, tag: Tag | None = None
) -> Sold:
    """Sell as many of `count` times as there are dishes for and the limit lets pass.

    Raises SeqTooOld, NoDishes, RateLimited.
    """
    session, rates = live.session, live.rates
    now_ms = now_us // 1000
    try:
        window = _window(session, tag, now_ms)
    except _AppliedBeforeError:
        return Sold(session.version, session.dishes, session.money, session.xp, 0, duplicate=True)
    if session.dishes == 0:
        raise NoDishes
    portion = rates.portion
    full = floor(session.dishes / portion)
    rest = max(0.0, session.dishes - full * portion)
    applied = min(float(count), full + 1 if rest > 0 else full)
    if limit.interval_us > 0:
        applied, live.tat_us = draw(applied, live.tat_us, float(now_us), limit)
    full_sells = min(applied, full)
    gain = saturated(full_sells * rates.sale(portion, session.boost))
    session.dishes = max(0.0, session.dishes - full_sells * portion)
    if applied > full:
        gain = saturated(gain + rates.sale(rest, session.boost))
        session.dishes = 0.0
    session.money = saturated(session.money + gain)
    session.xp = saturated(session.xp + applied * rates.click_xp)
    session.clicks += applied
    session.earned = saturated(session.earned + gain)
    version = _changed(session, now_ms, tag, window)
    return Sold(version, session.dishes, session.money, session.xp, int(applied))


def upgrade_buy(  # noqa: PLR0917 - the order of the script's arguments
    live: LiveSession, upgrade_id: int, now_us: int, cap_s: int, tag: Tag | None = None, count: int = 1
) -> Bought:
    """Buy an upgrade as many of `count` times as the money lasts, each at its own price, a dish once.

    Income is paid first, at the old rates. Raises SeqTooOld, UpgradeNotFound, UpgradeLocked, NotEnoughMoney.
    """
    session, rates = live.session, live.rates
    now_ms = now_us // 1000
    upgrade = live.catalogue.by_id.get(UpgradeId(upgrade_id))
    if upgrade is None:
        raise UpgradeNotFound
    times_bought = session.bought.get(upgrade_id, 0)
    try:
        window = _window(session, tag, now_ms)
    except _AppliedBeforeError:
        return Bought(
            session.version,
            session.money,
            session.xp,
            upgrade_id,
            times_bought,
            rates.passive,
            0,
            duplicate=True,
        )
    is_dish = upgrade.upgrade_type is UpgradeType.DISH
    if is_dish and times_bought > 0:
        raise UpgradeNotFound
    if session.rank < upgrade.access_level:
        raise UpgradeLocked(upgrade.access_level)
    accrued = accrue(session, rates, now_ms, cap_s)
    prices = prices_of(upgrade, times_bought)
    price = next(prices)
    if accrued.money < price:
        raise NotEnoughMoney(accrued.money, price)
    accrued.apply(session)
    kind, value = upgrade.boost.boost_type, float(upgrade.boost.value_hundredths)
    most, applied = 1 if is_dish else count, 0
    while applied < most and session.money >= price:
        session.money -= price
        if rates.need > 0:
            session.xp = saturated(session.xp + 5 * rates.need + half_up(1000, session.stars))
        rates.sums[kind] = saturated(rates.sums[kind] + value)
        applied += 1
        price = next(prices)
    if is_dish or rates.cook_gain > 0:
        rates.cook_gain = cook_gain_of(rates.sums)
    times_bought += applied
    session.bought[upgrade_id] = times_bought
    session.purchases += applied
    version = _changed(session, now_ms, tag, window)
    return Bought(version, session.money, session.xp, upgrade_id, times_bought, rates.passive, applied)


def level_up(live: LiveSession, now_us: int, cap_s: int, tag: Tag | None = None) -> Risen | Unrisen:
    """Raise the rank by one when the xp is there, income paid first. Raises SeqTooOld."""
    session, rates = live.session, live.rates
    now_ms = now_us // 1000
    try:
        window = _window(session, tag, now_ms)
    except _AppliedBeforeError:
        return Risen(session.version, session.rank, session.xp, rates.need, duplicate=True)
    accrued = accrue(session, rates, now_ms, cap_s)
    need_xp = 100 * rates.need
    if need_xp == 0 or accrued.xp < need_xp:
        if accrued.moved:
            accrued.apply(session)
            _changed(session, now_ms)
        return Unrisen(
            session.version,
            session.rank,
            session.xp,
            accrued.paid,
            session.money,
            session.dishes,
            session.accumulated,
        )
    accrued.apply(session)
    session.rank += 1
    session.xp -= need_xp
    rates.need = need_of(session.rank, live.catalogue)
    rates.click_xp = click_xp_of(session.stars, rates.need)
    return Risen(_changed(session, now_ms, tag, window), session.rank, session.xp, rates.need)


def session_reset(live: LiveSession, now_us: int, cap_s: int, tag: Tag | None = None) -> Reset:
    """Trade everything for prestige, income paid first. Raises SeqTooOld, NotEnoughPrestige."""
    session = live.session
    now_ms = now_us // 1000
    try:
        window = _window(session, tag, now_ms)
    except _AppliedBeforeError:
        return _reset(session, duplicate=True)
    accrued = accrue(session, live.rates, now_ms, cap_s)
    if accrued.accumulated < ONE_STAR:
        raise NotEnoughPrestige
    accrued.apply(session)
    session.stars = saturated(session.stars + session.accumulated)
    session.boost = saturated(session.boost + 10 + half_up(20000, session.stars))
    session.money = session.dishes = session.xp = session.accumulated = 0.0
    session.rank = 0
    session.bought.clear()
    session.resets += 1
    live.rates = rates_of(session, live.catalogue)
    _changed(session, now_ms, tag, window)
    return _reset(session)


def _reset(session: Session, *, duplicate: bool = False) -> Reset:
    return Reset(
        session.version,
        session.money,
        session.dishes,
        session.rank,
        session.xp,
        session.stars,
        session.boost,
        session.accumulated,
        duplicate,
    )


def passive(live: LiveSession, now_us: int, cap_s: int) -> Paid:
    """Pay passive income up to now."""
    session = live.session
    now_ms = now_us // 1000
    accrued = accrue(session, live.rates, now_ms, cap_s)
    if accrued.moved:
        accrued.apply(session)
        _changed(session, now_ms)
    return Paid(
        session.version,
        session.money,
        session.dishes,
        session.rank,
        session.xp,
        session.accumulated,
        accrued.paid,
    )


def session(live: LiveSession, now_us: int, cap_s: int, client: str = "") -> Shown:
    """Pay passive income up to now, and show once what long gaps earned."""
    state = live.session
    now_ms = now_us // 1000
    last_seq = clients.window_of(state, client, _next_version(state, now_ms)).highest if client else 0
    accrued = accrue(state, live.rates, now_ms, cap_s)
    pending = state.offline is not None
    if accrued.moved:
        accrued.apply(state)
    shown, state.offline = state.offline, None
    if accrued.moved or pending:
        _changed(state, now_ms)
    return Shown(state.version, last_seq, shown, accrued.paid, live.rates.passive)


def refresh(live: LiveSession, catalogue: Catalogue, now_us: int, cap_s: int) -> Refreshed:
    """Derive the rates again from a catalogue.

    Income up to now is paid first; what was earned under an older one at its rates until it ended, from then
    on at the new ones. Where it is not known when it ended, it ends now.
    """
    state = live.session
    now_ms = now_us // 1000
    rates = rates_of(state, catalogue)
    paid = False
    if live.rates.passive or rates.passive:
        since_ms = state.accrued_at_ms
        ended_ms = catalogue.ended_ms(live.catalogue.generation)
        before = accrue(
            state,
            live.rates,
            now_ms if ended_ms is None else min(max(ended_ms, state.accrued_at_ms), now_ms),
            cap_s,
        )
        money, dishes, xp, accumulated = state.money, state.dishes, state.xp, state.accumulated
        before.write(state)
        left_s = max(0, cap_s - (state.accrued_at_ms - since_ms) // 1000)
        since = accrue(state, rates, now_ms, left_s)
        since.write(state)
        paid = before.paid or since.paid
        gap_s = (state.accrued_at_ms - since_ms) // 1000
        if paid and gap_s >= AWAY_S:  # both are one gap to the player
            away = Offline(
                seconds=before.seconds + since.seconds,
                away_seconds=gap_s,
                money=state.money - money,
                dishes=state.dishes - dishes,
                xp=state.xp - xp,
                stars=state.accumulated - accumulated,
            )
            keep_away(state, away)
        if state.accrued_at_ms != since_ms:
            _changed(state, now_ms)
    live.catalogue, live.rates = catalogue, rates
    return Refreshed(state.version, rates.passive, paid)


def achieve(live: LiveSession, achievements: Iterable[Achievement], now_us: int) -> Achieved:
    """Record the achievements newly reached."""
    state = live.session
    newly = sorted(one.id for one in achievements if one.id not in state.achieved and one.reached_by(state))
    if newly:
        state.achieved = tuple(sorted((*state.achieved, *newly)))
        _changed(state, now_us // 1000)
    return Achieved(state.version, tuple(newly))
