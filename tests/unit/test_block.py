"""A row of a block: what it says of a second, and when it ends."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final, cast

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from game.accrual import Amounts
from game.session import UserId
from server.protocol.results import computed
from server.ws.block import Block
from server.ws.exchange import Exchange, Player
from tests.support.tabs import Tab
from tests.unit.test_course import NOW_MS, course

if TYPE_CHECKING:
    from game.course import Course
    from persistence.live.session_ref import SessionRef
    from server.ws.connection import Connection

FAR_S: Final = 10**6
LITTLE: Final = Amounts(100.0, 40.0, 7.0, 5.0, 3.0, 2.0)
LAPSES: Final = 4


class Served:
    """A player with one tab, settled after a second of a course, in a block."""

    def __init__(self, watched: Course, seconds: int, last_s: int) -> None:
        self.told: list[tuple[Player, int]] = []
        self.tab = Tab()
        self.exchange = Exchange(cast("Connection", self.tab), 1, 0.0, lambda: None)
        self.exchange.joined = True
        self.player = Player(UserId(1), cast("SessionRef", None))
        self.player.exchanges.append(self.exchange)
        self.player.course = watched
        self.block = Block()
        self.block.add(self.player)
        self.at(seconds)
        self.player.note_sent(watched, seconds)
        self.exchange.version = watched.version + seconds
        self.block.settle(self.player, seconds, last_s)

    def at(self, seconds: int, ms: int = 0, lapses: int = LAPSES) -> list[Any]:
        """Serve the block at a second of the course; returns what the tab got."""
        self.block.push(NOW_MS + 1000 * seconds + ms, lapses, self.tell_income)
        return self.tab.read()

    def tell_income(
        self, player: Player, version: int, rank: int, amounts: tuple[float, ...], messages: list[Any]
    ) -> None:
        """Do what the hub does for a player with one connection."""
        self.told.append((player, version))
        self.exchange.version = version
        payload = computed(version, rank, cast("Any", amounts))
        messages.append((self.tab, payload, bytes((0x81, 126)) + len(payload).to_bytes(2, "big") + payload))


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
    """Its version, its rank and its amounts, to the last digit; and where it ends, what was sent is known."""
    watched = course(Amounts(2.0**53 - 900, float(dishes), 7.0, 5.0, 3.0, 2.0), dPs=dps, mPs=mps, sPs=sps)
    watched.shown(seconds)
    run = watched.run_of(seconds)
    last_s = seconds if run is None else run.last_s
    served = Served(watched, seconds, FAR_S)
    assert served.player.settled is (last_s > seconds)
    sent_s = seconds
    for second in sorted(later):
        for ms in (0, 999):
            was_settled = served.player.settled
            found = served.at(second, ms)
            if not was_settled or second < seconds or second > last_s:
                assert (found, served.player.settled) == ([], False)
            elif second > sent_s:
                sent_s = second
                assert not watched.reaches(second)
                payload = computed(NOW_MS + second, 0, watched.shown(second))
                assert found == [orjson.loads(payload)]
            else:
                assert found == []
    assert served.player.sent == watched.shown(sent_s)
    assert served.player.sent_until_ms == NOW_MS + 1000 * sent_s
    assert served.exchange.version == watched.version + sent_s
    assert served.tab.messages_out == len({second for second in later if seconds < second <= sent_s})
    assert not served.tab.lent


@pytest.mark.parametrize(
    ("last_s", "at_s", "lapses", "said", "settled"),
    [
        (20, 11, LAPSES, True, True),
        (20, 20, LAPSES, True, True),
        (20, 21, LAPSES, False, False),  # behind the last second
        (20, 10, LAPSES, False, True),  # sent already
        (20, 9, LAPSES, False, False),  # the clock ran back
        (20, 11, LAPSES + 1, False, False),  # may not be heard any more
        (20, -FAR_S, LAPSES, False, False),
        (20, FAR_S, LAPSES, False, False),
    ],
)
@pytest.mark.parametrize("lent", [False, True])
def test_what_is_left_to_the_course(
    last_s: int, at_s: int, lapses: int, *, said: bool, settled: bool, lent: bool
) -> None:
    """A second is said once, in order, up to the last, while the process hears of the player."""
    watched = course(LITTLE, dPs=250, mPs=35)
    watched.shown(8)
    served = Served(watched, 8, last_s)
    served.at(9)
    served.at(10)
    assert served.tab.lent
    if not lent:
        served.tab.disturb()
    told = len(served.told)
    assert bool(served.at(at_s, lapses=lapses)) is said
    assert served.player.settled is settled
    assert (served.player in served.block.awake) is not settled
    assert len(served.told) - told == (said and not lent)
    sent_s = at_s if said else 10
    assert served.player.sent_until_ms == NOW_MS + 1000 * sent_s
    assert served.exchange.version == watched.version + sent_s
    assert served.block.settled == 0


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
def test_who_is_not_settled(amounts: Amounts, last_s: int, sums: dict[str, Any]) -> None:
    """Where no later second would differ, or does not follow from a line, each is asked of the course."""
    watched = course(amounts, **sums)
    watched.shown(10)
    served = Served(watched, 10, last_s)
    assert not served.player.settled
    assert served.player in served.block.awake


def test_an_achievement_ends_it() -> None:
    """The second before its threshold is said, that of the threshold is the course's."""
    watched = course(LITTLE._replace(cooked=950.0), dPs=100)
    watched.shown(10)
    served = Served(watched, 10, FAR_S)
    assert served.at(49)
    assert not served.at(50)
    assert not served.player.settled
