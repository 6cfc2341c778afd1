"""A player of the pure model: days of play in seconds, no server, no clock, no I/O.

The player clicks steadily, cooks as much as can be sold, buys what the advice says, rises as soon as the xp
is there and resets when that multiplies the money by RESET_GAIN. At most one purchase or rank a second, as by
hand.
"""

from __future__ import annotations

import math
import random
from typing import TYPE_CHECKING, Final

from game import golden, rules
from game.accrual import after, amounts_of, flow_of
from game.live_session import LiveSession
from game.outcomes import Risen
from game.rates import prestige_factor
from game.session import Session, UserId
from scripts.simulate.advice import advise, best_of, cooks_among, flow, offers
from scripts.simulate.course import Course, Guest, Look, Night, Purchase, RankUp, Sample
from scripts.simulate.habits import HABITS, HOUR_S, Habit, ShownPace

if TYPE_CHECKING:
    from collections.abc import Callable

    from game.catalogue import Catalogue
    from scripts.simulate.advice import Offer

OFFLINE_CAP_S: Final = 28_800
LONGEST_STEP_S: Final = 30
SAMPLE_S: Final = 60
NIGHT_EVERY_S: Final = 60
NEAR_S: Final = 900
"""What more than so long of all income would buy is too far away to count as paying back soon."""
RESET_GAIN: Final = 4.0
"""A reset is sensible when it multiplies the money by this: then the way back is less than half as long."""
UNSTEADINESS: Final = 0.1
"""How far a step's clicks stray from the average: a hand is no clock."""


def simulate(
    catalogue: Catalogue,
    duration_s: int,
    *,
    habit: Habit = HABITS["steady"],
    seed: int = 1,
    resets: bool = True,
    last_rank: int | None = None,
    until: Callable[[Course], bool] | None = None,
) -> Course:
    """Play until `duration_s`, `last_rank` or `until` is reached; without `resets` nothing is traded in."""
    player = _Player(catalogue, habit, random.Random(seed))  # noqa: S311 - a game, not a secret
    course = player.course
    while player.now_s < duration_s and (last_rank is None or player.live.session.rank < last_rank):
        player.step(may_reset=resets)
        if until is not None and until(course):
            break
    return course


