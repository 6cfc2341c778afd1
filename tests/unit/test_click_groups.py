"""Clicks of one pass share calls; each player gets a reply of their own, whatever becomes of the call."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

import hiredis
import pytest

from game.session import UserId
from persistence.errors import NotSent
from persistence.live.click_groups import MOST_IN_A_CALL, MOST_WAIT_S, ClickGroups
from persistence.live.lane_contract import LaneDown, LaneError, ReplyLost
from persistence.live.scripts import load_scripts
from persistence.live.session_addresses import SessionAddresses
from persistence.live.session_commands import PlayLimits, SessionCommands
from tests.support.limits import LIMIT_S
from tests.support.plain_keys import PLAIN

if TYPE_CHECKING:
    from collections.abc import Callable

    from persistence.live.lane_contract import OnReply
    from persistence.live.lanes import Lanes
    from persistence.live.session_ref import SessionRef
    from persistence.live.sources import CatalogueSource

SCRIPTS = load_scripts()


class Line:
    """A lane that keeps what it is given; `refusal` is what it raises instead."""

    run_id = "r"

    def __init__(self) -> None:
        self.sent: list[tuple[list[bytes], OnReply]] = []
        self.answered = 0
        self.errors: list[object] = []
        self.refusal: LaneError | None = None
        self._before: list[Callable[[], None]] = []

    def before_writing(self, send: Callable[[], None]) -> None:
        """Keep what sends the last commands of a pass."""
        if self.refusal is not None:
            raise self.refusal
        self._before.append(send)

    def write(self) -> None:
        """End a pass."""
        before, self._before = self._before, []
        for send in before:
            send()

    def send(self, command: bytes, on_reply: OnReply) -> None:
        """Keep a command."""
        if self.refusal is not None:
            raise self.refusal
        reader = hiredis.Reader()
        reader.feed(command)
        self.sent.append((cast("list[bytes]", reader.gets()), on_reply))
        assert reader.gets() is False

    def answer(self, reply: object) -> None:
        """Answer the first command that waits."""
        self.answered += 1
        *_, (_, on_reply) = self.sent[: self.answered]
        on_reply(reply)

    def error_replied(self, error: object) -> None:
        """Keep an error."""
        self.errors.append(error)

    @property
    def calls(self) -> list[tuple[str, int]]:
        """The scripts that were called, and for how many players."""
        names = {script.sha.encode(): name for name, script in SCRIPTS.items()}
        return [(names[sha], int(keys) // 2) for (_, sha, keys, *_), _ in self.sent]


@pytest.fixture
def line() -> Line:
    """The lane of every player."""
    return Line()


@pytest.fixture
def addresses(line: Line) -> SessionAddresses:
    """The addresses of players on that lane."""
    lanes = SimpleNamespace(cluster=False, keys=PLAIN, origin=b"1-abc", lane_of=lambda _: line, lapses=0)
    catalogues = SimpleNamespace(current=SimpleNamespace(generation=3))
    return SessionAddresses(cast("Lanes", lanes), cast("CatalogueSource", catalogues))


@pytest.fixture
def groups(addresses: SessionAddresses) -> ClickGroups:
    """What groups clicks, at 50 a second."""
    return ClickGroups(
        addresses, SessionCommands(SCRIPTS, PLAIN, PlayLimits(50.0, 1000, 28_800), ""), cluster=False
    )


class Player:
    """A player who clicks, and the replies that they were given."""

    def __init__(self, groups: ClickGroups, addresses: SessionAddresses, number: int) -> None:
        self._groups = groups
        self.ref: SessionRef = addresses.ref(UserId(number))
        self.replies: list[object] = []

    def click(self, kind: str = "cook", count: int = 1, client: str = "", seq: int = 0) -> None:
        """Click once."""
        self._groups.add(self.ref, kind, count, client, seq, self.replies.append)


@pytest.fixture
def players(groups: ClickGroups, addresses: SessionAddresses) -> list[Player]:
    """One player more than two full calls have."""
    return [Player(groups, addresses, number) for number in range(1, 2 * MOST_IN_A_CALL + 2)]


def test_a_lone_click_is_a_call_of_its_own(players: list[Player], line: Line) -> None:
    """Where only one player clicks in a pass, the plain script is called: it costs less for one."""
    first, *_ = players
    first.click()
    line.write()
    line.answer(["ok", 1])
    first.click("sell")
    line.write()

    assert line.calls == [("cook", 1), ("sell", 1)]
    assert first.replies == [["ok", 1]]


async def test_clicks_wait_for_the_call_before_them(players: list[Player], line: Line) -> None:
    """Redis is at work on it: they are sent once it is answered, with what comes in that pass."""
    one, two, three, four, *_ = players
    one.click()
    line.write()
    two.click()
    line.write()
    three.click("sell")
    line.write()
    assert line.calls == [("cook", 1)]

    line.answer(["ok", 1])
    four.click()
    assert line.calls == [("cook", 1)]
    line.write()
    assert line.calls == [("cook", 1), ("cooks", 2), ("sell", 1)]
    assert (one.replies, two.replies) == ([["ok", 1]], [])
    line.answer([7, 1, 100, 1, 8, 2, 200, 1])
    assert (two.replies, four.replies) == ([[b"ok", 7, 1, 100, 1]], [[b"ok", 8, 2, 200, 1]])


@pytest.mark.parametrize(("clicks", "calls"), [(MOST_IN_A_CALL - 1, []), (MOST_IN_A_CALL, [MOST_IN_A_CALL])])
async def test_a_full_call_waits_for_none(
    players: list[Player], line: Line, clicks: int, calls: list[int]
) -> None:
    """More players would not make it cheaper."""
    last = players[-1]
    last.click("sell")
    line.write()
    for player in players[:clicks]:
        player.click()
        line.write()

    assert line.calls == [("sell", 1), *(("cooks", size) for size in calls)]


async def test_no_click_waits_for_longer_than_a_moment(players: list[Player], line: Line) -> None:
    """The network may take longer than Redis; what comes after waits again."""
    one, two, three, *_ = players
    one.click()
    line.write()
    two.click()
    line.write()
    assert line.calls == [("cook", 1)]
    async with asyncio.timeout(LIMIT_S):
        while len(line.calls) < 2:  # noqa: ASYNC110 - the lane of this test has no events
            await asyncio.sleep(MOST_WAIT_S)
    three.click()
    line.write()
    assert line.calls == [("cook", 1), ("cook", 1)]
    line.answer(["ok", 1])
    assert line.calls == [("cook", 1), ("cook", 1)]
    line.answer(["ok", 2])
    line.write()
    assert line.calls == [("cook", 1)] * 3


async def test_a_lane_that_is_lost_answers_those_who_wait(players: list[Player], line: Line) -> None:
    """Each once; and the clicks after go over the lane of then."""
    one, two, three, *_ = players
    one.click()
    line.write()
    two.click()
    three.click("sell")
    line.write()
    lost, down = ReplyLost("redis"), LaneDown("redis")
    line.refusal = down
    line.answer(lost)
    assert [[lost], [down], [down]] == [one.replies, two.replies, three.replies]
    line.refusal = None
    two.click()
    line.write()
    assert line.calls == [("cook", 1), ("cook", 1)]


async def test_clicks_that_waited_take_the_lane_of_now(
    players: list[Player], line: Line, addresses: SessionAddresses
) -> None:
    """Their players may have got another meanwhile."""
    one, two, three, *_ = players
    one.click()
    line.write()
    two.click()
    three.click()
    line.write()
    other = Line()
    addresses._lanes.lane_of = lambda _: other  # type: ignore[method-assign,assignment,return-value]
    addresses.end_epoch()
    line.answer(["ok", 1])
    other.write()
    assert (line.calls, other.calls) == ([("cook", 1)], [("cooks", 2)])


@pytest.mark.parametrize(
    ("clicks", "calls"),
    [
        (2, [2]),
        (MOST_IN_A_CALL, [MOST_IN_A_CALL]),
        (MOST_IN_A_CALL + 1, [7, 6]),
        (2 * MOST_IN_A_CALL, [MOST_IN_A_CALL, MOST_IN_A_CALL]),
        (2 * MOST_IN_A_CALL + 1, [9, 9, 7]),
    ],
)
def test_clicks_of_a_pass_share_calls(
    players: list[Player], line: Line, clicks: int, calls: list[int]
) -> None:
    """At most twelve players share a call, and calls are of about one size: none is left with one player."""
    for player in players[:clicks]:
        player.click()
    line.write()

    assert [("cooks", size) for size in calls] == line.calls


def test_cooks_and_sells_are_calls_of_their_own(players: list[Player], line: Line) -> None:
    """A call does one thing: a cook beside a sell shares none with it."""
    for player in players[:3]:
        player.click("cook")
        player.click("sell")
    line.write()

    assert line.calls == [("cooks", 3), ("sells", 3)]


def test_a_shared_call_says_who_does_what(
    players: list[Player], line: Line, addresses: SessionAddresses
) -> None:
    """All keys, what is shared, then each player's own arguments: channel, own, count, client, seq."""
    one, two, three, *_ = players
    two.ref.heard = True
    one.click(count=25)
    two.click(client="вкладка", seq=8)
    three.click(count=3, client="tab", seq=77)
    addresses.end_epoch()
    line.write()

    ((_, _, _, *words), _) = line.sent.pop()
    keys, shared, own = words[:6], words[6:11], words[11:]
    assert keys[:4] == [b"session:{1}:1", b"dirty:{1}", b"session:{2}:2", b"dirty:{2}"]
    assert shared == [b"3.r", b"1-abc", b"20000.0", b"1000", b"28800"]
    assert own[:5] == [b"user:{1}:1", b"0", b"25", b"", b""]
    assert [b"user:{2}:2", b"1", b"1", "вкладка".encode(), b"8"] == own[5:10]
    assert own[10:] == [b"user:{3}:3", b"0", b"3", b"tab", b"77"]


