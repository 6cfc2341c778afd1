"""Which connections are sent the present state after a change may have been missed."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

import hiredis
import orjson
import pytest

from game.session import UserId
from persistence.errors import NotSent
from persistence.live.lane_contract import LaneDown
from persistence.live.snapshots import Snapshot
from server.ws.exchange import Exchange
from server.ws.gathering import Gathering
from server.ws.hub import Hub
from tests.support.game_catalogue import CATALOGUE
from tests.support.limits import LIMIT_S

if TYPE_CHECKING:
    from collections.abc import Callable

    from persistence.durable.current_catalogue import Catalogues
    from persistence.live.lane import Lane
    from persistence.live.sessions import Sessions
    from server.ws.connection import Connection

CHANNEL = b"user:{7}:7"
MOVED = hiredis.ReplyError("MOVED 1 127.0.0.1:1")


class Tab:
    """One connection of the player: keeps the versions that it was sent."""

    def __init__(self, hub: Hub, version: int, *, joined: bool = True) -> None:
        self.versions: list[int] = []
        self.closing = False
        self.exchange = Exchange(cast("Connection", self), 1, 0.0, lambda: None)
        self.exchange.joined = joined
        self.exchange.version = version
        assert hub.attach(self.exchange, UserId(7)) is not None

    def send(self, payload: bytes, _frame: bytes = b"") -> None:
        """Keep a message's version."""
        self.versions.append(orjson.loads(payload)["data"]["version"])


class Redis:
    """The sessions of one player on one lane, answered when a test says so.

    `answers` come in place of snapshots: a version, or what was replied instead; the last one stays.
    """

    lapses = 0

    def __init__(self, *answers: int | object) -> None:
        self.answers = list(answers)
        self.lane = cast("Lane", SimpleNamespace(up=True, branch="run"))
        self.asked: list[Callable[[], None]] = []
        self.recovered: list[object] = []
        catalogues = SimpleNamespace(watch=lambda _: None, current=CATALOGUE)
        gathering = Gathering(asyncio.get_running_loop(), 0.0)
        self.hub = Hub(cast("Sessions", self), cast("Catalogues", catalogues), 20, 60, gathering)

    def ref(self, user_id: UserId) -> SimpleNamespace:
        """Address the player."""
        return SimpleNamespace(user_id=user_id, channel=CHANNEL, heard=True, sent_apart=0)

    def lane_of(self, _ref: object) -> Lane:
        """Return the one lane."""
        return self.lane

    def subscribe(self, _ref: object) -> None:
        """Confirm when the test says so."""

    def lapsed(self, ref: SimpleNamespace, _lane: object) -> None:
        """Take note that nothing is heard."""
        ref.heard = False

    def confirmed(self, ref: SimpleNamespace) -> None:
        """Take note that the player is heard again."""
        ref.heard = True

    def lane_ready(self, _lane: object) -> None:
        """Nothing is owed here."""

    def epoch_ended(self) -> None:
        """Nothing is packed here."""

    def snapshot(self, _ref: object, on_snapshot: Callable[[Snapshot | None, object], None]) -> None:
        """Take a question."""
        if not self.lane.up:
            raise NotSent(LaneDown("redis"))
        self.asked.append(lambda: self._answer(on_snapshot))

    def fresh_snapshot(
        self, ref: object, on_snapshot: Callable[[Snapshot | None, object], None], *, regardless: bool
    ) -> None:
        """Take a question that is answered by itself."""
        assert regardless
        self.snapshot(ref, on_snapshot)
        asyncio.get_running_loop().call_soon(self.asked.pop())

    async def repeat(self, _ref: object, reply: object, send: Callable[[], None], _until_s: float) -> None:
        """Note what is recovered from, and send again."""
        self.recovered.append(reply)
        send()

    def _answer(self, on_snapshot: Callable[[Snapshot | None, object], None]) -> None:
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, int):
            on_snapshot(Snapshot(answer, 0, b"a@b.c", 0, 0, 0, 0, 0, 0, 0, b"", b"", 0, 0, 0, 0, 0), None)
        else:
            on_snapshot(None, answer)

    def answer(self) -> None:
        """Answer every question so far, in order."""
        asked, self.asked = self.asked, []
        for answer in asked:
            answer()

    def comes_back(self) -> None:
        """Open the lane again: its subscription is confirmed."""
        self.hub.subscribed(self.lane, CHANNEL)
        self.hub.lane_ready(self.lane)


async def until(tab: Tab, versions: list[int]) -> None:
    """Wait until a tab was sent these versions."""
    async with asyncio.timeout(LIMIT_S):
        while tab.versions != versions:  # noqa: ASYNC110 - a tab has no event of its own
            await asyncio.sleep(0.001)


async def test_a_tab_that_clicked_just_before_the_snapshot_is_sent_it() -> None:
    """An answer after a lost lane carries the newest version, not what other tabs changed before."""
    redis = Redis(12)
    clicker, listener = Tab(redis.hub, 10), Tab(redis.hub, 10)
    redis.comes_back()
    # What another process changed meanwhile was 11, the tab's own click is 12.
    clicker.exchange.version = 12
    redis.answer()
    assert (clicker.versions, listener.versions) == ([12], [12])


