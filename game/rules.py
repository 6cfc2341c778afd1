"""The rules of the game as plain functions: the model that the Lua scripts equal, to the last digit.

Each function takes the time from its caller, changes the state in place and returns its outcome, or raises a
Refusal and then has changed nothing. Times are Redis' clock: `now_us` µs, `now_ms` ms.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from game import clients
from game.accrual import CAP_S, PROMISE_MS, accrue, keep_away
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

if TYPE_CHECKING:
    from collections.abc import Iterable

    from game.accrual import Accrued
    from game.achievements import Achievement
    from game.catalogue import Catalogue
    from game.session import ClientWindow, Session

ONE_STAR: Final = 10_000.0
"""Ten-thousandths: what a reset takes at least."""


@dataclass(slots=True)
class LiveSession:
    """A session, its catalogue, and what only Redis holds: rates, the bucket's `tat_us`, the promise.

    Until `joined_until_ms`, whatever its sign, the player counts as joined. Where it is positive, processes
    may compute pushes from the session's version, one version for each whole second.
    """

    session: Session
    catalogue: Catalogue
    rates: Rates
    tat_us: float = 0.0
    joined_until_ms: int = 0

    @classmethod
    def of(cls, session: Session, catalogue: Catalogue) -> LiveSession:
        """Bring a session to life."""
        return cls(session, catalogue, rates_of(session, catalogue))

    def next_version(self, now_ms: int) -> int:
        """Return the version that the next change takes: past every push that can have been computed."""
        computed = max(0, (self.joined_until_ms - self.session.accrued_at_ms) // 1000)
        return max(self.session.version + (computed if self.rates.passive else 0) + 1, now_ms)

    def accrue(self, now_ms: int, cap_s: int) -> Accrued:
        """Compute the income up to now."""
        return accrue(self.session, self.rates, now_ms, cap_s, self.joined_until_ms)

    def promise(self, now_ms: int, *, asked: bool = False) -> None:
        """Count the player as joined from now on.

        Nobody computes from a version ahead of the clock, but where a process asked, once a second at most.
        """
        ahead = self.session.version > now_ms and not asked
        until_ms = now_ms + PROMISE_MS if self.rates.passive else 0
        self.joined_until_ms = -until_ms if ahead else until_ms

    def advance(self, version: int, now_ms: int) -> None:
        """Take the step to a version; nobody computes from one ahead of the clock."""
        self.session.version = version
        if version > now_ms:
            self.joined_until_ms = -abs(self.joined_until_ms)

    def renew(self, now_ms: int, *, asked: bool = False) -> None:
        """Promise again where the session did not change and little is left of the promise."""
        until_ms = self.joined_until_ms if asked else abs(self.joined_until_ms)
        if self.rates.passive and until_ms - now_ms < PROMISE_MS // 2:
            self.promise(now_ms, asked=asked)


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
    tag: Tag | None = None,
    window: ClientWindow | None = None,
) -> None:
    """Take the step to the next version, promise, remember the client's number."""
    live.session.version = version
    live.promise(now_ms)
    _remember(live.session, tag, window)


def _remember(session: Session, tag: Tag | None, window: ClientWindow | None) -> None:
    if tag is not None and window is not None:
        clients.remember(session, tag.client, window)


def _settle(live: LiveSession, accrued: Accrued, version: int, now_ms: int) -> bool:
    """Pay the income alone, where a request changes nothing else; returns whether it changed an amount."""
    if accrued.moved:
        accrued.apply(live.session)
        _changed(live, version, now_ms)
    return accrued.paid


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
        paid = _settle(live, accrued, version, now_ms)
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
        _changed(live, version, now_ms)
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
        paid = _settle(live, accrued, version, now_ms)
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
        paid = _settle(live, accrued, version, now_ms)
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
        paid = _settle(live, accrued, version, now_ms)
        return Risen(session.version, session.rank, session.xp, rates.need, duplicate=True, paid=paid)
    need_xp = 100 * rates.need
    if need_xp == 0 or accrued.amounts.xp < need_xp:
        _settle(live, accrued, version, now_ms)
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
        paid = _settle(live, accrued, version, now_ms)
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
        _settle(live, accrued, version, now_ms)
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
        _changed(live, version, now_ms)
    else:
        live.renew(now_ms)
    return Shown(state.version, last_seq, shown, accrued.paid, live.rates.passive)


def refresh(live: LiveSession, catalogue: Catalogue, now_us: int, cap_s: int) -> Refreshed:
    """Derive the rates again from a catalogue.

    Income up to now is paid first; what was earned under an older one at its rates until it ended, from then
    on at the new ones. Where it is not known when it ended, it ends now.
    """
    state = live.session
    now_ms = now_us // 1000
    rates = rates_of(state, catalogue)
    pays = live.rates.passive or rates.passive
    version = live.next_version(now_ms)
    if pays:
        since_ms = state.accrued_at_ms
        ended_ms = catalogue.ended_ms(live.catalogue.generation)
        until_ms = now_ms if ended_ms is None else min(max(ended_ms, since_ms), now_ms)
        before = live.accrue(until_ms, cap_s)
        before.write(state)
        left_s = max(0, cap_s - (before.away.away_seconds if before.away else 0))
        since = accrue(state, rates, now_ms, left_s, live.joined_until_ms)
        since.write(state)
        if before.away is not None and since.away is not None:
            keep_away(state, before.away.plus(since.away))  # both are one gap to the player
        else:
            keep_away(state, before.away or since.away)
        if state.accrued_at_ms != since_ms:
            live.advance(version, now_ms)
    live.catalogue, live.rates = catalogue, rates
    return Refreshed(state.version, rates.passive, pays)


def achieve(
    live: LiveSession, achievements: Iterable[Achievement], now_us: int, cap_s: int = CAP_S
) -> Achieved:
    """Record the achievements newly reached, income paid first; without any nothing changes."""
    state = live.session
    now_ms = now_us // 1000
    version, accrued = live.next_version(now_ms), live.accrue(now_ms, cap_s)
    paid = replace(state)
    accrued.write(paid)
    newly = sorted(one.id for one in achievements if one.id not in state.achieved and one.reached_by(paid))
    if newly:
        accrued.apply(state)
        state.achieved = tuple(sorted((*state.achieved, *newly)))
        _changed(live, version, now_ms)
    return Achieved(state.version, tuple(newly))
