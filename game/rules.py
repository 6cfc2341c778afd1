"""The rules of the game as plain functions: the model that the Lua scripts equal, to the last digit.

Each function takes the time from its caller, changes the state in place and returns its outcome, or raises a
Refusal and then has changed nothing. Times are Redis' clock: `now_us` µs, `now_ms` ms.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from game import clients
from game.accrual import CAP_S
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
from game.outcomes import Bought, Cooked, Paid, Reset, Risen, Shown, Sold, Unrisen
from game.rates import click_xp_of, cook_gain_of, need_of, prices_of, rates_of

if TYPE_CHECKING:
    from game.accrual import Accrued
    from game.live_session import LiveSession
    from game.session import ClientWindow, Session

ONE_STAR: Final = 10_000.0
"""Ten-thousandths: what a reset takes at least."""


@dataclass(frozen=True, slots=True)
class Tag:
    """A client's name and the number of its request: applied at most once."""

    client: str
    seq: int


def _window(session: Session, tag: Tag | None, version: int) -> ClientWindow | None:
    """Return the window to remember once the request is applied; raises SeqTooOld, or _AppliedBeforeError."""
    if tag is None:
        return None
    window = clients.place(session, tag.client, tag.seq, version)
    if window is None:
        raise _AppliedBeforeError
    return window


class _AppliedBeforeError(Exception):
    """The request's number was applied: answer with the present state."""


def _changed(
    live: LiveSession,
    version: int,
    now_ms: int,
    tag: Tag | None,
    window: ClientWindow | None,
) -> None:
    """Take the step to the next version, promise, remember the client's number."""
    live.change(version, now_ms)
    _remember(live.session, tag, window)


def _remember(session: Session, tag: Tag | None, window: ClientWindow | None) -> None:
    if tag is not None and window is not None:
        clients.remember(session, tag.client, window)


def cook(
    live: LiveSession,
    count: int,
    now_us: int,
    limit: Limit = UNLIMITED,
    tag: Tag | None = None,
    *,
    cap_s: int = CAP_S,
) -> Cooked:
    """Cook as many of `count` times as the limit lets pass, income paid first.

    Raises SeqTooOld, NoDish, RateLimited.
    """
    session, rates = live.session, live.rates
    now_ms = now_us // 1000
    version, accrued = live.next_version(now_ms), live.accrue(now_ms, cap_s)
    try:
        window = _window(session, tag, version)
    except _AppliedBeforeError:
        paid = live.settle(accrued, version, now_ms)
        return Cooked(session.version, session.dishes, session.xp, 0, duplicate=True, paid=paid)
    if rates.cook_gain == 0:
        raise NoDish
    applied = float(count)
    if limit.interval_us > 0:
        applied, live.tat_us = draw(applied, live.tat_us, float(now_us), limit)
    _pay_for_click(live, accrued, version, now_ms)
    session.dishes = saturated(session.dishes + applied * rates.cook_gain)
    session.xp = saturated(session.xp + applied * rates.click_xp)
    session.clicks += applied
    session.cooked = saturated(session.cooked + applied * rates.cook_gain)
    _remember(session, tag, window)
    return Cooked(version, session.dishes, session.xp, int(applied))


def _pay_for_click(live: LiveSession, accrued: Accrued, version: int, now_ms: int) -> None:
    """Pay the income that is due before a click; take the click's version."""
    if accrued.moved:
        accrued.apply(live.session)
        live.change(version, now_ms)
        return
    live.session.version = version
    if live.rates.passive:
        live.advance(version, now_ms)


