"""Each script at its edges, on a real Valkey, held against the Python model."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Final

import pytest

from game.achievements import ACHIEVEMENTS, packed_achievements
from game.limit import Limit
from game.session import UserId
from persistence.live.keys import bucket_of
from persistence.live.scripts import load_scripts
from tests.support.game_catalogue import FEAST, SANDWICH
from tests.support.live_hash import hash_of
from tests.support.plain_keys import channel, dirty_key, session_key
from tests.support.twins import NOW_US, Twins
from tests.support.wire import CLOCK_KEY, Wire, connected

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from persistence.live.scripts import Script
    from tests.support.servers import ValkeyServer

CAP_S: Final = 28_800
_users: Final = itertools.count(920000)


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
        "upgrade_buy": (*common, CAP_S, "", "", 1, 1, "0.0", "1.0", 0, 1, "mPc", 100),
        "level_up": (*common, CAP_S, "", "", "100"),
        "session_reset": (*common, CAP_S, "", ""),
        "passive": (*common, CAP_S, 0),
        "session": (*common, CAP_S, ""),
        "achieve": (*common, "1:clicks:0"),
        "refresh": ("1.r", user_id, CAP_S, channel(user_id), "1:mPc:100:1", "100", ""),
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
    assert shown == [b"ok", now_ms + 1, 1, b"", 0, 2, 0, 0, 0, 0, 0, b"", 2, 0, 0, 0, 0, 0, 0, 0, 0]


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
        twins.upgrade_buy(upgrade_id, 10_000_000, count=1000)
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
