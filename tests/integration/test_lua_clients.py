"""Which of a player's clients and of their numbers are remembered, by the scripts and by the Python model."""

from __future__ import annotations

import functools
import itertools
import struct
from typing import TYPE_CHECKING, Final

import pytest

from game.rules import Tag
from game.session import ClientWindow, UserId
from persistence.live.keys import bucket_of
from tests.support.live_hash import hash_of
from tests.support.plain_keys import channel, dirty_key, session_key
from tests.support.twins import NOW_US, Twins
from tests.support.wire import CLOCK_KEY, Wire

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from persistence.live.scripts import Script

CAP_S: Final = 28_800
_users: Final = itertools.count(930000)


def test_32_clients_are_remembered(wire: Wire, begin: Callable[..., Twins]) -> None:
    """The 33rd takes the place of the longest unused, whatever their names."""
    twins = begin()
    for number in range(33):
        twins.cook(tag=Tag(f"клиент {number}", 1))
    twins.wait(1_000_000)
    for number in range(40):
        twins.cook(tag=Tag(f"tab {number % 34}", 1 + number))
    twins.hold(wire)
    assert len(twins.live.session.clients) == 32


@pytest.mark.parametrize("back_us", [0, 60_000_000, 86_400_000_000, 365 * 86_400_000_000])
def test_the_client_in_use_is_never_forgotten(wire: Wire, begin: Callable[..., Twins], back_us: int) -> None:
    """Of 40 within a second the newest stay, and their numbers count once, however far a clock steps back."""
    twins = begin()
    twins.cook(tag=Tag("first", 1))
    twins.wait(-back_us)
    names = [f"tab {number:02}" for number in reversed(range(40))]
    for name in names:
        twins.cook(tag=Tag(name, 1))
        twins.cook(tag=Tag(name, 1))
    twins.hold(wire)
    assert set(names[-32:]) == set(twins.live.session.clients)


def test_windows_of_an_older_release_are_read(wire: Wire, scripts: Mapping[str, Script]) -> None:
    """One whose last use is in seconds counts as used then: known for a week, older than what is new."""
    user_id = UserId(next(_users))
    keys = session_key(user_id), dirty_key(bucket_of(user_id))
    wire.ask("SET", CLOCK_KEY, NOW_US)
    now_s, common = NOW_US // 1_000_000, ("1.r", user_id, channel(user_id), 0, "w")
    wire.ask("HSET", keys[0], *hash_of(version=1, stamp="1.r", cook_gain=3, rank=0))
    for number in range(32):
        wire.ask("HSET", keys[0], f"c:tab {number}", struct.pack("<4d", 5, 0, 1, now_s - 40 + number))
    wire.ask("HSET", keys[0], "c:tab 3", struct.pack("<4d", 5, 0, 1, now_s - 604_801))
    ask = functools.partial(wire.ask, "EVALSHA", scripts["cook"].sha, 2, *keys, *common, 1, "0", 1)
    assert ask("tab 0", 5)[0] == b"duplicate"
    assert ask("tab 0", 6)[0] == ask("tab 3", 5)[0] == ask("new", 1)[0] == b"ok"
    left = {name for name in wire.ask("HKEYS", keys[0]) if name.startswith(b"c:")}
    assert left == {b"c:new"} | {f"c:tab {number}".encode() for number in range(32) if number != 1}


def test_clients_unused_for_a_week_go(wire: Wire, begin: Callable[..., Twins]) -> None:
    """With a new client all that were unused for a week go; until then their own numbers start again."""
    twins = begin(clients={f"old {number}": ClientWindow(70, 3, NOW_US // 1000) for number in range(9)})
    twins.wait(604_799_000_000)
    twins.cook(tag=Tag("old 1", 71))
    twins.session(CAP_S, "old 2")
    twins.wait(1_000_000)
    twins.session(CAP_S, "old 2")
    twins.cook(tag=Tag("old 2", 70))
    twins.cook(tag=Tag("new", 1))
    twins.hold(wire)
    assert set(twins.live.session.clients) == {"old 1", "old 2", "new"}


def test_windows_shift_through_both_words(wire: Wire, begin: Callable[..., Twins]) -> None:
    """Every distance from 1 to 66, forwards and back, sets and finds the right bit of 64."""
    twins = begin()
    seq = 1000
    for step in range(1, 67):
        seq += step
        twins.cook(tag=Tag("tab", seq))
        for back in (1, 30, 31, 32, 33, 62, 63, 64, step):
            twins.cook(tag=Tag("tab", seq - back))
    twins.cook(tag=Tag("tab", 2**53 - 1))
    twins.cook(tag=Tag("tab", 2**53 - 64))
    twins.cook(tag=Tag("tab", 2**53 - 65))
    twins.hold(wire)
