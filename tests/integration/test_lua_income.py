"""Income by the scripts, on a real Valkey, held against the Python model and the exact loop."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import TYPE_CHECKING, Final

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from game.rules import Tag
from game.session import UserId
from persistence.live.hashes import numbers_of
from persistence.live.keys import bucket_of
from tests.support.game_catalogue import CATALOGUE, CHANGED, LOBSTER, SANDWICH
from tests.support.live_hash import hash_of
from tests.support.looped import Staff, jumped
from tests.support.plain_keys import channel, dirty_key, session_key
from tests.support.twins import NOW_US
from tests.support.wire import CLOCK_KEY, Wire

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from persistence.live.scripts import Script
    from tests.support.twins import Twins

CAP_S: Final = 28_800
_users: Final = itertools.count(940000)


@pytest.mark.parametrize("back_us", [60_000_000, 86_400_000_000, 365 * 86_400_000_000])
def test_income_goes_on_after_the_clock_stepped_back(
    wire: Wire, begin: Callable[..., Twins], back_us: int
) -> None:
    """Time is counted from then on: what comes after is paid, and marked, as if nothing had been before."""
    twins = begin(bought={SANDWICH: 1, 5: 1, 6: 1}, dishes=1e6)
    twins.save()
    twins.wait(-back_us)
    twins.passive(CAP_S)
    before = twins.live.session.money, twins.live.session.dishes
    assert twins.live.session.accrued_at_ms == twins.now_us // 1000
    twins.wait(5_000_000)
    twins.passive(CAP_S)
    twins.hold(wire)
    assert (twins.live.session.money, twins.live.session.dishes) != before


def test_seconds_joined_count_beyond_the_cap_and_are_not_away(
    wire: Wire, begin: Callable[..., Twins]
) -> None:
    """Up to the end of the promise each second counts; what lies behind it is time away, up to the cap."""
    twins = begin(bought={SANDWICH: 1, 11: 1})
    twins.passive(cap_s=5)
    twins.wait(250_000_000)
    twins.session(cap_s=5)
    earned, waiting = twins.live.session.dishes, twins.live.session.offline
    assert waiting is None
    twins.wait(1_000_000_000)
    twins.cook(cap_s=5)
    away = twins.live.session.offline
    assert away is not None
    assert (away.seconds, away.away_seconds) == (5, 700)
    gain = twins.live.rates.dishes_per_second
    assert twins.live.session.dishes == earned + gain * 305 + twins.live.rates.cook_gain
    assert away.dishes == gain * 5
    twins.hold(wire)


def test_a_promise_of_a_time_to_come_is_none(wire: Wire, begin: Callable[..., Twins]) -> None:
    """After the clock stepped back by hours nobody counts as joined until it has caught up."""
    twins = begin(bought={SANDWICH: 1, 11: 1})
    twins.live.joined_until_ms = NOW_US // 1000 + 7_200_000
    twins.grant("money", 0.0)
    twins.wait(3_600_000_000)
    twins.session(cap_s=60)
    assert twins.live.session.dishes == 60 * twins.live.rates.dishes_per_second
    twins.hold(wire)


@pytest.mark.parametrize("request_", ["cook", "sell", "upgrade_buy", "level_up", "session_reset"])
def test_a_duplicate_pays_what_is_due(wire: Wire, begin: Callable[..., Twins], request_: str) -> None:
    """It is answered with the present state, and nothing but income changed."""
    twins = begin(
        bought={SANDWICH: 1, 11: 1, 13: 1}, dishes=50.0, money=1e9, xp=1e7, accumulated=20_000.0, rank=3
    )
    requests: dict[str, Callable[[], None]] = {
        "cook": lambda: twins.cook(tag=Tag("tab", 1)),
        "sell": lambda: twins.sell(tag=Tag("tab", 1)),
        "upgrade_buy": lambda: twins.upgrade_buy(11, CAP_S, Tag("tab", 1)),
        "level_up": lambda: twins.level_up(CAP_S, Tag("tab", 1)),
        "session_reset": lambda: twins.session_reset(CAP_S, Tag("tab", 1)),
    }
    requests[request_]()
    twins.wait(7_500_000)
    clicks = twins.live.session.clicks
    requests[request_]()
    twins.hold(wire)
    assert twins.live.session.clicks == clicks


def test_what_long_gaps_earned_adds_up(wire: Wire, begin: Callable[..., Twins]) -> None:
    """Whatever script pays a long gap adds it to what `session` then shows once."""
    twins = begin(
        money=1e6, xp=1e6, dishes=1e4, accumulated=20_000.0, bought={SANDWICH: 1, 11: 1, 13: 1}, rank=3
    )
    requests: list[Callable[[], None]] = [
        lambda: twins.passive(CAP_S),
        lambda: twins.upgrade_buy(11, CAP_S),
        lambda: twins.level_up(CAP_S),
        lambda: twins.upgrade_buy(LOBSTER, CAP_S),
        lambda: twins.session(CAP_S, "tab"),
        lambda: twins.session_reset(CAP_S),
        lambda: twins.session(CAP_S, "tab"),
    ]
    for request in requests * 2:
        twins.wait(15_500_000)
        request()
    twins.hold(wire)


def test_income_before_a_new_catalogue_is_paid_at_the_old_rates(
    wire: Wire, begin: Callable[..., Twins]
) -> None:
    """`refresh` pays what was earned under an older generation first; a newer one is never taken back."""
    twins = begin(bought={SANDWICH: 1, 5: 10, 6: 3}, dishes=20.0)
    twins.wait(12_000_000)
    twins.refresh(CHANGED)
    twins.wait(3_000_000)
    twins.passive(CAP_S)
    twins.refresh(CATALOGUE)
    twins.forget_stamp()
    twins.wait(3_000_000)
    twins.session(CAP_S)
    twins.hold(wire)


def test_each_second_away_is_paid_at_the_rates_of_its_time(wire: Wire, begin: Callable[..., Twins]) -> None:
    """Of 40 s the first 25 at the old rates, 15 at the new; they share one cap, and are shown as one gap."""
    for cap_s, old_s, new_s in ((CAP_S, 25, 15), (30, 25, 5), (20, 20, 0), (4, 4, 0)):
        twins = begin(bought={SANDWICH: 1, 5: 10})
        twins.wait(40_000_000)
        since_ms = twins.now_us // 1000 - 15_000
        rates_before = twins.live.rates.dishes_per_second
        twins.refresh(replace(CHANGED, changes=((CHANGED.generation, since_ms),)), cap_s)
        rates_after = twins.live.rates.dishes_per_second
        assert rates_before != rates_after
        earned = old_s * rates_before + new_s * rates_after
        assert twins.live.session.cooked == earned
        offline = twins.live.session.offline
        assert offline is not None
        assert (offline.seconds, offline.away_seconds) == (old_s + new_s, 40)
        twins.session(CAP_S)
        twins.hold(wire)


staffs = st.builds(
    Staff,
    sps=st.integers(0, 60).map(lambda whole: whole * 100) | st.integers(0, 10**7),
    dps=st.integers(0, 900) | st.integers(0, 10**7),
    mps=st.integers(0, 900) | st.integers(0, 10**8),
    dpm=st.just(0) | st.integers(1, 1000),
    mpm=st.just(0) | st.integers(1, 1000),
    boost=st.just(0) | st.integers(1, 1000),
    last_rank=st.booleans(),
)


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(staff=staffs, dishes=st.integers(0, 40) | st.integers(0, 10**12), seconds=st.integers(0, 10**7))
def test_lua_pays_what_the_loop_pays(
    wire: Wire, scripts: Mapping[str, Script], staff: Staff, dishes: int, seconds: int
) -> None:
    """Up to 10^7 seconds in one `passive` equal the exact loop, every field, while below 2^53."""
    user_id = UserId(910_005)
    keys = session_key(user_id), dirty_key(bucket_of(user_id))
    boosts = {"sPs": staff.sps, "dPs": staff.dps, "mPs": staff.mps, "dpM": staff.dpm, "mpM": staff.mpm}
    fields = {
        "version": 1,
        "stamp": "1.r",
        "accrued_at": 0,
        "dishes": dishes,
        "boost": staff.boost,
        "need": 0 if staff.last_rank else 100,
    } | boosts
    args = ("1.r", user_id, channel(user_id), 0, "w", 10**7, 0)
    wire.send(
        ("DEL", keys[0]),
        ("HSET", keys[0], *hash_of(**fields)),
        ("SET", CLOCK_KEY, seconds * 1_000_000),
        ("EVALSHA", scripts["passive"].sha, 2, *keys, *args),
        ("HGETALL", keys[0]),
    )
    words = [wire.read() for _ in range(5)][-1]
    held = numbers_of(dict(zip(words[::2], words[1::2], strict=True)))
    found = [held[name] for name in ("money", "dishes", "xp", "accumulated", "cooked", "earned")]
    if not seconds or not (staff.mps or staff.dps):
        found[1] = float(dishes)
    gains = jumped(staff, dishes, seconds)
    expected = [gains.money, gains.dishes, gains.xp, gains.stars, gains.cooked, gains.money]
    for exact, computed in zip(expected, found, strict=True):
        greatest = max(exact, dishes)
        assert abs(exact - computed) <= (0 if greatest < 2**53 else 1e-12 * greatest)
