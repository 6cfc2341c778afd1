"""Who is served together, by the lanes of players and in the order in which they came; who is read again."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest

from game.accrual import Amounts
from game.session import UserId
from server.ws.block import PLACES
from server.ws.exchange import Player
from server.ws.portions import Portions
from tests.support.ticking import START_US, Lane, Process, Redis, session
from tests.unit.test_course import course as course_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from game.course import Course
    from persistence.live.session_ref import SessionRef
    from persistence.live.sessions import Sessions
    from server.ws.exchange import Exchange


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
