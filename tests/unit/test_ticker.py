"""Tickers of two processes over one Redis, which is the model: what tabs are sent, what Redis is asked."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from game import refreshing, rules
from game.accrual import PROMISE_MS, amounts_of
from game.live_session import LiveSession
from server.ws.ticker import WRITE_EVERY_S
from tests.support.game_catalogue import CATALOGUE, CHANGED
from tests.support.ticking import CAP_S, NOBODY_AWAY_S, START_US, Process, Redis, session

if TYPE_CHECKING:
    from collections.abc import Callable

    from game.session import Session


def paid_each_second(state: Session, seconds: int) -> tuple[float, ...]:
    """Play the rules second by second, as if each had been asked for."""
    live = LiveSession.of(state, CATALOGUE)
    for second in range(1, seconds + 1):
        rules.passive(live, START_US + 1_000_000 * second, NOBODY_AWAY_S)
    return amounts_of(live.session).shown


@pytest.mark.parametrize(
    ("interval_ms", "cap_s", "watched_s"),
    [(1000, CAP_S, 3600), (60_000, CAP_S, 3600), (100, CAP_S, 300), (1000, 30, 600), (1000, 1, 60)],
)
async def test_an_hour_of_watching_comes_to_what_each_second_earned(
    interval_ms: int, cap_s: int, watched_s: int
) -> None:
    """On both tabs, whichever process wrote, whatever the interval and the cap; then a click has it all."""
    redis = Redis(session(), cap_s)
    here, there = Process(redis, interval_ms), Process(redis, interval_ms)
    for _ in range(1000 * watched_s // interval_ms):
        redis.now_us += 1000 * interval_ms
        for process in (here, there):
            process.tick()
            if redis.now_us >= START_US + 1_000_000:
                assert redis.present() == process.shown()
    here.cook()
    state = redis.live.session
    money, dishes, xp, accumulated = paid_each_second(session(), watched_s)
    gain, click_xp = redis.live.rates.cook_gain, redis.live.rates.click_xp
    assert (money, dishes + gain, xp + click_xp, accumulated) == amounts_of(state).shown
    assert state.offline is None
    for process in (here, there):
        passive = [push for push in process.pushes if push["request_type"] == "passive"]
        assert 1000 * watched_s // max(1000, interval_ms) <= len(passive) <= watched_s + 20


@pytest.mark.parametrize(("cap_s", "every_s"), [(CAP_S, WRITE_EVERY_S), (30, 30)])
async def test_redis_is_asked_once_a_period_or_a_shorter_cap(cap_s: int, every_s: int) -> None:
    """It pays, and the session is read again; nothing else is asked for."""
    redis = Redis(session(cooked=2e5, earned=2e6), cap_s)
    watcher = Process(redis)
    for second in range(12 * every_s):
        if second == 2 * every_s:
            redis.asked = 0
        redis.now_us += 1_000_000
        watcher.tick()
    assert redis.asked == 2 * 10, "it is paid, and read again"


async def test_seconds_behind_the_promise_are_asked_for() -> None:
    """The clock steps forward past it: Redis pays what lies behind under the cap."""
    redis = Redis(session(), cap_s=60)
    watcher = Process(redis)
    watcher.tick()
    before = redis.live.joined_until_ms
    redis.now_us += 1_000_000 * (PROMISE_MS // 1000 + 3600)
    watcher.tick()
    assert watcher.shown() == paid_each_second(session(), PROMISE_MS // 1000 + 60)
    assert [push["request_type"] for push in watcher.pushes] == ["passive"], "nothing else was sent before it"
    assert redis.live.joined_until_ms > before


@pytest.mark.parametrize("back_s", [11, 86_400])
async def test_income_goes_on_after_the_clock_ran_back_far(back_s: int) -> None:
    """Nobody waits until it has caught up: from the next tick on each second is paid and sent."""
    redis = Redis(session())
    watcher = Process(redis)
    watcher.tick()
    redis.now_us -= 1_000_000 * back_s
    watcher.tick()
    watcher.tick()
    for seconds in (1, 2, 3):
        redis.now_us += 1_000_000
        watcher.tick()
        assert watcher.shown() == paid_each_second(session(), seconds)


async def test_a_second_tab_elsewhere_finds_nobody_away() -> None:
    """Its `session` comes when the income was last written minutes ago: no line, no cap."""
    redis = Redis(session(), cap_s=5)
    here = Process(redis)
    here.tick()
    redis.now_us += PROMISE_MS * 1000 // 2
    assert Process(redis).offline is None
    assert amounts_of(redis.live.session).shown == paid_each_second(session(), PROMISE_MS // 2000)


@pytest.mark.parametrize("back_s", [1, 9, 11, 60, 250, 86_400, 365 * 86_400])
@pytest.mark.parametrize("clicks", [True, False])
async def test_versions_rise_wherever_the_clock_steps(back_s: int, *, clicks: bool) -> None:
    """Back by seconds or years, and forwards again; tabs at two processes, with clicks at once or without."""
    redis = Redis(session())
    here, there = Process(redis), Process(redis)
    for step_s in (*[1] * 90, -back_s, *[1] * 40, back_s, *[1] * 40):
        redis.now_us += 1_000_000 * step_s
        if clicks and step_s != 1:
            here.cook()
            redis.now_us += 7000
            here.cook()
        for process in (here, there):
            process.tick()
    assert here.shown() == there.shown() == redis.present()


async def test_a_click_just_after_the_moment_of_the_last_change_has_a_higher_version() -> None:
    """The clock steps back to within milliseconds after it, and all that was sent in between has versions."""
    for after_ms in (0, 1, 30, 59, 60, 61, 299, 301):
        redis = Redis(session())
        here, there = Process(redis), Process(redis)
        here.cook()
        changed_us = redis.now_us
        for _ in range(60):
            redis.now_us += 1_000_000
            here.tick()
            there.tick()
        redis.now_us = changed_us + 1000 * after_ms
        here.cook()  # asserts that its version is above those of all pushes
        assert there.exchange.version == here.exchange.version


async def test_fast_clicks_do_not_run_ahead_of_the_clock() -> None:
    """Fifty a second for a minute, and a ticker that asks too: the version stays within a second of it."""
    redis = Redis(session())
    here = Process(redis)
    for click in range(3000):
        redis.now_us += 20_000
        here.cook()
        if click % 50 == 0:
            here.tick()
    assert redis.live.session.version - redis.now_us // 1000 < 1000


async def test_a_changed_catalogue_is_computed_with_from_the_moment_it_is_heard_of() -> None:
    """The process that refreshed the session published it; the other one reads the new rates."""
    redis = Redis(session())
    here, there = Process(redis), Process(redis)
    for second in range(20):
        redis.now_us += 1_000_000
        if second == 10:
            refreshing.refresh(redis.live, CHANGED, redis.now_us, CAP_S)
            here.player.stir()
            redis.publish(here, *redis.income())
        for process in (here, there):
            process.tick()
            assert redis.present() == process.shown()


async def test_nobody_computes_what_the_process_may_not_have_heard_of() -> None:
    """Without its subscription the process asks Redis for each second."""
    redis = Redis(session())
    here = Process(redis)
    here.tick()
    here.lane.fall_silent()
    redis.asked = 0
    for _ in range(5):
        redis.watch(1)
        assert redis.present() == here.shown()
    assert redis.asked >= 5


async def test_an_achievement_is_looked_for_when_income_gets_to_it() -> None:
    """Once, in the second in which the course gets there."""
    redis = Redis(session(cooked=900.0, achieved=(1, 18)))
    here, there = Process(redis), Process(redis)
    redis.watch(60)
    for process in (here, there):
        announced = [push for push in process.pushes if push["request_type"] == "achievement"]
        keys = [each["key"] for push in announced for each in push["data"]["achievements"]]
        assert keys.count("line_cook") == 1


async def test_a_changed_catalogue_is_heard_of_between_the_clock_and_the_push() -> None:
    """What was computed before is not sent any more: the session is read first."""
    redis = Redis(session(cooked=2e5, earned=2e6))
    here = Process(redis)
    redis.watch(5)
    assert here.player.settled
    asked: list[Callable[[int], None]] = []
    here.time = lambda _, on_time: asked.append(on_time)  # type: ignore[method-assign,assignment]
    redis.watch(1)
    here.hub.catalogue_changed()
    sent = len(here.pushes)
    (on_time,) = asked
    on_time(redis.now_us // 1000)
    assert (len(here.pushes), here.player.active, here.player.settled) == (sent, True, False)
    here.tick()
    _, on_time = asked
    on_time(redis.now_us // 1000)
    assert len(here.pushes) == sent + 1
    assert redis.present() == here.shown()
