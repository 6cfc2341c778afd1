"""Income as one piece of bytes: what it says of a second, and when it says nothing."""

from __future__ import annotations

import math
import random
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from game.accrual import Amounts
from game.course import Course
from server.ws.steady import steady_at, steady_of
from tests.support.ticking import START_US, Process, Redis, session
from tests.unit.test_course import NOW_MS, course

FAR_S: Final = 10**6
LITTLE: Final = Amounts(100.0, 40.0, 7.0, 5.0, 3.0, 2.0)


@given(
    dishes=st.integers(0, 50) | st.just(2**53 - 40) | st.just(10**18),
    dps=st.sampled_from([0, 100, 250, 700]),
    mps=st.sampled_from([0, 35, 1000]),
    sps=st.sampled_from([0, 100, 600]),
    seconds=st.integers(0, 300),
    later=st.lists(st.integers(1, 300), min_size=1, max_size=8),
)
def test_a_later_second_is_what_the_course_says(  # noqa: PLR0917 - one for each strategy
    dishes: int, dps: int, mps: int, sps: int, seconds: int, later: list[int]
) -> None:
    """Its version, its rank and its amounts, to the last digit, in whole numbers; or nothing is said."""
    watched = course(Amounts(2.0**53 - 900, float(dishes), 7.0, 5.0, 3.0, 2.0), dPs=dps, mPs=mps, sPs=sps)
    watched.shown(seconds)
    packed = steady_of(watched, seconds, FAR_S, 4)
    if packed is None:
        return
    for second in later:
        for ms in (0, 999):
            found = steady_at(packed, NOW_MS + 1000 * second + ms, seconds, 4)
            if found is None:
                continue
            assert second >= seconds
            expected: object = (second, NOW_MS + second, 0, watched.shown(second))
            assert found == expected
            *_, amounts = found
            assert [type(amount) for amount in amounts] == [int] * 4
            assert not watched.reaches(second)


@pytest.mark.parametrize(
    ("last_s", "at_s", "sent_s", "lapses", "said"),
    [
        (20, 11, 10, 4, True),
        (20, 20, 10, 4, True),
        (20, 21, 10, 4, False),  # behind the last second
        (20, 11, 11, 4, True),  # sent already
        (20, 10, 11, 4, False),
        (20, 9, 10, 4, False),  # the clock ran back
        (20, 11, 10, 5, False),  # may not be heard any more
        (20, -FAR_S, 10, 4, False),
        (20, FAR_S, 10, 4, False),
    ],
)
def test_what_is_left_to_the_course(last_s: int, at_s: int, sent_s: int, lapses: int, *, said: bool) -> None:
    """A second is read once, in order, up to the last, while the process hears of the player."""
    watched = course(LITTLE, dPs=250, mPs=35)
    watched.shown(10)
    packed = steady_of(watched, 10, last_s, 4)
    assert packed is not None
    assert (steady_at(packed, NOW_MS + 1000 * at_s, sent_s, lapses) is not None) is said


@pytest.mark.parametrize(
    ("amounts", "last_s", "sums"),
    [
        (LITTLE, 10, {"dPs": 250}),  # no second is left
        (LITTLE, FAR_S, {}),  # nothing is earned
        (LITTLE._replace(dishes=0.0, xp=1e3), FAR_S, {"mPs": 2}),  # a second adds nothing
        (LITTLE._replace(money=2.0**53), FAR_S, {"dPs": 250, "mPs": 35}),  # not exact
        (LITTLE._replace(cooked=999.0 - 25, earned=math.inf), FAR_S, {"dPs": 250}),
    ],
)
def test_what_is_not_steady(amounts: Amounts, last_s: int, sums: dict[str, Any]) -> None:
    """Where no later second would differ, or does not follow from a line, each is asked of the course."""
    watched = course(amounts, **sums)
    watched.shown(10)
    assert steady_of(watched, 10, last_s, 0) is None


def test_an_achievement_ends_it() -> None:
    """The second before its threshold is said, that of the threshold is the course's."""
    watched = course(LITTLE._replace(cooked=950.0), dPs=100)
    watched.shown(10)
    packed = steady_of(watched, 10, FAR_S, 0)
    assert packed is not None
    assert steady_at(packed, NOW_MS + 49_000, 10, 0) is not None
    assert steady_at(packed, NOW_MS + 50_000, 10, 0) is None