def test_players_who_all_click_once_need_not_say_so(players: list[Player], line: Line) -> None:
    """A call has the channels alone where each click is a single one without a tag, and all are heard."""
    one, two, *_ = players
    one.ref.heard = two.ref.heard = True
    for tagged in (False, True):
        one.click()
        two.click(client="tab" if tagged else "", seq=int(tagged))
        line.write()
        line.answer([1, 2, 3, 1, 1, 2, 3, 1])
    (_, plain), (_, mixed) = (
        (call, words) for ((_, call, _, *words), _) in (line.sent.pop(0), line.sent.pop(0))
    )

    assert plain[9:] == [b"user:{1}:1", b"user:{2}:2"]
    assert mixed[9:14] == [b"user:{1}:1", b"1", b"1", b"", b""]
    assert mixed[14:] == [b"user:{2}:2", b"1", b"1", b"tab", b"1"]


def test_a_subscription_that_ends_in_the_pass_is_not_counted(players: list[Player], line: Line) -> None:
    """The call stands behind the end of the subscription, so it says that the process hears nothing."""
    one, two, *_ = players
    one.ref.heard = two.ref.heard = True
    one.click()
    two.click()
    one.ref.heard = False
    one.ref.epoch = -1
    line.write()

    ((_, _, _, *words), _) = line.sent.pop()
    assert words[4 + 5 :] == [b"user:{1}:1", b"0", b"1", b"", b"", b"user:{2}:2", b"1", b"1", b"", b""]


