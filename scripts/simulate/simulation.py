"""A sensible player of the pure model: days of play in seconds, no server, no clock, no I/O.

The player clicks steadily, cooks as much as can be sold, buys what pays back soonest, rises as soon as the xp
is there and resets when that at least doubles the stars. At most one purchase or rank a second, as by hand.
"""

from __future__ import annotations

import math
import random
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from game import rules
from game.catalogue import BoostType, UpgradeType
from game.outcomes import Risen
from game.rates import multiplier, prestige_factor, price_of
from game.session import Session, UserId
from scripts.simulate.course import Course, Purchase, RankUp, Sample

if TYPE_CHECKING:
    from game.catalogue import Catalogue, Upgrade
    from game.rates import Rates

OFFLINE_CAP_S: Final = 28_800
LONGEST_STEP_S: Final = 30
SAMPLE_S: Final = 60
LONGEST_SAVING_S: Final = 3_600
"""A player does not save for longer than this towards one purchase."""
XP_WORTH: Final = 0.5
"""A purchase's xp is worth this part of what is earned in the time that clicking for it takes."""
UNSTEADINESS: Final = 0.1
"""How far a step's clicks stray from the average: a hand is no clock."""


def simulate(
    catalogue: Catalogue,
    duration_s: int,
    *,
    clicks_per_second: float = 5.0,
    seed: int = 1,
    resets: bool = True,
    last_rank: int | None = None,
) -> Course:
    """Play until `duration_s`, or until `last_rank` is reached; without `resets` nothing is traded in."""
    player = _Player(catalogue, clicks_per_second, random.Random(seed))  # noqa: S311 - a game, not a secret
    course = player.course
    while player.now_s < duration_s and (last_rank is None or player.live.session.rank < last_rank):
        player.step(may_reset=resets)
    return course


class _Player:
    """One player, step by step."""

    def __init__(self, catalogue: Catalogue, clicks_per_second: float, hand: random.Random) -> None:
        self.live = rules.LiveSession.of(Session(UserId(1), version=1, accrued_at_ms=0), catalogue)
        self.course = Course()
        self.now_s = 0
        self._clicks_per_second = clicks_per_second
        self._hand = hand
        self._clicks_owed = 0.0
        self._rank_began_s = 0
        self._wish: Wish | None = None
        self._outlook = Outlook(0.0, sells_passively=False)
        self._look_round()

    @property
    def _now_us(self) -> int:
        return self.now_s * 1_000_000

    def step(self, *, may_reset: bool) -> None:
        """Click for a while, then do the one thing that is due."""
        session = self.live.session
        seconds = self._step_s()
        self._click(seconds)
        self.now_s += seconds
        rules.passive(self.live, self._now_us, OFFLINE_CAP_S)
        while len(self.course.samples) * SAMPLE_S <= self.now_s:
            self._sample()
        if may_reset and session.accumulated >= max(rules.ONE_STAR, session.stars):
            self._reset()
        elif self.live.rates.need > 0 and session.xp >= 100 * self.live.rates.need:
            self._rise()
        elif self._wish is not None and session.money >= self._wish.price:
            self._buy(self._wish)

    def _step_s(self) -> int:
        session, rates = self.live.session, self.live.rates
        waits = [float(LONGEST_STEP_S)]
        if self._wish is not None and self._wish.price <= session.money:
            return 1
        if self._wish is not None and self._outlook.income > 0:
            waits.append((self._wish.price - session.money) / self._outlook.income)
        xp_per_second = xp_a_second(rates, self._clicks_per_second)
        if rates.need > 0 and xp_per_second > 0:
            waits.append((100 * rates.need - session.xp) / xp_per_second)
        return max(1, math.ceil(min(waits)))

    def _click(self, seconds: int) -> None:
        """Cook as much as this step can sell, by hand and, where that pays, passively; then sell."""
        session, rates = self.live.session, self.live.rates
        pace = self._clicks_per_second * self._hand.uniform(1 - UNSTEADINESS, 1 + UNSTEADINESS)
        self._clicks_owed += pace * seconds
        clicks = int(self._clicks_owed)
        self._clicks_owed -= clicks
        if rates.cook_gain == 0 or clicks == 0:
            return
        cooks = cooks_among(clicks, session, rates, self._outlook, seconds)
        if cooks > 0:
            rules.cook(self.live, cooks, self._now_us)
        if cooks < clicks and session.dishes > 0:
            rules.sell(self.live, clicks - cooks, self._now_us)

    def _buy(self, wish: Wish) -> None:
        rules.upgrade_buy(self.live, wish.upgrade.id, self._now_us, OFFLINE_CAP_S)
        self.course.purchases.append(Purchase(self.now_s, wish.upgrade, wish.price, wish.payback_s))
        self._look_round()

    def _rise(self) -> None:
        outcome = rules.level_up(self.live, self._now_us, OFFLINE_CAP_S)
        if isinstance(outcome, Risen):
            took_s = self.now_s - self._rank_began_s
            self._rank_began_s = self.now_s
            self.course.rank_ups.append(RankUp(self.now_s, len(self.course.resets), outcome.rank, took_s))
        self._look_round()

    def _reset(self) -> None:
        rules.session_reset(self.live, self._now_us, OFFLINE_CAP_S)
        self.course.resets.append(self.now_s)
        self._rank_began_s = self.now_s
        self._look_round()

    def _sample(self) -> None:
        session = self.live.session
        self.course.samples.append(
            Sample(
                at_s=len(self.course.samples) * SAMPLE_S,
                rank=session.rank,
                money=session.money,
                income=self._outlook.income,
                purchases=len(self.course.purchases),
                stars=session.stars / rules.ONE_STAR,
            )
        )

    def _look_round(self) -> None:
        """Compute what is earned now, and choose what is worth buying next."""
        session, rates = self.live.session, self.live.rates
        self._outlook = outlook(rates.sums, session.boost, self._clicks_per_second)
        self._wish = best_wish(session, rates, self.live.catalogue, self._clicks_per_second)


