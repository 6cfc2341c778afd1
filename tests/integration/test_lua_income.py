"""Income by the scripts, on a real Valkey, held against the Python model and the exact loop."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import TYPE_CHECKING, Final

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from game.session import UserId
from persistence.live.hashes import numbers_of
from persistence.live.keys import bucket_of
from tests.support.game_catalogue import CATALOGUE, CHANGED, LOBSTER, SANDWICH
from tests.support.live_hash import hash_of
from tests.support.looped import Staff, jumped
from tests.support.plain_keys import channel, dirty_key, session_key
from tests.support.wire import CLOCK_KEY, Wire

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from persistence.live.scripts import Script
    from tests.support.twins import Twins

CAP_S: Final = 28_800
_users: Final = itertools.count(940000)


@pytest.mark.parametrize("back_us", [60_000_000, 86_400_000_000, 365 * 86_400_000_000])
@pytest.mark.parametrize("mark_after_ms", [0, 30_000])
def test_income_goes_on_after_the_clock_stepped_back(
    wire: Wire, begin: Callable[..., Twins], back_us: int, mark_after_ms: int
) -> None:
    """Time is counted from then on: what comes after is paid, and marked, as if nothing had been before."""
    twins = begin(bought={SANDWICH: 1, 5: 1, 6: 1}, dishes=1e6)
    twins.save()
    twins.wait(-back_us)
    twins.passive(CAP_S, mark_after_ms)
    before = twins.live.session.money, twins.live.session.dishes
    assert twins.live.session.accrued_at_ms == twins.now_us // 1000
    twins.wait(5_000_000)
    twins.passive(CAP_S, mark_after_ms)
    twins.hold(wire)
    assert (twins.live.session.money, twins.live.session.dishes) != before


def test_ticks_mark_once_in_30_s(wire: Wire, begin: Callable[..., Twins]) -> None:
    """What ticks alone changed is marked when the last save is 30 s old; a tick of a client marks at once."""
    twins = begin(bought={SANDWICH: 1, 11: 1})
    twins.save()
    for _ in range(62):
        twins.wait(500_000)
        twins.passive(CAP_S, 30_000)
    twins.save()
    twins.wait(1_000_000)
    twins.passive(CAP_S, 0)
    twins.hold(wire)


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


def test_a_tick_of_many_pays_each_as_passive_does(wire: Wire, scripts: Mapping[str, Script]) -> None:
    """One that is not here or stale is reported in its place, and nothing is written for it."""
    alone, among, missing, stale = users = [UserId(next(_users)) for _ in range(4)]
    keys = {user: (session_key(user), dirty_key(bucket_of(user))) for user in users}
    values = {"version": 1, "rank": 2, "dishes": 50, "dPs": 500, "mPs": 100, "need": 100, "saved_at": 0}
    for user in (alone, among, stale):
        stamp = "0.r" if user == stale else "1.r"
        wire.ask("HSET", keys[user][0], *hash_of(stamp=stamp, **values))
    wire.ask("SET", CLOCK_KEY, 60_000_000)
    words = ("1.r", alone, channel(alone), 0, "w", CAP_S, 30_000)
    paid = wire.ask("EVALSHA", scripts["passive"].sha, 2, *keys[alone], *words)
    assert paid[:1] + paid[-1:] == [b"ok", 1]
    together = (among, missing, stale)
    each = itertools.chain.from_iterable((user, channel(user), 0) for user in together)
    all_keys = itertools.chain.from_iterable(keys[user] for user in together)
    ticked = wire.ask("EVALSHA", scripts["tick"].sha, 6, *all_keys, "1.r", "w", CAP_S, 30_000, *each)
    assert ticked == [paid, [b"missing"], [b"stale", b"0.r"]]
    assert wire.ask("HGETALL", keys[among][0]) == wire.ask("HGETALL", keys[alone][0])
    marks = [wire.ask("ZSCORE", keys[user][1], user) for user in users]
    assert marks == [b"60000", b"60000", None, None]
    assert wire.ask("EXISTS", keys[missing][0]) == 0


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