def test_each_player_gets_a_reply_of_their_own(players: list[Player], line: Line) -> None:
    """A refusal, and an error, are one player's; an error is noted as what Redis says of itself."""
    trio = players[:3]
    for player in trio:
        player.click()
    line.write()

    (_, on_reply) = line.sent.pop()
    fault = hiredis.ReplyError("READONLY You can't write against a read only replica.")
    on_reply([7, 1, 100, 1, [b"no_dish"], 0, 0, 0, fault, 0, 0, 0])

    assert [[[b"ok", 7, 1, 100, 1]], [[b"no_dish"]], [fault]] == [player.replies for player in trio]
    assert [fault] == line.errors


@pytest.mark.parametrize("reply", [ReplyLost("redis"), LaneDown("redis"), hiredis.ReplyError("NOSCRIPT")])
def test_what_becomes_of_a_call_concerns_all_of_its_players(
    players: list[Player], line: Line, reply: Exception
) -> None:
    """A lost call, and one that Redis refused whole, is lost and refused for each of its players."""
    pair = players[:2]
    for player in pair:
        player.click()
    line.write()

    (_, on_reply) = line.sent.pop()
    on_reply(reply)

    assert [[reply], [reply]] == [player.replies for player in pair]


def test_a_handler_that_fails_leaves_the_others_their_replies(
    groups: ClickGroups, players: list[Player], line: Line
) -> None:
    """One player's handler raises; the next one is called all the same."""
    one, two, *_ = players

    def fail(_reply: object) -> None:
        raise RuntimeError("a fault of ours")

    groups.add(one.ref, "cook", 1, "", 0, fail)
    two.click()
    line.write()
    (_, on_reply) = line.sent.pop()
    on_reply([7, 1, 100, 1, [b"no_dish"], 0, 0, 0])

    assert two.replies == [[b"no_dish"]]


def test_a_lane_that_is_down_takes_no_click(players: list[Player], line: Line) -> None:
    """Nothing was sent, the caller hears so at once, and the next pass begins again."""
    one, two, *_ = players
    line.refusal = LaneDown("redis")
    with pytest.raises(NotSent):
        one.click()
    line.refusal = None
    two.click()
    line.write()

    assert (one.replies, line.calls) == ([], [("cook", 1)])


@pytest.mark.parametrize("clicks", [1, 2])
def test_a_lane_that_is_lost_in_the_pass_answers_each_click(
    players: list[Player], line: Line, clicks: int
) -> None:
    """The clicks were not sent, and each of them is given the lane's error."""
    line_down = LaneDown("redis")
    for player in players[:clicks]:
        player.click()
    line.refusal = line_down
    line.write()

    assert [[line_down]] * clicks == [player.replies for player in players[:clicks]]