class _Player:
    """One player, step by step."""

    def __init__(self, catalogue: Catalogue, habit: Habit, hand: random.Random) -> None:
        self.live = LiveSession.of(Session(UserId(1), version=1, accrued_at_ms=0), catalogue)
        self.course = Course()
        self.now_s = 0
        self._habit = habit
        self._hand = hand
        self._clicks_owed = 0.0
        self._pace = ShownPace()
        self._rank_began_s = 0
        self._slept_s = 0
        self._guest_s = 0
        self._wish: Offer | None = None
        self._income = 0.0
        self._look_round()

    @property
    def _now_us(self) -> int:
        return self.now_s * 1_000_000

    def step(self, *, may_reset: bool) -> None:
        """Click for a while, then do the one thing that is due."""
        session = self.live.session
        seconds = self._habit.next_visit_s(self.now_s) - self.now_s
        is_back = seconds > 0
        if not is_back:
            seconds = self._step_s()
            self._click(seconds)
        self.now_s += seconds
        rules.passive(self.live, self._now_us, OFFLINE_CAP_S)
        if self._habit.attentive and self.now_s >= self._guest_s:
            self._serve()
        while len(self.course.samples) * SAMPLE_S <= self.now_s:
            self._sample()
        if self.now_s - self._slept_s >= NIGHT_EVERY_S:
            self._try_a_night()
        if may_reset and self._should_reset():
            self._reset()
        elif self.live.rates.need > 0 and session.xp >= 100 * self.live.rates.need:
            self._rise()
        elif self._wish is not None and session.money >= self._wish.price:
            self._buy(self._wish)
        elif is_back or seconds >= LONGEST_STEP_S // 3:
            self._look_round()

    def _step_s(self) -> int:
        session, rates = self.live.session, self.live.rates
        waits = [float(LONGEST_STEP_S)]
        if self._wish is not None and self._wish.price <= session.money:
            return 1
        if self._wish is not None and self._income > 0:
            waits.append((self._wish.price - session.money) / self._income)
        xp_per_s = self._habit.clicks_per_s * rates.click_xp + rates.xp_per_second + rates.xp_per_passive_sell
        if rates.need > 0 and xp_per_s > 0:
            waits.append((100 * rates.need - session.xp) / xp_per_s)
        return max(1, math.ceil(min(waits)))

    def _click(self, seconds: int) -> None:
        """Cook as much as this step and passive sales can sell, then sell with the clicks that are left."""
        session, rates = self.live.session, self.live.rates
        pace = self._habit.clicks_per_s * self._hand.uniform(1 - UNSTEADINESS, 1 + UNSTEADINESS)
        self._clicks_owed += pace * seconds
        clicks = int(self._clicks_owed)
        self._clicks_owed -= clicks
        if rates.cook_gain == 0 or clicks == 0:
            return
        self._pace.count(clicks, seconds)
        cooks = cooks_among(clicks, session, rates, seconds)
        if cooks > 0:
            rules.cook(self.live, cooks, self._now_us)
        if cooks < clicks and session.dishes > 0:
            rules.sell(self.live, clicks - cooks, self._now_us)

    def _serve(self) -> None:
        """Serve the golden guest where one is here, and note when the next one comes."""
        met = golden.golden_guest(self.live, self._now_us, OFFLINE_CAP_S)
        if met.id and not met.comes_in_ms and self.live.rates.cook_gain > 0:
            met = golden.golden_guest(self.live, self._now_us, OFFLINE_CAP_S, met.id)
            worth_s = met.gain / self._income if self._income > 0 else 0.0
            self.course.guests.append(Guest(self.now_s, worth_s))
        self._guest_s = self.now_s + math.ceil(met.comes_in_ms / 1000)

    def _buy(self, wish: Offer) -> None:
        rules.upgrade_buy(self.live, wish.upgrade.id, self._now_us, OFFLINE_CAP_S)
        self.course.purchases.append(
            Purchase(self.now_s, len(self.course.resets), wish.upgrade, wish.price, wish.payback_s)
        )
        self._look_round()

    def _rise(self) -> None:
        outcome = rules.level_up(self.live, self._now_us, OFFLINE_CAP_S)
        if isinstance(outcome, Risen):
            took_s = self.now_s - self._rank_began_s
            self._rank_began_s = self.now_s
            self.course.rank_ups.append(RankUp(self.now_s, len(self.course.resets), outcome.rank, took_s))
        self._look_round()

    def _should_reset(self) -> bool:
        session = self.live.session
        if session.accumulated < rules.ONE_STAR:
            return False
        after = session.boost + 10 + (session.stars + session.accumulated) / 20_000
        return after >= RESET_GAIN * prestige_factor(session.boost)

    def _reset(self) -> None:
        self.course.stars_at_resets.append(self.live.session.accumulated / rules.ONE_STAR)
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
                income=self._income,
                purchases=len(self.course.purchases),
                stars=session.stars / rules.ONE_STAR,
            )
        )

    def _try_a_night(self) -> None:
        """Note what the longest paid absence would bring now, in hours of this player's clicking."""
        session = self.live.session
        asleep = after(amounts_of(session), flow_of(self.live.rates, session.boost), OFFLINE_CAP_S)
        brought = asleep.money - session.money
        worth_h = brought / self._income / HOUR_S if self._income > 0 else 0.0
        self._slept_s = self.now_s
        self.course.nights.append(Night(self.now_s, len(self.course.resets), worth_h))

    def _look_round(self) -> None:
        """Compute what is earned now, and choose what is worth buying next."""
        session, rates = self.live.session, self.live.rates
        can_cook = rates.cook_gain > 0
        pace = self._habit.clicks_per_s
        self._income = flow(rates.sums, session.boost, pace, session.dishes, can_cook=can_cook).money
        on_sale = list(offers(session, rates, self.live.catalogue, pace, self._habit.xp_worth))
        near = (offer.payback_s for offer in on_sale if offer.price <= NEAR_S * self._income)
        self.course.looks.append(
            Look(
                self.now_s,
                len(self.course.resets),
                session.rank,
                self._income,
                min(near, default=math.inf),
            )
        )
        if self._habit.advised:
            self._wish = advise(session, rates, self.live.catalogue, self._pace.per_s)
        else:
            self._wish = best_of(on_sale)