def sell(
    live: LiveSession,
    count: int,
    now_us: int,
    limit: Limit = UNLIMITED,
    tag: Tag | None = None,
    *,
    cap_s: int = CAP_S,
) -> Sold:
    """Sell as many of `count` times as there are dishes for and the limit lets pass, income paid first.

    Raises SeqTooOld, NoDishes, RateLimited.
    """
    session, rates = live.session, live.rates
    now_ms = now_us // 1000
    version, accrued = live.next_version(now_ms), live.accrue(now_ms, cap_s)
    try:
        window = _window(session, tag, version)
    except _AppliedBeforeError:
        paid = live.settle(accrued, version, now_ms)
        return Sold(session.version, session.dishes, session.money, session.xp, 0, duplicate=True, paid=paid)
    dishes = accrued.amounts.dishes
    if dishes == 0:
        raise NoDishes
    portion = rates.portion
    full = floor(dishes / portion)
    rest = max(0.0, dishes - full * portion)
    applied = min(float(count), full + 1 if rest > 0 else full)
    if limit.interval_us > 0:
        applied, live.tat_us = draw(applied, live.tat_us, float(now_us), limit)
    _pay_for_click(live, accrued, version, now_ms)
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
    _remember(session, tag, window)
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
    version, accrued = live.next_version(now_ms), live.accrue(now_ms, cap_s)
    try:
        window = _window(session, tag, version)
    except _AppliedBeforeError:
        paid = live.settle(accrued, version, now_ms)
        return Bought(
            session.version,
            session.money,
            session.xp,
            upgrade_id,
            times_bought,
            rates.passive,
            0,
            duplicate=True,
            paid=paid,
        )
    is_dish = upgrade.upgrade_type is UpgradeType.DISH
    if is_dish and times_bought > 0:
        raise UpgradeNotFound
    if session.rank < upgrade.access_level:
        raise UpgradeLocked(upgrade.access_level)
    prices = prices_of(upgrade, times_bought)
    price = next(prices)
    if accrued.amounts.money < price:
        raise NotEnoughMoney(accrued.amounts.money, price)
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
    _changed(live, version, now_ms, tag, window)
    return Bought(version, session.money, session.xp, upgrade_id, times_bought, rates.passive, applied)


def level_up(live: LiveSession, now_us: int, cap_s: int, tag: Tag | None = None) -> Risen | Unrisen:
    """Raise the rank by one when the xp is there, income paid first. Raises SeqTooOld."""
    session, rates = live.session, live.rates
    now_ms = now_us // 1000
    version, accrued = live.next_version(now_ms), live.accrue(now_ms, cap_s)
    try:
        window = _window(session, tag, version)
    except _AppliedBeforeError:
        paid = live.settle(accrued, version, now_ms)
        return Risen(session.version, session.rank, session.xp, rates.need, duplicate=True, paid=paid)
    need_xp = 100 * rates.need
    if need_xp == 0 or accrued.amounts.xp < need_xp:
        live.settle(accrued, version, now_ms)
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
    _changed(live, version, now_ms, tag, window)
    return Risen(version, session.rank, session.xp, rates.need)


def session_reset(live: LiveSession, now_us: int, cap_s: int, tag: Tag | None = None) -> Reset:
    """Trade everything for prestige, income paid first. Raises SeqTooOld, NotEnoughPrestige."""
    session = live.session
    now_ms = now_us // 1000
    version, accrued = live.next_version(now_ms), live.accrue(now_ms, cap_s)
    try:
        window = _window(session, tag, version)
    except _AppliedBeforeError:
        paid = live.settle(accrued, version, now_ms)
        return _reset(session, duplicate=True, paid=paid)
    if accrued.amounts.accumulated < ONE_STAR:
        raise NotEnoughPrestige
    accrued.apply(session)
    session.stars = saturated(session.stars + session.accumulated)
    session.boost = saturated(session.boost + 10 + half_up(20000, session.stars))
    session.money = session.dishes = session.xp = session.accumulated = 0.0
    session.rank = 0
    session.bought.clear()
    session.resets += 1
    live.rates = rates_of(session, live.catalogue)
    _changed(live, version, now_ms, tag, window)
    return _reset(session)


def _reset(session: Session, *, duplicate: bool = False, paid: bool = False) -> Reset:
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
        paid,
    )


def passive(live: LiveSession, now_us: int, cap_s: int) -> Paid:
    """Pay passive income up to now."""
    session = live.session
    now_ms = now_us // 1000
    version, accrued = live.next_version(now_ms), live.accrue(now_ms, cap_s)
    if accrued.moved:
        live.settle(accrued, version, now_ms)
        live.promise(now_ms, asked=True)
    else:
        live.renew(now_ms, asked=True)
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
    version, accrued = live.next_version(now_ms), live.accrue(now_ms, cap_s)
    last_seq = clients.window_of(state, client, version).highest if client else 0
    if accrued.moved:
        accrued.apply(state)
    shown, state.offline = state.offline, None
    if accrued.moved or shown is not None:
        live.change(version, now_ms)
    else:
        live.renew(now_ms)
    return Shown(state.version, last_seq, shown, accrued.paid, live.rates.passive)
