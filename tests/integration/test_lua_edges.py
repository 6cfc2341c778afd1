"""Each script at its edges, on a real Valkey, held against the Python model."""

from __future__ import annotations

import functools
import itertools
import struct
from dataclasses import replace
from typing import TYPE_CHECKING, Final

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from game.achievements import ACHIEVEMENTS, packed_achievements
from game.limit import Limit
from game.rules import Tag
from game.session import ClientWindow, Session, UserId
from persistence.live.hashes import numbers_of
from persistence.live.keys import bucket_of
from persistence.live.scripts import load_scripts
from tests.support.game_catalogue import CATALOGUE, CHANGED, FEAST, LOBSTER, SANDWICH
from tests.support.live_hash import with_values
from tests.support.looped import Staff, jumped
from tests.support.plain_keys import channel, dirty_key, session_key
from tests.support.twins import Twins
from tests.support.wire import CLOCK_KEY, Wire, connected, load_for_test

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from persistence.live.scripts import Script
    from tests.support.servers import ValkeyServer

NOW_US: Final = 1_764_000_000_123_456
CAP_S: Final = 28_800
_users: Final = itertools.count(920_000)


@pytest.fixture
def wire(valkey_server: ValkeyServer) -> Iterator[Wire]:
    """The connection that plays."""
    with connected(str(valkey_server.socket)) as opened:
        yield opened


@pytest.fixture(scope="module")
def scripts(valkey_server: ValkeyServer) -> Mapping[str, Script]:
    """The scripts, with a clock that the test sets."""
    with connected(str(valkey_server.socket)) as opened:
        return load_for_test(opened)


@pytest.fixture
def begin(scripts: Mapping[str, Script]) -> Callable[..., Twins]:
    """Begin a history of a new player, who owns the sandwich."""

    def new(**fields: object) -> Twins:
        values: dict[str, object] = {
            "version": 5,
            "accrued_at_ms": NOW_US // 1000,
            "bought": {SANDWICH: 1},
        } | fields
        session = Session(UserId(next(_users)), **values)  # type: ignore[arg-type]  # by field name
        return Twins(scripts, session, CATALOGUE, NOW_US)

    return new


def hash_of(**values: object) -> list[bytes]:
    """Write a hash with these values, as HSET takes it."""
    return list(itertools.chain.from_iterable(with_values({}, values).items()))


def test_sha_is_the_name_that_redis_gives(wire: Wire) -> None:
    """EVALSHA takes the SHA of a script as computed here."""
    for script in load_scripts().values():
        assert script.sha.encode() == wire.ask("SCRIPT", "LOAD", script.source)


