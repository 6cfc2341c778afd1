"""An operator's change of a session, on a real Valkey, held against the Python model."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

import pytest

from game.replacing import NUMBERS, Progress
from tests.support.game_catalogue import LOBSTER, SANDWICH
from tests.support.plain_keys import channel
from tests.support.wire import Wire, connected

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.servers import ValkeyServer
    from tests.support.twins import Twins

CAP_S: Final = 28_800
CHANGES: Final = ("money", "dishes", "xp", "stars", "accumulated", "boost", "rank", "1", "2", "5", "6", "8")


@pytest.mark.parametrize("seed", range(3))
def test_changes_between_requests_agree(
    wire: Wire, begin: Callable[..., Twins], valkey_server: ValkeyServer, seed: int
) -> None:
    """Script and model agree on each reply, field, mark and publication, whatever is changed."""
    chance = random.Random(seed)
    with connected(str(valkey_server.socket)) as tab:
        twins = begin(money=5e4, dishes=900.0, xp=7e5, bought={SANDWICH: 1, 5: 2, 6: 1})
        tab.ask("SSUBSCRIBE", channel(twins.live.session.user_id))
        for number in range(1, 41):
            twins.wait(chance.choice((1, 700_000, 3_000_000, 60_000_000)))
            twins.watch()
            what = chance.choice(CHANGES)
            twins.adjust(what, chance.choice((1.0, 3.0, 250.0, -1.0, -40.0, 0.0)), number, CAP_S)
            twins.watch()
            twins.cook(3)
            twins.sell(2)
            twins.upgrade_buy(3, CAP_S)
            twins.level_up(CAP_S)
        twins.hold(wire, tab)


def test_what_the_rules_forbid_is_refused(wire: Wire, begin: Callable[..., Twins]) -> None:
    """Below 0, past 1e300, no number, a second dish, no such rank or upgrade: nothing is written."""
    twins = begin(money=10.0, bought={SANDWICH: 1, LOBSTER: 1})
    refused = [
        twins.adjust(what, by, 1, CAP_S)
        for what, by in (
            ("money", -11.0),
            ("money", float("nan")),
            ("money", float("inf")),
            ("money", 1.1e300),
            ("money", 0.5),
            ("rank", 101.0),
            ("rank", -1.0),
            ("1", 1.0),
            ("3", -1.0),
            ("3", 100_001.0),
            ("4711", 1.0),
        )
    ]
    twins.hold(wire)
    assert [reply[0] for reply in refused] == [b"out_of_range"] * 10 + [b"upgrade_not_found"]
    assert twins.adjust("money", -10.0, 1, CAP_S)[2:] == [10, 0]
    twins.hold(wire)


def test_a_number_is_applied_once(wire: Wire, begin: Callable[..., Twins]) -> None:
    """The same number again changes nothing; the next one does."""
    twins = begin(money=0.0)
    assert twins.adjust("money", 7.0, 5, CAP_S)[0] == b"ok"
    assert twins.adjust("money", 7.0, 5, CAP_S)[0] == b"duplicate"
    assert twins.adjust("money", 7.0, 6, CAP_S)[2:] == [7, 14]
    twins.hold(wire)


def test_the_last_dish_taken_ends_cooking(wire: Wire, begin: Callable[..., Twins]) -> None:
    """Gains follow from what is owned afterwards: without a dish nobody cooks, with one again they do."""
    twins = begin(bought={SANDWICH: 1, 3: 4})
    twins.adjust("1", -1.0, 1, CAP_S)
    assert twins.live.rates.cook_gain == 0
    twins.adjust("1", 1.0, 2, CAP_S)
    twins.cook()
    twins.adjust("rank", 100.0, 3, CAP_S)
    twins.cook()
    twins.hold(wire)
    assert twins.live.session.dishes > 0


def test_an_import_replaces_progress(
    wire: Wire, begin: Callable[..., Twins], valkey_server: ValkeyServer
) -> None:
    """Script and model agree on what was there, with income paid, on what is there, and on what follows."""
    with connected(str(valkey_server.socket)) as tab:
        twins = begin(money=5e4, dishes=900.0, xp=7e5, bought={SANDWICH: 1, 5: 2, 6: 1})
        before = Progress.of_session(twins.live.session)
        tab.ask("SSUBSCRIBE", channel(twins.live.session.user_id))
        twins.cook(3)
        twins.wait(70_000_000)
        given = replace(before, money=1e300, rank=7.0, resets=2.0, bought={LOBSTER: 1, 3: 4}, achieved=(1, 5))
        assert twins.replace(given, 1, CAP_S)[0] == b"ok"
        twins.cook(2)
        twins.sell(1)
        assert twins.replace(before, 1, CAP_S)[0] == b"duplicate"
        twins.wait(3_000_000)
        assert twins.replace(before, 2, CAP_S)[0] == b"ok"
        twins.upgrade_buy(3, CAP_S)
        twins.hold(wire, tab)
        assert Progress.read(before.plain()) == before


def test_an_import_that_the_rules_forbid_is_refused(wire: Wire, begin: Callable[..., Twins]) -> None:
    """The first thing that is wrong is named, and nothing is written."""
    twins = begin(money=10.0, bought={SANDWICH: 1})
    own = Progress.of_session(twins.live.session)
    wrong: list[tuple[str, dict[str, Any]]] = [
        ("money", {"money": -1.0}),
        ("xp", {"xp": 0.5}),
        ("stars", {"stars": float("nan")}),
        ("earned", {"earned": 1.1e300}),
        ("boost", {"boost": float("inf")}),
        ("rank", {"rank": 101.0}),
        ("1", {"bought": {SANDWICH: 2}}),
        ("3", {"bought": {SANDWICH: 1, 3: 100_001}}),
        ("4711", {"bought": {4711: 1}}),
    ]
    for what, parts in wrong:
        assert twins.replace(replace(own, **parts), 1, CAP_S) == [b"out_of_range", what.encode()]
    twins.hold(wire)


@pytest.mark.parametrize(
    "parts",
    [
        {"money": "5"},
        {"money": True},
        {"money": 10**400},
        {"rank": None},
        {"bought": [1]},
        {"bought": {"1": "1"}},
        {"bought": {"x": 1}},
        {"achieved": [999]},
        {"achieved": [[1]]},
        {"achieved": {}},
    ],
)
def test_what_is_no_progress_is_refused(parts: dict[str, Any]) -> None:
    """An export that was edited into something else is read no further."""
    values = dict.fromkeys(NUMBERS, 1) | {"bought": {"1": 1}, "achieved": [1]}
    assert Progress.read(values).plain() == values
    with pytest.raises(ValueError, match=next(iter(parts))):
        Progress.read(values | parts)


def test_another_stamp_is_refused(wire: Wire, begin: Callable[..., Twins]) -> None:
    """A session derived from another catalogue is refreshed before it is changed."""
    twins = begin()
    twins.stale("adjust", CAP_S, "operators", 1, "money", "1.0", "1:mPc:100:1", "100")
    twins.hold(wire)
