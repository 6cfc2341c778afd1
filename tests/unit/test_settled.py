"""Players who watch, as a process serves them: the same is sent from rows as from their courses."""

from __future__ import annotations

import random
from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

import pytest

from game.course import Course
from server.ws.block import Block
from server.ws.exchange import Exchange
from tests.support.tabs import Tab
from tests.support.ticking import START_US, USER, Process, Redis, session

if TYPE_CHECKING:
    from server.ws.connection import Connection


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
    redis.watch(1)
    looked: list[int] = []
    shown = Course.shown

    def noted(course: Course, second: int) -> tuple[float, float, float, float]:
        looked.append(second)
        return shown(course, second)

    monkeypatch.setattr(Course, "shown", noted)
    redis.watch(30)
    assert looked == []
    assert here.ticker.paid == len(here.pushes) == 31
    here.player.stir()
    redis.watch(3)
    assert here.ticker.paid == len(here.pushes) == 34
    assert len(looked) == 2, "what was sent by then, and the second after"


async def test_amounts_from_elsewhere_do_not_hide_what_was_sent() -> None:
    """An answer shows amounts of its own; until when income was sent is known still."""
    redis = Redis(session(cooked=2e5, earned=2e6))
    here = Process(redis)
    redis.watch(10)
    assert here.player.settled
    here.player.sent = (1, 2, 3, 4)
    assert here.player.sent == (1, 2, 3, 4)
    assert here.player.sent_until_ms == START_US // 1000 + 10_000


async def test_income_that_was_sent_is_not_sent_again_when_it_is_heard_of() -> None:
    """The other process writes it and publishes: the same amounts as the ones that were computed here."""
    redis = Redis(session(cooked=2e5, earned=2e6))
    here, there = Process(redis), Process(redis)
    redis.watch(10)
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
    redis.watch(1)
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
        redis.watch(1)
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
        redis.watch(1)
        lent.append(here.tab.lent)
    assert lent.index(True) < lent.index(False, 10) < 4000
    assert here.tab.unsent_bytes
    assert len(here.pushes) == here.tab.messages_out == 4000
    redis.watch(3)
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
    redis.watch(5)
    lent = [here.tab.lent]
    here.hub.detach(here.exchange)
    lent.append(here.tab.lent)
    assert lent == [True, False]
    sent = len(here.pushes)
    redis.watch(3)
    assert len(here.pushes) == sent
    assert here.player.block is None
    assert here.tab.messages_out == sent == 5


async def test_a_fault_in_a_row_is_made_good_by_the_course(monkeypatch: pytest.MonkeyPatch) -> None:
    """In the same pass: nothing is taken for sent that was not, and who is awake is served all the same."""
    redis = Redis(session(cooked=2e5, earned=2e6))
    here = Process(redis)
    redis.watch(5)
    assert here.tab.lent
    redis.now_us += 1_000_000
    with monkeypatch.context() as faulty:
        faulty.setattr("server.ws.block.computed", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            here.tick()
    assert len(here.pushes) == 6
    assert here.player.sent == here.shown() == redis.present()
    redis.watch(1)
    assert len(here.pushes) == 7
    assert here.shown() == redis.present()


async def test_a_row_that_cannot_be_written_is_written_by_the_course(monkeypatch: pytest.MonkeyPatch) -> None:
    """As a row that cannot be computed."""
    redis = Redis(session(cooked=2e5, earned=2e6))
    here = Process(redis)
    redis.watch(5)
    redis.now_us += 1_000_000
    with monkeypatch.context() as faulty:
        faulty.setattr("server.ws.block.os", SimpleNamespace(write=lambda *_: 1 / 0))
        with pytest.raises(ZeroDivisionError):
            here.tick()
    assert len(here.pushes) == 6
    assert here.player.sent == here.shown() == redis.present()
