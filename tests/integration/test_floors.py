"""A version that was sent is kept with a suspected session for as long as it may be needed."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Final

import pytest

from game.session import Session, UserId
from persistence.live.hashes import fields_of
from persistence.live.session_commands import FLOOR_KEPT_MS
from tests.support.plain_keys import session_key

if TYPE_CHECKING:
    from collections.abc import Mapping

    from persistence.live.scripts import Script
    from tests.support.wire import Wire

VERSION: Final = 5000
A_DAY_MS: Final = 86_400_000
FOREVER: Final = -1
_users: Final = map(UserId, itertools.count(940_000))


def _session(wire: Wire, left_ms: int) -> str:
    """Make a session that leaves Redis in so many ms, or never."""
    user = next(_users)
    wire.ask("DEL", session_key(user))
    wire.ask("HSET", session_key(user), *fields_of(Session(user, VERSION, 0), ""))
    if left_ms != FOREVER:
        wire.ask("PEXPIRE", session_key(user), left_ms)
    return session_key(user)


def _raise_above(wire: Wire, scripts: Mapping[str, Script], key: str, version: int) -> bytes:
    [status] = wire.ask("EVALSHA", scripts["raise_above"].sha, 1, key, version, FLOOR_KEPT_MS)
    return bytes(status)


@pytest.mark.parametrize(
    ("left_ms", "least_ms", "most_ms"),
    [
        (60_000, FLOOR_KEPT_MS - 60_000, FLOOR_KEPT_MS),
        (A_DAY_MS, FLOOR_KEPT_MS + 1, A_DAY_MS),
        (FOREVER, FOREVER, FOREVER),
    ],
    ids=["sooner", "later", "never"],
)
def test_a_suspected_session_stays_as_long_as_its_floor_is_kept(
    wire: Wire, scripts: Mapping[str, Script], left_ms: int, least_ms: int, most_ms: int
) -> None:
    """A clean session that leaves Redis takes the version with it, and one that is loaded begins below it."""
    key = _session(wire, left_ms)

    assert _raise_above(wire, scripts, key, VERSION + 1) == b"suspected"

    assert wire.ask("HGET", key, "floor") == str(VERSION + 1).encode()
    assert least_ms <= wire.ask("PTTL", key) <= most_ms


def test_a_session_that_is_ahead_leaves_redis_as_before(wire: Wire, scripts: Mapping[str, Script]) -> None:
    """There is nothing to keep."""
    key = _session(wire, 60_000)

    assert _raise_above(wire, scripts, key, VERSION - 1) == b"ahead"

    assert wire.ask("HGET", key, "floor") is None
    assert wire.ask("PTTL", key) <= 60_000


def test_a_floor_without_a_session_waits_for_it(wire: Wire, scripts: Mapping[str, Script]) -> None:
    """As long as it is kept, and not for ever."""
    key = session_key(next(_users))
    wire.ask("DEL", key)

    assert _raise_above(wire, scripts, key, VERSION) == b"missing"

    assert 0 < wire.ask("PTTL", key) <= FLOOR_KEPT_MS
