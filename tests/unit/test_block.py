"""Players who are served together: what a row says of a second, when it ends, and whose socket it is."""

from __future__ import annotations

import math
import random
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Final, cast

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from game.accrual import Amounts
from game.course import Course
from game.session import UserId
from server.protocol.results import computed
from server.ws.block import Block
from server.ws.exchange import Exchange, Player
from tests.support.tabs import Tab
from tests.support.ticking import START_US, USER, Process, Redis, session
from tests.unit.test_course import NOW_MS, course

if TYPE_CHECKING:
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
        self.lent = 0

    def play(self) -> None:
        """Live through seconds of watching, with what may happen between them."""
        draw, redis = self._draw, self._redis
        for _ in range(400):
            redis.now_us += 1000 * self._interval_ms + draw.choice([0, 0, 0, 1_000, 400_000, 700_000])
            match draw.choices("wcsbfnrqp", [60, 2, 2, 1, 1, 1, 1, 2, 6])[0]:
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
                    self.told.append((self._here.exchange.version, self._here.tab.counted_out))
                    self.told.append((self._here.hub.copies, self._here.ticker.paid))
                case "p":
                    draw.choice([self._here.tab.ping, self._here.tab.disturb])()
                case _:
                    pass
            self._here.tick()
            self._there.tick()
            self.lent += self._here.tab.lent
            self.told.append((redis.asked, len(self._here.pushes), self._here.pushes[-1:]))


@pytest.mark.parametrize("interval_ms", [1000, 100, 2000])
@pytest.mark.parametrize("seed", range(12))
async def test_players_are_sent_the_same_with_it_and_without(
    seed: int, interval_ms: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every push, and every time that Redis is asked, is the same as where each second asks the course."""
    with_it = Story(seed, interval_ms)
    with_it.play()
    monkeypatch.setattr(Block, "settle", lambda *_: None)
    without = Story(seed, interval_ms)
    without.play()
    assert with_it.told == without.told
    assert with_it.lent > 0 == without.lent


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
    here.player.stir()
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
    assert here.player.settled
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
    assert here.player.settled
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
    assert here.player.settled
    portions = here.ticker.portions()
    here.hub.detach(here.exchange)
    paid, ticks = here.ticker.paid, here.ticker.ticks
    redis.now_us += 1_000_000
    for portion in portions:
        here.ticker.serve(portion)
    assert (here.ticker.paid, here.ticker.ticks) == (paid, ticks)


async def test_a_socket_is_borrowed_in_the_second_quiet_second() -> None:
    """In the first the connection writes; after a ping it stays, after anything else it comes again."""
    redis = Redis(session(cooked=2e5, earned=2e6))
    here = Process(redis)
    lent = []
    for second in range(8):
        redis.now_us += 1_000_000
        here.tick()
        lent.append(here.tab.lent)
        if second == 2:
            here.tab.ping()
        if second == 4:
            here.tab.send(b'{"data":{"version":99999999999999}}')
            assert here.exchange.version == redis.live.session.version + 5
            assert here.tab.messages_out == 6
    assert lent == [False, True, True, True, True, True, True, True]


async def test_a_socket_without_room_is_left_to_the_transport() -> None:
    """What it does not take comes behind, in order; then the socket is borrowed again."""
    redis = Redis(session(cooked=2e5, earned=2e6))
    here = Process(redis)
    lent = []
    for _ in range(4000):
        redis.now_us += 1_000_000
        here.tick()
        lent.append(here.tab.lent)
    assert lent.index(True) < lent.index(False, 10) < 4000
    assert here.tab.unsent_bytes
    assert len(here.pushes) == here.tab.messages_out == 4000
    for _ in range(3):
        redis.now_us += 1_000_000
        here.tick()
    assert here.tab.lent
    here.player.unsettle()
    assert len(here.pushes) == here.tab.messages_out == 4003


async def test_of_two_tabs_none_lends_its_socket() -> None:
    """A row has one; who joins or leaves is served at once, and each push comes once to each."""
    redis = Redis(session(cooked=2e5, earned=2e6))
    here = Process(redis)
    other = Tab()
    second = Exchange(cast("Connection", other), 2, 0.0, lambda: None)
    lent = []
    for at in range(30):
        redis.now_us += 1_000_000
        if at == 10:
            assert here.tab.lent
            here.hub.attach(second, USER)
            second.joined = True
            second.version = here.exchange.version
        if at == 20:
            here.hub.detach(second)
        here.tick()
        lent.append((here.tab.lent, other.lent))
    assert lent[9] == (True, False)
    assert not any(any(each) for each in lent[10:20])
    assert lent[22] == (True, False)
    assert [push["data"] for push in here.pushes[10:20]] == [push["data"] for push in other.read()]
    assert len(here.pushes) == 30


async def test_who_leaves_takes_the_socket_along() -> None:
    """Nothing is written to it any more, and nothing of the row keeps the connection."""
    redis = Redis(session(cooked=2e5, earned=2e6))
    here = Process(redis)
    for _ in range(5):
        redis.now_us += 1_000_000
        here.tick()
    lent = [here.tab.lent]
    here.hub.detach(here.exchange)
    lent.append(here.tab.lent)
    assert lent == [True, False]
    sent = len(here.pushes)
    for _ in range(3):
        redis.now_us += 1_000_000
        here.tick()
    assert len(here.pushes) == sent
    assert here.player.block is None
    assert here.tab.messages_out == sent == 5


async def test_a_fault_in_a_row_is_made_good_by_the_course(monkeypatch: pytest.MonkeyPatch) -> None:
    """In the same pass: nothing is taken for sent that was not, and who is awake is served all the same."""
    redis = Redis(session(cooked=2e5, earned=2e6))
    here = Process(redis)
    for _ in range(5):
        redis.now_us += 1_000_000
        here.tick()
    assert here.tab.lent
    redis.now_us += 1_000_000
    with monkeypatch.context() as faulty:
        faulty.setattr("server.ws.block.computed", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            here.tick()
    assert len(here.pushes) == 6
    assert here.player.sent == here.shown() == redis.present()
    redis.now_us += 1_000_000
    here.tick()
    assert len(here.pushes) == 7
    assert here.shown() == redis.present()


async def test_a_row_that_cannot_be_written_is_written_by_the_course(monkeypatch: pytest.MonkeyPatch) -> None:
    """As a row that cannot be computed."""
    redis = Redis(session(cooked=2e5, earned=2e6))
    here = Process(redis)
    for _ in range(5):
        redis.now_us += 1_000_000
        here.tick()
    redis.now_us += 1_000_000
    with monkeypatch.context() as faulty:
        faulty.setattr("server.ws.block.os", SimpleNamespace(write=lambda *_: 1 / 0))
        with pytest.raises(ZeroDivisionError):
            here.tick()
    assert len(here.pushes) == 6
    assert here.player.sent == here.shown() == redis.present()
