"""The Lua scripts and the Python model play the same generated histories and agree after each step."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING, Final, TypeVar

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from game.achievements import ACHIEVEMENTS, packed_achievements
from game.golden import EVERY_MS, GUESTS, STAYS_MS, comes_ms
from game.limit import UNLIMITED, Limit
from game.rules import Tag
from game.session import ClientWindow, Offline, Session, UserId
from tests.support.game_catalogue import CATALOGUE, CHANGED, FEAST, LOBSTER, SANDWICH
from tests.support.plain_keys import channel
from tests.support.twins import Twins
from tests.support.wire import Wire, connected, load_for_test

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from persistence.live.scripts import Script
    from tests.support.servers import ValkeyServer

Item = TypeVar("Item")

HISTORIES: Final = int(os.environ.get("HISTORIES", "200"))
"""`HISTORIES=2000` takes two minutes."""
STEPS: Final = 50
START_US: Final = 1_764_000_000_123_456
USER: Final = UserId(910_004)

WAITS_US: Final = (
    0,
    0,
    1,
    700,
    20_000,
    100_000,
    333_333,
    999_999,
    1_000_000,
    1_000_000,
    1_500_000,
    1_500_000,
    3_000_000,
    3_000_000,
    9_400_000,
    10_000_000,
    61_234_567,
    100_000_000,
    3_600_000_000,
    40_000_000_000,
    700_000_000_000,
    -5_000_000,
    -50_000,
    -1_000_000,
    -60_000_000,
)
COUNTS: Final = (1, 1, 1, 2, 3, 10, 64, 999, 1000, 1_000_000)
PURCHASES: Final = (1, 1, 1, 2, 3, 10, 1000)
LIMITS: Final = (
    UNLIMITED,
    Limit(20_000.0, 1000),
    Limit(20_000.0, 5),
    Limit(1e6 / 3, 1),
    Limit(1.0, 1_000_000),
)
CLIENTS: Final = ("tab-1", "таб 2", "c:3 \x00\n", "x" * 64)
SEQ_STEPS: Final = (
    1,
    1,
    1,
    1,
    0,
    2,
    5,
    31,
    32,
    33,
    63,
    64,
    65,
    -1,
    -2,
    -31,
    -32,
    -33,
    -62,
    -63,
    -64,
    -64,
    2**40,
)
CAPS_S: Final = (28_800, 28_800, 28_800, 5, 10, 10_000_000)
AMOUNTS: Final = (
    0.0,
    1.0,
    2.0,
    3.0,
    7.0,
    250.0,
    123_456.0,
    9e12,
    2.0**53 - 3,
    2.0**53 - 1,
    2.0**53 + 2,
    1.2345678901e17,
    7e299,
    1e300,
)


def _fresh() -> Session:
    return Session(USER, version=1, accrued_at_ms=START_US // 1000)


def _cook() -> Session:
    return Session(
        USER,
        version=START_US // 1000 - 5000,
        accrued_at_ms=START_US // 1000 - 3500,
        money=900.0,
        dishes=40.0,
        rank=3,
        xp=40_000.0,
        bought={SANDWICH: 1, 3: 4, 4: 2, 5: 3, 6: 3, 9: 1},
    )


def _slow_seller() -> Session:
    return Session(
        USER, version=1, accrued_at_ms=START_US // 1000, dishes=2.0, rank=1, bought={SANDWICH: 1, 6: 1}
    )


def _owner() -> Session:
    return Session(
        USER,
        version=START_US // 1000 + 7000,  # ahead of the clock, as after Redis lost its last seconds
        accrued_at_ms=START_US // 1000 - 20_000_000,
        money=1e9,
        dishes=5e4,
        rank=40,
        xp=5e6,
        stars=123_456.0,
        accumulated=9_999.0,
        boost=37.0,
        bought={SANDWICH: 1, LOBSTER: 1, 3: 20, 5: 2, 7: 3, 8: 2, 11: 9, 12: 30, 13: 4},
        offline=Offline(12, 15, 100.0, -3.0, 250.0, 7.0),
        clients={
            "tab-1": ClientWindow(1000, 0xDEAD_BEEF_CAFE_BABF, START_US // 1000),
            **{
                f"old {number}": ClientWindow(9, 5, START_US // 1000 - 20_000_000 * number)
                for number in range(30)
            },
        },
    )


def _giant() -> Session:
    return Session(
        USER,
        version=1,
        accrued_at_ms=START_US // 1000 - 1000,
        money=1e300,
        dishes=2.0**53 - 5,
        rank=100,
        xp=2.0**53 - 2,
        stars=3e14,
        accumulated=2e9,
        boost=1e11,
        bought={SANDWICH: 1, 3: 1000, 8: 40, 12: 1_000_000, 13: 5000, 14: 7, 15: 200_000, FEAST: 1},
        earned=9.9e299,
        cooked=2.0**53,
        achieved=(1, 2, 10),
        clients={f"past {number}": ClientWindow(2**53 - 1, 1, 1_763_999_000_000) for number in range(32)},
    )


STARTS: Final[tuple[Callable[[], Session], ...]] = (_fresh, _cook, _slow_seller, _owner, _giant)
UPGRADE_IDS: Final = (*(SANDWICH,) * 8, *CATALOGUE.by_id)


class _Details:
    """Picks from tuples by the digits of one drawn number: far cheaper than a draw for each choice."""

    def __init__(self, number: int) -> None:
        self._number = number

    def pick(self, items: Sequence[Item]) -> Item:
        """Pick one item and use up the digit."""
        self._number, index = divmod(self._number, len(items))
        return items[index]


def _tag(twins: Twins, details: _Details) -> Tag | None:
    if details.pick((True, False)):
        return None
    client = details.pick(CLIENTS)
    known = twins.live.session.clients.get(client)
    seq = (known.highest if known else 0) + details.pick(SEQ_STEPS)
    return Tag(client, min(max(seq, 1), 2**53 - 1))


def _share(twins: Twins, details: _Details) -> None:
    """Let the other process leave (nothing is published then), or come back and read."""
    twins.share(details.pick((0, 1)))


def _group(twins: Twins, _details: _Details) -> None:
    twins.grouped = not twins.grouped


def _golden_guest(twins: Twins, details: _Details) -> None:
    """Ask for a golden guest, or wait for one and serve it, or try to: too early, too late, again."""
    here = twins.now_us // 1000 // EVERY_MS
    known = twins.live.session.clients.get(GUESTS)
    served = known.highest if known else here
    number = here + details.pick((0, 1, 1, 1, 1, -1, -64, 64))
    when_ms = comes_ms(USER, number) + details.pick((0, 1, 30_000, 30_000, STAYS_MS - 1, STAYS_MS, -1))
    if 0 <= when_ms - twins.now_us // 1000 < 2 * EVERY_MS:
        twins.wait(when_ms * 1000 - twins.now_us)
    twins.golden_guest(details.pick((number, number, number, served, 0)), details.pick(CAPS_S))


def _windfall(twins: Twins, details: _Details) -> None:
    twins.grant(details.pick(("money", "dishes", "xp", "accumulated", "stars")), details.pick(AMOUNTS))


def _refresh(twins: Twins, details: _Details) -> None:
    """Take over a catalogue that holds since some time ago, or since nobody knows when."""
    catalogue, ago_ms = details.pick((CATALOGUE, CHANGED)), details.pick(CHANGED_AGO_MS)
    if ago_ms is not None:
        catalogue = replace(catalogue, changes=((catalogue.generation, twins.now_us // 1000 - ago_ms),))
    twins.refresh(catalogue, details.pick(CAPS_S))


STEPS_BY_KIND: Final[dict[str, Callable[[Twins, _Details], None]]] = {
    "cook": lambda t, d: t.cook(d.pick(COUNTS), d.pick(LIMITS), _tag(t, d), d.pick(CAPS_S)),
    "sell": lambda t, d: t.sell(d.pick(COUNTS), d.pick(LIMITS), _tag(t, d), d.pick(CAPS_S)),
    "upgrade_buy": lambda t, d: t.upgrade_buy(
        d.pick(UPGRADE_IDS), d.pick(CAPS_S), _tag(t, d), d.pick(PURCHASES)
    ),
    "level_up": lambda t, d: t.level_up(d.pick(CAPS_S), _tag(t, d)),
    "session_reset": lambda t, d: t.session_reset(d.pick(CAPS_S), _tag(t, d)),
    "passive": lambda t, d: t.passive(d.pick(CAPS_S)),
    "session": lambda t, d: t.session(d.pick(CAPS_S), d.pick(("", *CLIENTS))),
    "achieve": lambda t, d: t.achieve(ACHIEVEMENTS, packed_achievements(ACHIEVEMENTS), d.pick(CAPS_S)),
    "golden_guest": _golden_guest,
    "refresh": _refresh,
    "forget_stamp": lambda t, _: t.forget_stamp(),
    "stale": lambda t, d: t.stale(d.pick(("cook", "sell")), 1, "0", 1, "", "", 10),
    "windfall": _windfall,
    "own": _share,
    "grouped": _group,
    "save": lambda t, _: t.save(),
    "watch": lambda t, _: t.watch(),
}
CHANGED_AGO_MS: Final = (None, -500, 0, 999, 3_500, 60_000, 10**9)
KINDS: Final = (
    *("cook", "sell") * 6,
    *("upgrade_buy",) * 7,
    *("watch",) * 10,
    *("level_up", "session_reset", "passive", "session", "windfall") * 2,
    *("golden_guest",) * 3,
    *("save", "own", "grouped", "achieve", "refresh", "forget_stamp", "stale", "passive", "session"),
)


@pytest.fixture(scope="module")
def wire(valkey_server: ValkeyServer) -> Iterator[Wire]:
    """The connection that plays."""
    with connected(str(valkey_server.socket)) as opened:
        yield opened


@pytest.fixture(scope="module")
def subscriber(valkey_server: ValkeyServer) -> Iterator[Wire]:
    """Another connection of the player, which hears what is published."""
    with connected(str(valkey_server.socket)) as opened:
        opened.ask("SSUBSCRIBE", channel(USER))
        yield opened


@pytest.fixture(scope="module")
def scripts(wire: Wire) -> Mapping[str, Script]:
    """The scripts, with a clock that the test sets."""
    return load_for_test(wire)


@settings(
    max_examples=HISTORIES,
    deadline=None,
    database=None,
    phases=(Phase.explicit, Phase.generate, Phase.shrink),
    suppress_health_check=list(HealthCheck),
)
@given(
    start=st.sampled_from(STARTS),
    steps=st.lists(
        st.tuples(st.sampled_from(KINDS), st.sampled_from(WAITS_US), st.integers(0, 2**32 - 1)),
        min_size=STEPS,
        max_size=STEPS,
    ),
)
def test_lua_and_model_agree(
    wire: Wire,
    subscriber: Wire,
    scripts: Mapping[str, Script],
    start: Callable[[], Session],
    steps: list[tuple[str, int, int]],
) -> None:
    """After each of 50 requests both have answered, stored, marked and published the same."""
    twins = Twins(scripts, start(), CATALOGUE, START_US)
    for kind, wait_us, number in steps:
        twins.wait(wait_us)
        STEPS_BY_KIND[kind](twins, _Details(number))
    twins.hold(wire, subscriber)