class Story:
    """What a process sent and asked for, and when, in a story that is the same for each seed."""

    def __init__(self, seed: int, interval_ms: int) -> None:
        self.told: list[object] = []
        self._interval_ms = interval_ms
        self._draw = random.Random(seed)
        self._redis = Redis(session(cooked=self._draw.choice([2e5, 900.0]), earned=2e6), cap_s=60)
        self._redis.live.joined_until_ms = START_US // 1000 + self._draw.randrange(5_000, 300_000)
        self._here = Process(self._redis, interval_ms)
        self._there = Process(self._redis, interval_ms)
        self.steady = 0

    def play(self) -> None:
        """Live through seconds of watching, with what may happen between them."""
        draw, redis = self._draw, self._redis
        for _ in range(400):
            redis.now_us += 1000 * self._interval_ms + draw.choice([0, 0, 0, 1_000, 400_000, 700_000])
            match draw.choices("wcsbfnrq", [60, 2, 2, 1, 1, 1, 1, 2])[0]:
                case "c":
                    draw.choice([self._here, self._there]).cook()
                case "s":
                    self._there.accrue(None, lambda _: None)
                case "b":
                    redis.now_us -= 1_000_000 * draw.choice([1, 5, 12])
                case "f":
                    redis.now_us += 1_000_000 * draw.choice([3, 70, 400])
                case "n":
                    self._here.lane.fall_silent()
                case "r":
                    self._here.lane.heard = True
                case "q":
                    self.told.append((self._here.player.sent, self._here.player.sent_until_ms))
                case _:
                    pass
            self._here.tick()
            self._there.tick()
            self.steady += self._here.player.steady is not None
            self.told.append((redis.asked, len(self._here.pushes), self._here.pushes[-1:]))


@pytest.mark.parametrize("interval_ms", [1000, 100, 2000])
@pytest.mark.parametrize("seed", range(12))
async def test_players_are_sent_the_same_with_it_and_without(
    seed: int, interval_ms: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every push, and every time that Redis is asked, is the same as where each second asks the course."""
    with_it = Story(seed, interval_ms)
    with_it.play()
    monkeypatch.setattr("server.ws.ticker.steady_of", lambda *_: None)
    without = Story(seed, interval_ms)
    without.play()
    assert with_it.told == without.told
    assert with_it.steady > 0 == without.steady


async def test_quiet_seconds_do_not_look_at_the_course(monkeypatch: pytest.MonkeyPatch) -> None:
    """The second after a change does; those behind it are counted as pushes all the same."""
    redis = Redis(session(cooked=2e5, earned=2e6))
    here = Process(redis)
    redis.now_us += 1_000_000
    here.tick()
    looked: list[int] = []
    shown = Course.shown

    def noted(course: Course, second: int) -> tuple[float, float, float, float]:
        looked.append(second)
        return shown(course, second)

    monkeypatch.setattr(Course, "shown", noted)
    for _ in range(30):
        redis.now_us += 1_000_000
        here.tick()
    assert looked == []
    assert here.ticker.paid == len(here.pushes) == 31
    here.player.active = True
    for _ in range(3):
        redis.now_us += 1_000_000
        here.tick()
    assert here.ticker.paid == len(here.pushes) == 34
    assert len(looked) == 2, "what was sent by then, and the second after"


async def test_amounts_from_elsewhere_do_not_hide_what_was_sent() -> None:
    """An answer shows amounts of its own; until when income was sent is known still."""
    redis = Redis(session(cooked=2e5, earned=2e6))
    here = Process(redis)
    for _ in range(10):
        redis.now_us += 1_000_000
        here.tick()
    assert here.player.steady is not None
    here.player.sent = (1, 2, 3, 4)
    assert here.player.sent == (1, 2, 3, 4)
    assert here.player.sent_until_ms == START_US // 1000 + 10_000


async def test_income_that_was_sent_is_not_sent_again_when_it_is_heard_of() -> None:
    """The other process writes it and publishes: the same amounts as the ones that were computed here."""
    redis = Redis(session(cooked=2e5, earned=2e6))
    here, there = Process(redis), Process(redis)
    for _ in range(10):
        redis.now_us += 1_000_000
        here.tick()
        there.tick()
    assert here.player.steady is not None
    sent = len(here.pushes)
    there.accrue(None, lambda _: None)
    assert here.player.active
    assert len(here.pushes) == sent
    here.tick()
    assert len(here.pushes) == sent


async def test_a_player_who_left_is_computed_no_more() -> None:
    """Also where the player stands in a portion that is served just now."""
    redis = Redis(session(cooked=2e5, earned=2e6))
    here = Process(redis)
    redis.now_us += 1_000_000
    here.tick()
    assert here.player.steady is not None
    portions = here.ticker.portions()
    here.hub.detach(here.exchange)
    paid, ticks = here.ticker.paid, here.ticker.ticks
    redis.now_us += 1_000_000
    for portion in portions:
        here.ticker.serve(portion)
    assert (here.ticker.paid, here.ticker.ticks) == (paid, ticks)