async def test_a_tab_that_missed_nothing_is_sent_nothing() -> None:
    """A connection that joins once the subscription holds has heard everything since."""
    redis = Redis(12)
    Tab(redis.hub, 10)
    late = Tab(redis.hub, 0, joined=False)
    redis.comes_back()
    late.exchange.joined, late.exchange.version = True, 11
    redis.answer()
    assert late.versions == []


async def test_versions_never_go_back() -> None:
    """An older state than a tab knows is read again, under the present stamp, until it is none."""
    redis = Redis(9, 9, 11)
    ahead, behind = Tab(redis.hub, 10), Tab(redis.hub, 8)
    redis.comes_back()
    redis.answer()
    assert (ahead.versions, behind.versions) == ([], [9])
    await until(ahead, [11])
    assert behind.versions == [9]
    await redis.hub.catching_up.stop()


async def test_a_snapshot_from_before_a_doubt_does_not_end_it() -> None:
    """A state that was asked for before a second loss says nothing about what was missed in that."""
    redis = Redis(10, 11)
    tab = Tab(redis.hub, 10)
    redis.comes_back()
    redis.comes_back()
    first, second, *_ = redis.asked
    first()
    assert tab.versions == []
    second()
    assert tab.versions == [11]
    await redis.hub.catching_up.stop()


async def test_a_refused_snapshot_is_asked_for_again() -> None:
    """Whatever comes in place of the state is recovered from, as for a request."""
    redis = Redis(MOVED, MOVED, 11)
    tab = Tab(redis.hub, 10)
    redis.comes_back()
    redis.answer()
    await until(tab, [11])
    assert redis.recovered == [MOVED]
    await redis.hub.catching_up.stop()


async def test_a_snapshot_waits_for_its_lane() -> None:
    """A subscription is confirmed before others may send: the state is asked for once they may."""
    redis = Redis(11)
    tab = Tab(redis.hub, 10)
    redis.lane.up = False
    redis.hub.subscribed(redis.lane, CHANNEL)
    redis.lane.up = True
    redis.hub.lane_ready(redis.lane)
    redis.answer()
    assert tab.versions == [11]


async def test_a_tab_that_joins_while_nothing_is_heard_is_sent_the_state() -> None:
    """What others changed behind its first answer it did not hear, though its own answers went on."""
    redis = Redis(12)
    Tab(redis.hub, 10)
    late = Tab(redis.hub, 0, joined=False)
    redis.hub.unheard(redis.lane, CHANNEL)
    late.exchange.joined, late.exchange.version = True, 12
    redis.comes_back()
    redis.answer()
    assert late.versions == [12]


async def test_a_state_that_was_read_while_nothing_is_heard_ends_no_doubt() -> None:
    """It is sent, and what came after it is sent once the player is heard again."""
    redis = Redis(11, 11, 12)
    tab = Tab(redis.hub, 10)
    redis.hub.unheard(redis.lane, CHANNEL)
    redis.hub.catching_up.doubt(redis.hub.players[UserId(7)])
    redis.answer()
    await until(tab, [11])
    # Another process changed something, and this tab did: 12.
    tab.exchange.version = 12
    redis.comes_back()
    redis.answer()
    await until(tab, [11, 12])
    await redis.hub.catching_up.stop()


async def test_a_tab_is_sent_nothing_for_a_gap_in_which_nothing_happened() -> None:
    """The session has the version that it had when the subscription ended, however often that is said."""
    redis = Redis(10)
    tab = Tab(redis.hub, 10)
    redis.hub.unheard(redis.lane, CHANNEL)
    redis.hub.unheard(redis.lane, CHANNEL)
    redis.comes_back()
    redis.answer()
    assert (tab.versions, tab.exchange.doubt) == ([], 0)


async def test_news_of_others_is_shown_though_an_own_answer_is_as_new() -> None:
    """What the news is about may lie before the answer, which says nothing of it."""
    redis = Redis(12)
    tab = Tab(redis.hub, 12)
    redis.hub.published(CHANNEL, [b"reloaded", b"0"])
    redis.answer()
    assert tab.versions == [12]


@pytest.mark.parametrize(("answered_first", "versions"), [(True, [10, 12]), (False, [12])])
async def test_an_older_question_does_not_show_what_a_command_apart_missed(
    answered_first: bool, versions: list[int]
) -> None:
    """Where commands go another way than the subscription, only a later state says what others did."""
    redis = Redis(10, 12)
    tab = Tab(redis.hub, 10)
    player = redis.hub.players[UserId(7)]
    redis.hub.catching_up.doubt(player)
    # Its own command goes apart behind that question. Another process changes 11, its answer is 12.
    player.ref.sent_apart += 1
    if answered_first:
        redis.answer()
    tab.exchange.version = 12
    redis.hub.catching_up.doubt(player)
    redis.answer()
    await until(tab, versions)
    assert player.shown_apart == 1
    await redis.hub.catching_up.stop()


async def test_a_state_that_is_older_than_an_answer_shows_nothing() -> None:
    """It is read again, and what went apart meanwhile is still to be shown."""
    redis = Redis(11, 12)
    tab = Tab(redis.hub, 12)
    player = redis.hub.players[UserId(7)]
    player.ref.sent_apart += 1
    redis.hub.catching_up.doubt(player)
    redis.answer()
    await until(tab, [12])
    await redis.hub.catching_up.stop()