@dataclass(frozen=True, slots=True)
class Wish:
    """What to buy next, its price, and after how long the income that it adds has paid it."""

    upgrade: Upgrade
    price: float
    payback_s: float


def best_wish(session: Session, rates: Rates, catalogue: Catalogue, clicks_per_second: float) -> Wish | None:
    """Choose what pays back soonest, the time to save for it included; None when nothing is worth it.

    What costs less than its xp is worth comes first, the cheapest of it, whatever it brings.
    """
    sums = rates.sums
    income = outlook(sums, session.boost, clicks_per_second).income
    gained_xp = 5 * rates.need + session.stars / 1000 if rates.need > 0 else 0.0
    xp_per_second = xp_a_second(rates, clicks_per_second)
    worth = XP_WORTH * income * gained_xp / xp_per_second if xp_per_second > 0 else 0.0
    best: tuple[float, Wish] | None = None
    for upgrade in catalogue.upgrades:
        times_bought = session.bought.get(upgrade.id, 0)
        is_dish = upgrade.upgrade_type is UpgradeType.DISH
        if upgrade.access_level > session.rank or (is_dish and times_bought > 0):
            continue
        price = price_of(upgrade, times_bought)
        if price > session.money + income * LONGEST_SAVING_S:
            continue
        kind, before = upgrade.boost.boost_type, sums[upgrade.boost.boost_type]
        sums[kind] = before + upgrade.boost.value_hundredths
        gain = outlook(sums, session.boost, clicks_per_second).income - income
        sums[kind] = before
        payback_s = price / gain if gain > 0 else math.inf
        saving_s = max(0.0, price - session.money) / income if income > 0 else 0.0
        score = price - 1e300 if price < worth else saving_s + payback_s
        if score < math.inf and (best is None or score < best[0]):
            best = (score, Wish(upgrade, price, payback_s))
    return best[1] if best is not None else None


def xp_a_second(rates: Rates, clicks_per_second: float) -> float:
    """Compute the xp that comes in a second of steady play, in hundredths."""
    return clicks_per_second * rates.click_xp + rates.xp_per_second + rates.xp_per_passive_sell


def cooks_among(clicks: int, session: Session, rates: Rates, view: Outlook, seconds: float) -> int:
    """Say how many of `clicks` should cook, so that the rest, and passive sales, find dishes to sell."""
    if rates.cook_gain == 0:
        return 0
    kept = seconds * max(0.0, rates.portion - rates.dishes_per_second) if view.sells_passively else 0.0
    wanted = (kept - session.dishes + clicks * rates.portion) / (rates.cook_gain + rates.portion)
    return min(clicks, max(0, math.ceil(wanted)))


@dataclass(frozen=True, slots=True)
class Outlook:
    """Expected money a second, and whether leaving dishes to passive sales earns more than the hand."""

    income: float
    sells_passively: bool


def outlook(sums: dict[BoostType, float], boost_tenths: float, clicks_per_second: float) -> Outlook:
    """Compute the best steady income with boosts in hundredths, the clicks split between cooks and sells.

    Dishes balance: cooks * cooked + passive cooking = sells * portion + passive sales.
    """
    factor = prestige_factor(boost_tenths) / 10
    cooked = (1 + sums[BoostType.DISHES_PER_CLICK] / 100) * multiplier(sums[BoostType.DISH_MULTIPLIER]) / 100
    portion = 1 + sums[BoostType.SALES_PER_SELL] / 100
    price = sums[BoostType.MONEY_PER_CLICK] * multiplier(sums[BoostType.MONEY_MULTIPLIER]) / 1e4 * factor
    supply = sums[BoostType.DISHES_PER_SECOND] * multiplier(sums[BoostType.PASSIVE_DISH_MULTIPLIER]) / 1e4
    passive = (
        sums[BoostType.MONEY_PER_SECOND] * multiplier(sums[BoostType.PASSIVE_MONEY_MULTIPLIER]) / 1e4 * factor
    )
    most = clicks_per_second * cooked + supply if price > 0 else supply
    by_hand = price * portion * min(clicks_per_second, most / (cooked + portion))
    if passive <= 0 or most <= 0:
        return Outlook(by_hand, sells_passively=False)
    sells = min(clicks_per_second, max(0.0, (most - portion) / (cooked + portion)))
    both = price * portion * sells + passive * min(portion, most)
    return Outlook(max(by_hand, both), sells_passively=both > by_hand)