def test_production_time_is_the_time_of_redis(wire: Wire) -> None:
    """Without a test's clock a change takes the moment that Redis has."""
    cook = load_scripts()["cook"]
    wire.ask("SCRIPT", "LOAD", cook.source)
    user_id = UserId(next(_users))
    key = session_key(user_id)
    wire.ask("HSET", key, *hash_of(version=1, stamp="1.r", cook_gain=1, rank=0))
    before, after = wire.ask("TIME"), None
    args = ("1.r", user_id, channel(user_id), 0, "w", 1, "0", 1, "", "")
    reply = wire.ask("EVALSHA", cook.sha, 2, key, dirty_key(bucket_of(user_id)), *args)
    after = wire.ask("TIME")
    first, last = (int(moment[0]) * 1000 + int(moment[1]) // 1000 for moment in (before, after))
    assert first <= reply[1] <= last


def test_a_missing_session_is_told(wire: Wire, scripts: Mapping[str, Script]) -> None:
    """Every script says `missing` for a player who is not here, and writes nothing."""
    user_id = UserId(next(_users))
    keys = session_key(user_id), dirty_key(bucket_of(user_id))
    common = ("1.r", user_id, channel(user_id), 0, "w")
    calls = {
        "cook": (*common, 1, "0", 1, "", ""),
        "sell": (*common, 1, "0", 1, "", ""),
        "upgrade_buy": (*common, CAP_S, "", "", 1, "0.0", "1.0", 0, 1, "mPc", 100),
        "level_up": (*common, CAP_S, "", "", "100"),
        "session_reset": (*common, CAP_S, "", ""),
        "passive": (*common, CAP_S, 0),
        "session": (*common, CAP_S, ""),
        "achieve": (*common, "1:clicks:0"),
        "refresh": ("1.r", user_id, CAP_S, 30_000, channel(user_id), "1:mPc:100:1", "100", ""),
    }
    wire.ask("SET", CLOCK_KEY, NOW_US)
    for name, args in calls.items():
        assert wire.ask("EVALSHA", scripts[name].sha, 2, *keys, *args) == [b"missing"], name
    assert wire.ask("EXISTS", keys[0]) == 0


def test_fields_that_are_absent_count_as_nothing(wire: Wire, scripts: Mapping[str, Script]) -> None:
    """A hash with a version, a stamp and a gain, else zeros and no texts, can be played."""
    user_id = UserId(next(_users))
    keys = session_key(user_id), dirty_key(bucket_of(user_id))
    wire.ask("HSET", keys[0], *hash_of(version=1, stamp="1.r", cook_gain=3, rank=0))
    wire.ask("SET", CLOCK_KEY, NOW_US)
    common = ("1.r", user_id, channel(user_id), 0, "w")
    now_ms = NOW_US // 1000
    cooked = wire.ask("EVALSHA", scripts["cook"].sha, 2, *keys, *common, 1, "20000.0", 10, "tab", 1)
    assert cooked == [b"ok", now_ms, 3, 0, 1]
    sold = wire.ask("EVALSHA", scripts["sell"].sha, 2, *keys, *common, 1, "20000.0", 10, "tab", 2)
    assert sold == [b"ok", now_ms + 1, 2, 0, 0, 1]
    shown = wire.ask("EVALSHA", scripts["session"].sha, 2, *keys, *common, CAP_S, "tab")
    assert shown == [b"ok", now_ms + 1, 0, b"", 0, 2, 0, 0, 0, 0, 0, b"", 2, 0, 0, 0, 0, 0, 0, 0, 0]


@pytest.mark.parametrize(
    "amount", [0.0, 1.0, 2.0**53 - 1, 2.0**53, 2.0**53 + 2, 1e16 + 2, 1.2345678901234567e22, 1e300 / 3, 1e300]
)
def test_amounts_are_stored_and_told_to_the_last_digit(
    wire: Wire, begin: Callable[..., Twins], amount: float
) -> None:
    """What is written and what is replied reads back as the same double, from 0 to 1e300."""
    twins = begin(money=amount, dishes=amount, xp=amount, bought={SANDWICH: 1, 12: 1})
    twins.cook()
    twins.sell(3)
    twins.session(CAP_S)
    twins.hold(wire)


def test_32_clients_are_remembered(wire: Wire, begin: Callable[..., Twins]) -> None:
    """The 33rd takes the place of the longest unused, whatever their names."""
    twins = begin()
    for number in range(33):
        twins.cook(tag=Tag(f"клиент {number}", 1))
    twins.wait(1_000_000)
    for number in range(40):
        twins.cook(tag=Tag(f"tab {number % 34}", 1 + number))
    twins.hold(wire)
    assert len(twins.live.session.clients) == 32


@pytest.mark.parametrize("back_us", [0, 60_000_000, 86_400_000_000, 365 * 86_400_000_000])
def test_the_client_in_use_is_never_forgotten(wire: Wire, begin: Callable[..., Twins], back_us: int) -> None:
    """Of 40 within a second the newest stay, and their numbers count once, however far a clock steps back."""
    twins = begin()
    twins.cook(tag=Tag("first", 1))
    twins.wait(-back_us)
    names = [f"tab {number:02}" for number in reversed(range(40))]
    for name in names:
        twins.cook(tag=Tag(name, 1))
        twins.cook(tag=Tag(name, 1))
    twins.hold(wire)
    assert set(names[-32:]) == set(twins.live.session.clients)


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


def test_windows_of_an_older_release_are_read(wire: Wire, scripts: Mapping[str, Script]) -> None:
    """One whose last use is in seconds counts as used then: known for a week, older than what is new."""
    user_id = UserId(next(_users))
    keys = session_key(user_id), dirty_key(bucket_of(user_id))
    wire.ask("SET", CLOCK_KEY, NOW_US)
    now_s, common = NOW_US // 1_000_000, ("1.r", user_id, channel(user_id), 0, "w")
    wire.ask("HSET", keys[0], *hash_of(version=1, stamp="1.r", cook_gain=3, rank=0))
    for number in range(32):
        wire.ask("HSET", keys[0], f"c:tab {number}", struct.pack("<4d", 5, 0, 1, now_s - 40 + number))
    wire.ask("HSET", keys[0], "c:tab 3", struct.pack("<4d", 5, 0, 1, now_s - 604_801))
    ask = functools.partial(wire.ask, "EVALSHA", scripts["cook"].sha, 2, *keys, *common, 1, "0", 1)
    assert ask("tab 0", 5)[0] == b"duplicate"
    assert ask("tab 0", 6)[0] == ask("tab 3", 5)[0] == ask("new", 1)[0] == b"ok"
    left = {name for name in wire.ask("HKEYS", keys[0]) if name.startswith(b"c:")}
    assert left == {b"c:new"} | {f"c:tab {number}".encode() for number in range(32) if number != 1}


def test_clients_unused_for_a_week_go(wire: Wire, begin: Callable[..., Twins]) -> None:
    """With a new client all that were unused for a week go; until then their own numbers start again."""
    twins = begin(clients={f"old {number}": ClientWindow(70, 3, NOW_US // 1000) for number in range(9)})
    twins.wait(604_799_000_000)
    twins.cook(tag=Tag("old 1", 71))
    twins.session(CAP_S, "old 2")
    twins.wait(1_000_000)
    twins.session(CAP_S, "old 2")
    twins.cook(tag=Tag("old 2", 70))
    twins.cook(tag=Tag("new", 1))
    twins.hold(wire)
    assert set(twins.live.session.clients) == {"old 1", "old 2", "new"}


def test_windows_shift_through_both_words(wire: Wire, begin: Callable[..., Twins]) -> None:
    """Every distance from 1 to 66, forwards and back, sets and finds the right bit of 64."""
    twins = begin()
    seq = 1000
    for step in range(1, 67):
        seq += step
        twins.cook(tag=Tag("tab", seq))
        for back in (1, 30, 31, 32, 33, 62, 63, 64, step):
            twins.cook(tag=Tag("tab", seq - back))
    twins.cook(tag=Tag("tab", 2**53 - 1))
    twins.cook(tag=Tag("tab", 2**53 - 64))
    twins.cook(tag=Tag("tab", 2**53 - 65))
    twins.hold(wire)


@pytest.mark.parametrize("rate", [3, 50, 300, 1_000_000])
def test_a_burst_ends_at_its_last_click(wire: Wire, begin: Callable[..., Twins], rate: int) -> None:
    """A full bucket lets exactly its burst pass, one by one or at once, and fills again with time."""
    limit = Limit(1e6 / rate, 20)
    twins = begin(dishes=50.0)
    for _ in range(21):
        twins.cook(limit=limit)
    for wait_us in (1, 333_333, 999_999, 1_000_000_000, -50_000_000):
        twins.wait(wait_us)
        twins.sell(1000, limit)
        twins.cook(1000, limit)
    twins.hold(wire)
    assert twins.live.session.clicks >= 20


def test_a_mark_counts_from_the_first_change(wire: Wire, begin: Callable[..., Twins]) -> None:
    """A mark keeps its first moment, a marked session does not expire, a saved one is marked again."""
    twins = begin()
    twins.cook()
    twins.wait(5_000_000)
    twins.cook()
    twins.save()
    twins.session(CAP_S)
    twins.wait(1_000_000)
    twins.cook()
    twins.hold(wire)


def test_an_older_mark_is_kept(wire: Wire, scripts: Mapping[str, Script]) -> None:
    """Where the set has a mark that the session does not know of, its moment stays."""
    user_id = UserId(next(_users))
    keys = session_key(user_id), dirty_key(bucket_of(user_id))
    wire.ask("HSET", keys[0], *hash_of(version=1, stamp="1.r", cook_gain=3, rank=0))
    wire.ask("ZADD", keys[1], 77, user_id)
    args = ("1.r", user_id, channel(user_id), 0, "w", 1, "0", 1, "", "")
    wire.ask("EVALSHA", scripts["cook"].sha, 2, *keys, *args)
    assert wire.ask("ZSCORE", keys[1], user_id) == b"77"


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


def test_everything_at_its_largest(wire: Wire, begin: Callable[..., Twins]) -> None:
    """At rank 100, with 1e300 of everything and the largest counts, no request fails or turns strange."""
    twins = begin(
        money=1e300,
        dishes=1e300,
        xp=1e300,
        rank=100,
        stars=1e300,
        accumulated=1e300,
        boost=1e300,
        earned=1e300,
        cooked=1e300,
        clicks=1e15,
        bought={SANDWICH: 1, 3: 10**6, 8: 10**6, 12: 10**9, 14: 10**6, 15: 99_999},
    )
    twins.cook(1_000_000)
    twins.sell(1_000_000)
    for upgrade_id in (FEAST, 3, 8, 12, 14, 15):
        twins.wait(40_000_000_000)
        twins.upgrade_buy(upgrade_id, 10_000_000)
    twins.level_up(CAP_S)
    twins.session(CAP_S)
    twins.achieve(ACHIEVEMENTS, packed_achievements(ACHIEVEMENTS))
    twins.session_reset(CAP_S)
    twins.cook()
    twins.hold(wire)


def test_a_lone_tab_costs_no_message(
    wire: Wire, begin: Callable[..., Twins], valkey_server: ValkeyServer
) -> None:
    """Changes are published when more than the caller's own connection is subscribed, and not otherwise."""
    with connected(str(valkey_server.socket)) as tab, connected(str(valkey_server.socket)) as other:
        twins = begin()
        name = channel(twins.live.session.user_id)
        tab.ask("SSUBSCRIBE", name)
        twins.own = 1
        twins.cook()
        twins.hold(wire, tab)
        other.ask("SSUBSCRIBE", name)
        twins.cook()
        twins.published.append(f"elsewhere cook {twins.live.session.version} 2 200 1")
        twins.hold(wire, tab)


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
