"""A call that several players share, on a real Valkey: no player's fault touches the others."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any, Final

import hiredis
import pytest

from game import rates
from game.session import Session, UserId
from persistence.live.click_groups import MOST_IN_A_CALL
from persistence.live.hashes import fields_of
from persistence.live.keys import bucket_of
from persistence.live.record import PACKED_NOW, PACKED_RATES, read_now
from persistence.live.replies.clicks import REPLIES_OF_CLICKS
from tests.support.game_catalogue import CATALOGUE, SANDWICH
from tests.support.plain_keys import channel, dirty_key, session_key
from tests.support.wire import CLOCK_KEY, Wire, connected

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from persistence.live.scripts import Script
    from tests.support.servers import ValkeyServer

NOW_US: Final = 1_764_000_000_123_456
STAMP: Final = "3.run"
CAP_S: Final = 28_800
_users: Final = map(UserId, itertools.count(930_000))


def _player(wire: Wire) -> UserId:
    """Make a player who owns the sandwich and has 40 dishes."""
    session = Session(next(_users), 5, NOW_US // 1000, dishes=40.0, bought={SANDWICH: 1})
    derived = rates.rates_of(session, CATALOGUE)
    sums = {kind.value: amount for kind, amount in derived.sums.items()}
    numbers = [
        derived.cook_gain,
        derived.click_xp,
        *(sums[name] for name in ("mPc", "mM", "sPs", "dPc", "dM", "mPs", "dPs", "mpM", "dpM")),
        derived.need,
        float(CATALOGUE.level_xp[1]),
    ]
    packed = PACKED_RATES.pack(*numbers) + STAMP.encode()
    # Tests of other files share this Redis, and may have had the same player.
    wire.ask("DEL", session_key(session.user_id))
    wire.ask("ZREM", dirty_key(bucket_of(session.user_id)), session.user_id)
    wire.ask("HSET", session_key(session.user_id), *fields_of(session, ""), "rates", packed)
    return session.user_id


def _call(
    wire: Wire, script: Script, players: list[UserId], *, burst: int = 10, counts: Mapping[UserId, int] = {}
) -> list[Any]:
    """Let players click in one call: one click each, or as many as `counts` says, with `own` 0."""
    wire.ask("SET", CLOCK_KEY, NOW_US)
    keys = [key for user in players for key in (session_key(user), dirty_key(bucket_of(user)))]
    words: list[Any] = []
    for user in players:
        words += [channel(user), *([0, counts.get(user, 1), "", ""] if counts else [])]
    reply: list[Any] = wire.ask(
        "EVALSHA", script.sha, len(keys), *keys, STAMP, "me", "20000.0", burst, CAP_S, *words
    )
    return REPLIES_OF_CLICKS[script.name.removesuffix("s")](reply)


def _wrong_type(wire: Wire, user: UserId) -> None:
    wire.ask("DEL", session_key(user))
    wire.ask("SET", session_key(user), "not a hash")


def _without_stamp(wire: Wire, user: UserId) -> None:
    wire.ask("HDEL", session_key(user), "rates")


def _deleted(wire: Wire, user: UserId) -> None:
    wire.ask("DEL", session_key(user))


def _cut_short(wire: Wire, user: UserId) -> None:
    wire.ask("HSET", session_key(user), "now", b"\0" * 11)


def _out_of_clicks(wire: Wire, user: UserId) -> None:
    now = read_now(wire.ask("HGET", session_key(user), "now"))
    wire.ask("HSET", session_key(user), "now", PACKED_NOW.pack(*now._replace(tat=NOW_US + 200_000.0)))


FAULTS: Final[Mapping[str, tuple[Callable[[Wire, UserId], None], bytes]]] = {
    "wrong type": (_wrong_type, b"WRONGTYPE"),
    "without a stamp": (_without_stamp, b"stale"),
    "deleted": (_deleted, b"missing"),
    "cut short": (_cut_short, b"ERR"),
    "over the limit": (_out_of_clicks, b"rate_limited"),
}


def _word(reply: Any) -> bytes:
    """Return the first word of a reply or an error."""
    if isinstance(reply, hiredis.ReplyError):
        return str(reply).partition(" ")[0].encode()
    status, *_ = reply
    return bytes(status)


@pytest.mark.parametrize("kind", ["cooks", "sells"])
@pytest.mark.parametrize("position", [0, 3, MOST_IN_A_CALL - 1])
@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_one_players_own(
    wire: Wire, scripts: Mapping[str, Script], kind: str, position: int, fault: str
) -> None:
    """Of twelve players one has a fault: eleven are answered and marked as if they were alone."""
    players = [_player(wire) for _ in range(MOST_IN_A_CALL)]
    break_it, word = FAULTS[fault]
    break_it(wire, players[position])

    replies = _call(wire, scripts[kind], players)

    expected = [b"ok"] * MOST_IN_A_CALL
    expected[position] = word
    assert expected == [_word(reply) for reply in replies]
    marks = [wire.ask("ZSCORE", dirty_key(bucket_of(user)), user) is not None for user in players]
    assert [status == b"ok" for status in expected] == marks


def test_faults_of_several_players_are_each_their_own(wire: Wire, scripts: Mapping[str, Script]) -> None:
    """All faults in one call, one behind the other, the first and the last player well."""
    players = [_player(wire) for _ in range(len(FAULTS) + 2)]
    first, *broken, last = players
    for user, (break_it, _) in zip(broken, FAULTS.values(), strict=True):
        break_it(wire, user)

    replies = _call(wire, scripts["sells"], players)

    assert [b"ok", *(word for _, word in FAULTS.values()), b"ok"] == [_word(reply) for reply in replies]
    for user in (first, last):
        assert read_now(wire.ask("HGET", session_key(user), "now")).dishes == 39


def test_a_player_who_clicks_twice_in_a_call_is_served_in_order(
    wire: Wire, scripts: Mapping[str, Script]
) -> None:
    """Two tabs of one player click in one pass: the second sees what the first left."""
    one, two = _player(wire), _player(wire)

    first, _, second = _call(wire, scripts["cooks"], [one, two, one])

    _, version, dishes, *_ = first
    assert [version + 1, dishes + 1] == second[1:3]


def test_a_limit_is_each_players_own(wire: Wire, scripts: Mapping[str, Script]) -> None:
    """Ten clicks at once are the limit: who asks for twelve gets ten, the other one gets theirs."""
    greedy, modest = _player(wire), _player(wire)

    *_, applied = _call(wire, scripts["cooks"], [greedy, modest], counts={greedy: 12})[0]
    *_, other = _call(wire, scripts["cooks"], [modest, greedy])[0]

    assert (applied, other) == (10, 1)


def test_each_change_is_published_to_its_own_player(
    wire: Wire, scripts: Mapping[str, Script], valkey_server: ValkeyServer
) -> None:
    """A client that subscribes to a player's channel hears that player's change, and of no other."""
    one, two = _player(wire), _player(wire)
    with connected(str(valkey_server.socket)) as subscriber:
        subscriber.ask("SSUBSCRIBE", channel(two))
        _call(wire, scripts["sells"], [one, two], counts={two: 1})
        wire.ask("SPUBLISH", channel(two), "end")

        heard = [subscriber.read()[2].decode().split(" ") for _ in range(2)]

    (origin, kind, *_), last = heard
    assert (origin, kind, last) == ("me", "sell", ["end"])
