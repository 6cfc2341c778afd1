"""A player's slot changes its master: nothing of the new one comes before what the old one holds back."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from game.session import Session
from persistence.durable.sessions import Saved
from tests.support.game_catalogue import SANDWICH
from tests.support.servers import running_valkey
from tests.support.two_masters import USER, Tab, two_masters

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.servers import ValkeyServer

DISHES = 10
FAR_AHEAD = 4 * 10**12
"""A version no clock has come to."""

AGAIN: dict[str, dict[str, object]] = {
    # A duplicate, which says nothing of money.
    "cook": {"client": "tab", "seq": 1},
    "sell": {},
    "session": {},
    "level_check": {},
    "upgrade_list": {},
    # Refused: not enough money.
    "upgrade_buy": {"id": 3},
}
"""What the other tab asks the new master, and with which data."""


@pytest.fixture(scope="module")
def masters() -> Iterator[list[ValkeyServer]]:
    """Two servers."""
    with running_valkey() as first, running_valkey() as second:
        yield [first, second]


@pytest.fixture(autouse=True)
def _emptied(masters: list[ValkeyServer]) -> None:
    for server in masters:
        server.ask("FLUSHALL")


@pytest.mark.parametrize("replaced", [False, True])
@pytest.mark.parametrize("request_type", AGAIN)
async def test_an_answer_held_back_comes_before_those_of_the_new_master(
    masters: list[ValkeyServer], request_type: str, replaced: bool
) -> None:
    """One tab sold, its answer is held back, the slot moves, the other tab goes on: in order on both.

    The other tab is sent the sell before its own answer. `replaced`: the old master has no slot any more, its
    connection is drained before it is closed.
    """
    async with two_masters(masters) as world:
        world.put(dishes=DISHES)
        seller, other = await world.joined(), await world.joined()
        other.ask("first", "cook", client="tab", seq=1)
        await other.answer("first")
        before = world.session_of(0)
        world.proxies[0].answering.clear()
        seller.ask("held back", "sell")
        await world.until_executed(0, before)
        await world.move(replaced=replaced)
        await world.until_second_lane_is_up()
        await world.settled()
        other.ask("again", request_type, **AGAIN[request_type])
        await world.settled()
        world.proxies[0].answering.set()
        sold = await seller.answer("held back")
        again = await other.answer("again")
        assert ("duplicate" in again) == (request_type == "cook")
        for tab in (seller, other):
            assert tab.versions == sorted(tab.versions)
        kinds = [(message["request_id"], message["data"].get("version")) for message in other.received]
        told = kinds.index(("", sold["version"]))
        assert other.received[told]["data"]["money"] == sold["money"]
        assert told < next(at for at, (request_id, _) in enumerate(kinds) if request_id == "again")


@pytest.mark.parametrize("request_type", ["session", "level_check", "cook"])
async def test_a_session_that_a_failover_lost_whole_comes_back_under_a_newer_version(
    masters: list[ValkeyServer], request_type: str
) -> None:
    """PostgreSQL has an older state: it is shown under a version above all that were sent before."""
    async with two_masters(masters) as world:
        world.put(dishes=DISHES)
        asking, listening = await world.joined(), await world.joined()
        for request_id in ("1", "2"):
            asking.ask(request_id, "cook")
            await asking.answer(request_id)
        await world.move(replaced=True, lost=True)
        world.cold.saved = {"version": 5, "dishes": 3}
        await world.until_second_lane_is_up()
        asking.ask("again", request_type)
        assert "code" not in await asking.answer("again")
        shown = await listening.pushed("session")
        assert shown["session"]["dishes"] >= 3
        for tab in (asking, listening):
            assert tab.versions == sorted(tab.versions)


@pytest.mark.parametrize("request_type", ["cook", "session", "level_check"])
async def test_a_request_between_two_masters_waits_for_the_new_one(
    masters: list[ValkeyServer], request_type: str
) -> None:
    """The old one is none any more, the new one does not answer yet: nobody is refused, newcomers neither."""
    async with two_masters(masters) as world:
        world.put(dishes=DISHES)
        tab = await world.joined()
        world.proxies[1].answering.clear()
        await world.move(replaced=True)
        await world.until_first_lane_is_down()
        tab.ask("between", request_type)
        newcomer = Tab(world.dispatch)
        newcomer.ask("between", "session")
        await world.settled()
        assert [each.received[1:] for each in (tab, newcomer)] == [[], []]
        world.proxies[1].answering.set()
        for each in (tab, newcomer):
            assert "code" not in await each.answer("between")


async def test_what_the_old_master_publishes_is_not_heard_beside_the_new_one(
    masters: list[ValkeyServer],
) -> None:
    """As a replica it passes on what the new one publishes, in front of answers that are held back."""
    async with two_masters(masters) as world:
        world.put(dishes=DISHES)
        tab = await world.joined()
        await world.move(replaced=False)
        await world.until_second_lane_is_up()
        tab.ask("there", "cook")
        version = (await tab.answer("there"))["version"]
        for server, dishes in ((0, 1000), (1, 2000)):
            news = f"elsewhere cook {version + 5 * (1 + server)} {dishes} 0 1"
            assert masters[server].ask("SPUBLISH", world.hub.players[USER].ref.channel.decode(), news) == 1
        assert (await tab.pushed("cook"))["dishes"] == 2000


async def test_what_postgresql_has_newer_is_shown_to_the_tabs_of_the_process_that_loads_it(
    masters: list[ValkeyServer],
) -> None:
    """The new master's session was shown before it was compared: its successor is shown as well."""
    async with two_masters(masters) as world:
        world.put(dishes=DISHES, version=FAR_AHEAD)
        asking, listening = await world.joined(), await world.joined()
        world.put(1, version=FAR_AHEAD + 100_000, dishes=3, stamp=world.stamp_of(0))
        newer = Session(USER, version=FAR_AHEAD + 200_000, accrued_at_ms=0, bought={SANDWICH: 1}, money=777.0)
        world.cold.newer = Saved("", newer, [])
        await world.move(replaced=True, lost=True)
        await world.until_second_lane_is_up()
        assert (await listening.pushed("session"))["version"] == FAR_AHEAD + 100_000
        listening.received.clear()
        asking.ask("again", "cook")
        assert (await asking.answer("again"))["version"] > newer.version
        assert (await listening.pushed("session"))["session"]["money"] == newer.money


