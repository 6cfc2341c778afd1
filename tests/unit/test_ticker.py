"""Tickers of two processes over one Redis, which is the model: what tabs are sent, what Redis is asked."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest

from game import refreshing, rules
from game.accrual import PROMISE_MS, Amounts, amounts_of
from game.live_session import LiveSession
from game.session import UserId
from server.ws.block import PLACES
from server.ws.exchange import Player
from server.ws.portions import Portions
from server.ws.ticker import WRITE_EVERY_S
from tests.support.game_catalogue import CATALOGUE, CHANGED
from tests.support.ticking import CAP_S, NOBODY_AWAY_S, START_US, Lane, Process, Redis, session
from tests.unit.test_course import course as course_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from game.course import Course
    from game.session import Session
    from persistence.live.session_ref import SessionRef
    from persistence.live.sessions import Sessions
    from server.ws.exchange import Exchange


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
        redis.now_us += 1_000_000
        here.tick()
        assert redis.present() == here.shown()
    assert redis.asked >= 5


async def test_an_achievement_is_looked_for_when_income_gets_to_it() -> None:
    """Once, in the second in which the course gets there."""
    redis = Redis(session(cooked=900.0, achieved=(1, 18)))
    here, there = Process(redis), Process(redis)
    for _ in range(60):
        redis.now_us += 1_000_000
        here.tick()
        there.tick()
    for process in (here, there):
        announced = [push for push in process.pushes if push["request_type"] == "achievement"]
        keys = [each["key"] for push in announced for each in push["data"]["achievements"]]
        assert keys.count("line_cook") == 1


def comers(process: Process, numbers: Iterable[int], where: str = "here") -> dict[int, Player]:
    """Let players come to a process, on a lane."""
    came = {}
    for number in numbers:
        came[number] = Player(UserId(number), cast("SessionRef", (where, number)))
        came[number].exchanges.append(cast("Exchange", SimpleNamespace(joined=number != 7)))
    for player in came.values():
        process.hub.portions.add(player)
    return came


def served(process: Process) -> list[list[list[object]]]:
    """Say who is served, by portions and blocks."""
    return [
        [[player.ref for player in block.players if player is not None] for block in portion]
        for portion in process.ticker.portions()
    ]


@pytest.fixture(name="empty")
async def _empty() -> Process:
    """Make a process whose players are all on one lane, and the one of the story not among them."""
    process = Process(Redis(session()))
    process.hub.portions = Portions(cast("Sessions", process))
    return process


@pytest.mark.parametrize(
    ("players", "sizes"),
    [
        (0, []),
        (120, [120]),
        (1000, [1000]),
        (1001, [1000, 1]),
        (100_000, [1000] * 100),
        (100_001, [1200] * 83 + [401]),
    ],
)
async def test_players_are_served_in_portions_in_the_order_in_which_they_came(
    empty: Process, players: int, sizes: list[int]
) -> None:
    """Of a thousand, unless there would be over a hundred of them; in blocks of two hundred."""
    came = comers(empty, range(players))
    portions = served(empty)
    assert [sum(map(len, portion)) for portion in portions] == sizes
    blocks = [block for portion in portions for block in portion]
    assert all(len(block) == PLACES for block in blocks[:-1])
    assert [ref for block in blocks for ref in block] == [player.ref for player in came.values()]


async def test_newcomers_take_the_places_of_those_who_left(empty: Process) -> None:
    """They lie where those lay; where nobody left, behind all others."""
    came = comers(empty, range(2 * PLACES))
    served(empty)
    for number in (3, 5, PLACES + 1):
        block = came[number].block
        assert block is not None
        block.remove(came[number])
        assert came[number].block is None
    again = comers(empty, range(1000, 1004))
    ((first, second, third),) = served(empty)
    assert sorted((len(first), len(second), len(third))) == [1, PLACES, PLACES]
    assert {first[3], first[5], second[1], *third} == {player.ref for player in again.values()}


async def test_who_left_before_being_served_has_no_place(empty: Process) -> None:
    """A connection that came and went within the second."""
    comers(empty, [1])[1].exchanges.clear()
    comers(empty, [2])
    assert served(empty) == [[[("here", 2)]]]


class TwoLanes:
    """A process with players on two lanes, who may take the other one."""

    def __init__(self, process: Process) -> None:
        self.process = process
        self.here, self.there = process.lane, Lane()
        self._lane_of: dict[object, Lane] = {}
        process.lane_of = lambda ref: self._lane_of[ref]  # type: ignore[method-assign,assignment]

    def come(self, numbers: Iterable[int], lane: Lane) -> dict[int, Player]:
        """Let players come on a lane."""
        came = comers(self.process, numbers)
        self.move(came.values(), lane)
        return came

    def move(self, players: Iterable[Player], lane: Lane) -> None:
        """Let players take a lane; nobody has heard of it yet."""
        self._lane_of |= {player.ref: lane for player in players}

    def portions(self) -> list[list[int]]:
        """Return the numbers of those who are served together."""
        found = served(self.process)
        return [[cast("Any", ref)[1] for block in portion for ref in block] for portion in found]


@pytest.fixture(name="lanes")
def _lanes(empty: Process) -> TwoLanes:
    """Make two lanes without players."""
    return TwoLanes(empty)


def active_of(players: dict[int, Player]) -> list[int]:
    """Say who is to be read again, and have all of them read."""
    found = [number for number, player in players.items() if player.active]
    for player in players.values():
        player.active = False
    return found


async def test_who_takes_another_lane_is_served_there(lanes: TwoLanes) -> None:
    """Everybody is looked at where lapses were counted, and only then; who moves is read again."""
    players = lanes.come([0, 2, 4], lanes.here) | lanes.come([1, 3], lanes.there)
    assert lanes.portions() == [[0, 2, 4], [1, 3]]
    active_of(players)
    lanes.move([players[1], players[2]], lanes.here)
    lanes.move([players[4]], lanes.there)
    assert lanes.portions() == [[0, 2, 4], [1, 3]]
    lanes.here.lapses += 1
    assert [sorted(portion) for portion in lanes.portions()] == [[3, 4], [0, 1, 2]]
    assert active_of(players) == [4, 1]


async def test_a_lane_that_takes_all_of_another_takes_its_blocks(lanes: TwoLanes) -> None:
    """As at a failover: nobody changes places; all are read again before they are served."""
    players = lanes.come(range(450), lanes.here)
    assert lanes.portions() == [list(range(450))]
    blocks = [player.block for player in players.values()]
    active_of(players)
    lanes.move(players.values(), lanes.there)
    lanes.here.lapses += 1
    portions = lanes.process.ticker.portions()
    assert [player.block for player in players.values()] == blocks
    assert active_of(players) == []
    lanes.process.course = lambda *_: None  # type: ignore[method-assign]
    for portion in portions:
        lanes.process.ticker.serve(portion)
    assert active_of(players) == list(range(450))


async def test_of_many_movers_some_wait(lanes: TwoLanes) -> None:
    """Two thousand and a block at once; the others are served by nobody meanwhile, and are not forgotten."""
    players = lanes.come(range(8000), lanes.here)
    lanes.portions()
    lanes.move([player for number, player in players.items() if number % 2], lanes.there)
    lanes.here.lapses += 1
    counts = [sum(map(len, lanes.portions())) for _ in range(4)]
    assert counts == [4000, 8000, 8000, 8000]
    found = lanes.portions()
    assert sorted(number for portion in found for number in portion) == list(range(8000))
    assert all(len({number % 2 for number in portion}) == 1 for portion in found)


async def test_a_lane_that_is_back_has_its_players_read_again(lanes: TwoLanes) -> None:
    """Those of another lane are not, unless somebody may have moved; a changed catalogue is for all."""
    players = lanes.come([0, 2], lanes.here) | lanes.come([1, 3], lanes.there)
    ticker, portions = lanes.process.ticker, lanes.process.hub.portions
    lanes.process.course = lambda *_: None  # type: ignore[method-assign]

    def read_after(lane: Lane | None) -> list[int]:
        active_of(players)
        portions.stir(cast("Any", lane))
        assert active_of(players) == []
        for portion in portions.of_now():
            ticker.serve(portion)
        return active_of(players)

    lanes.portions()
    assert read_after(lanes.there) == [1, 3]
    assert read_after(lanes.here) == [0, 2]
    assert read_after(None) == [0, 2, 1, 3]
    lanes.here.lapses += 1
    assert read_after(lanes.here) == [0, 2, 1, 3]


async def test_blocks_that_emptied_are_closed_up(empty: Process) -> None:
    """One each time, while the others have room for the players of another one and a quarter of all."""
    came = comers(empty, range(10 * PLACES))
    served(empty)
    for number, player in came.items():
        if number % 4 and player.block is not None:
            player.block.remove(player)
    stay = {player.ref for number, player in came.items() if not number % 4}
    counts = []
    for _ in range(12):
        blocks = [block for portion in served(empty) for block in portion]
        assert {ref for block in blocks for ref in block} == stay
        counts.append(len(blocks))
    assert counts == [9, 8, 7, 6, 5, 4, 4, 4, 4, 4, 4, 4]
    for player in came.values():
        if player.block is not None:
            player.block.remove(player)
    assert served(empty) == []


async def test_few_are_read_again_in_one_pass(empty: Process) -> None:
    """Where many have done something the rest is read in later passes, and behind all of them the clock."""
    read: list[object] = []
    times: list[object] = []
    empty.course = lambda ref, _: read.append(ref)  # type: ignore[method-assign,assignment]
    empty.time = lambda ref, _: times.append(ref)  # type: ignore[method-assign,assignment]
    comers(empty, range(251))
    (portion,) = empty.ticker.portions()
    empty.ticker.serve(portion)
    seen = []
    for _ in range(6):
        seen.append((len(read), len(times)))
        await asyncio.sleep(0)
    assert seen == [(50, 0), (100, 0), (150, 0), (200, 0), (250, 1), (250, 1)]
    assert read == [("here", number) for number in range(251) if number != 7]
    assert empty.ticker.ticks == 250


async def test_who_did_nothing_and_earns_nothing_is_passed_over(empty: Process) -> None:
    """They are not looked at again, and Redis is not asked for the clock for them."""
    asked: list[object] = []

    def time(ref: object, on_time: Callable[[int], None]) -> None:
        asked.append(ref)
        on_time(START_US // 1000)

    empty.time = time  # type: ignore[method-assign,assignment]
    idle = comers(empty, range(10, 14))
    for player in idle.values():
        player.active = False
    (portion,) = empty.ticker.portions()
    empty.ticker.serve(portion)
    assert (asked, empty.ticker.ticks, portion[0].awake) == ([], 0, {})
    idle[11].earns = True
    idle[11].stir()
    idle[11].active = False
    empty.ticker.serve(portion)
    assert (asked, empty.ticker.ticks) == ([("here", 10)], 1)
    assert list(portion[0].awake) == [idle[11]]
    idle[12].stir()
    assert list(portion[0].awake) == [idle[11], idle[12]]


async def test_who_was_read_meanwhile_is_not_read_again(empty: Process) -> None:
    """Where rounds come faster than players can be read; nor is who has left."""
    read: list[object] = []

    def course(ref: object, on_course: Callable[[Course | None], None]) -> None:
        read.append(ref)
        for player in came.values():
            player.reached = 0
        on_course(course_of(Amounts(0, 0, 0, 0, 0, 0)))

    empty.course = course  # type: ignore[method-assign,assignment]
    came = comers(empty, range(100, 351))
    (portion,) = empty.ticker.portions()
    for _ in range(3):
        empty.ticker.serve(portion)
    came[350].exchanges.clear()
    for _ in range(20):
        await asyncio.sleep(0)
    assert read == [("here", number) for number in range(100, 350)]


async def test_income_that_is_read_late_is_told(empty: Process) -> None:
    """Who was passed over since, because nothing was earned by then, is looked at again."""
    came = comers(empty, [1])[1]
    (portion,) = empty.ticker.portions()
    (block,) = portion
    block.awake.clear()
    came.reached = 0
    empty.ticker._learned(came, course_of(Amounts(0, 0, 0, 0, 0, 0), dPs=250))
    assert came.earns
    assert list(block.awake) == [came]


async def test_a_changed_catalogue_is_heard_of_between_the_clock_and_the_push() -> None:
    """What was computed before is not sent any more: the session is read first."""
    redis = Redis(session(cooked=2e5, earned=2e6))
    here = Process(redis)
    for _ in range(5):
        redis.now_us += 1_000_000
        here.tick()
    assert here.player.settled
    asked: list[Callable[[int], None]] = []
    here.time = lambda _, on_time: asked.append(on_time)  # type: ignore[method-assign,assignment]
    redis.now_us += 1_000_000
    here.tick()
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