@pytest.mark.parametrize("late", [False, True])
@pytest.mark.parametrize("found", ["lower", "same", "missing"])
@pytest.mark.parametrize("request_type", ["session", "cook"])
async def test_a_version_that_was_sent_is_not_given_again_by_another_master(
    masters: list[ValkeyServer], request_type: str, found: str, late: bool
) -> None:
    """Two masters served for a while, and the one that is left has gone another way, up to a lower version.

    The session there was refreshed by another process, or comes from PostgreSQL. It is compared with
    PostgreSQL, then shown under a version above all that the other master gave. `late`: the connection to the
    new master opens only after the player's slot is known to be there.
    """
    async with two_masters(masters) as world:
        world.put(dishes=DISHES, version=FAR_AHEAD)
        asking, listening = await world.joined(), await world.joined()
        for request_id in ("1", "2"):
            asking.ask(request_id, "cook")
            await asking.answer(request_id)
        sent = max(asking.versions)
        assert sent > FAR_AHEAD
        if late:
            world.proxies[1].answering.clear()
        else:
            await world.open_second_lane()
        if found == "missing":
            world.cold.saved = {"version": 5, "dishes": 3}
        else:
            version = FAR_AHEAD if found == "lower" else sent
            world.put(1, version=version, dishes=3, cook_gain=1, click_xp=100, stamp=world.stamp_of(1))
        await world.move(replaced=True, lost=True)
        world.proxies[1].answering.set()
        await world.until_second_lane_is_up()
        asking.ask("again", request_type)
        answer = await asking.answer("again")
        assert answer["version"] > sent
        shown = await listening.pushed("session")
        assert shown["session"]["dishes"] >= 3
        assert world.cold.verified or found == "missing"
        for tab in (asking, listening):
            assert tab.versions == sorted(tab.versions)
