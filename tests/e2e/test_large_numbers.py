"""Beyond 2^53, at rank 100, at the largest counts: no request fails, nothing turns negative or infinite."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any, cast

import asyncpg
import pytest
import redis

from game.accrual import accrue
from game.rates import rates_of
from persistence.live.hashes import session_of
from seeds.files import read_catalogue
from tests.support.game_server import running_game
from tests.support.players import EXTERNAL, Player, player
from tests.support.seeding import Seeded, seeded_player

if TYPE_CHECKING:
    from game.session import Session
    from tests.support.servers import ValkeyServer

MOST = 1e300
EXACT = 2**53
CATALOGUE = read_catalogue()
EVERYTHING_ONCE = ",".join(f"{upgrade_id}:1" for upgrade_id in sorted(CATALOGUE.by_id))
BOUGHT_OFTEN = ",".join(
    f"{upgrade.id}:{1 if upgrade.upgrade_type == 'dish' else EXACT}"
    for upgrade in sorted(CATALOGUE.upgrades, key=lambda each: each.id)
)
PASTS: dict[str, dict[str, object]] = {
    "just past 2^53": {
        "bought": EVERYTHING_ONCE,
        "money": float(EXACT + 2),
        "dishes": float(EXACT + 2),
        "rank": 99,
        "xp": float(EXACT + 2),
        "accumulated": 20_000.0,
    },
    "rank 100 with everything bought 2^53 times": {
        "bought": BOUGHT_OFTEN,
        "money": 1e200,
        "dishes": 1e200,
        "rank": 100,
        "xp": 0.0,
        "stars": 1e15,
        "accumulated": 1e15,
        "boost": 1e12,
    },
    "all there can be": {
        "bought": BOUGHT_OFTEN,
        "money": MOST,
        "dishes": MOST,
        "rank": 99,
        "xp": MOST,
        "stars": MOST,
        "accumulated": MOST,
        "boost": MOST,
        "clicks": MOST,
        "cooked": MOST,
        "earned": MOST,
        "purchases": MOST,
        "resets": MOST,
    },
    "prices that overflow": {
        "bought": ",".join(f"{each.id}:10000" for each in CATALOGUE.upgrades if each.price_factor > 1),
        "money": MOST,
        "rank": 100,
    },
}
MAY_BE_REFUSED = {
    "no_dish",
    "no_dishes",
    "not_enough_money",
    "not_enough_prestige",
    "upgrade_locked",
    "upgrade_not_found",
}
AMOUNTS = ("money", "dishes", "rank", "xp", "stars", "accumulated", "boost", "clicks", "cooked", "earned")
CAP_S = 28_800
BEYOND_EXACT = 1e-11
"""Sums beyond 2^53 are exact to one part in 10^12; some follow each other."""


async def test_every_request_is_answered_and_postgresql_keeps_it(
    module_databases: dict[str, str], own_valkey: ValkeyServer
) -> None:
    """Each request is answered in valid JSON with sound numbers; every state comes back."""
    settings = {**EXTERNAL, **module_databases, "REDIS_CONNECTION": own_valkey.url}
    # No tick changes what is compared.
    settings["PASSIVE_INTERVAL_MS"] = "60000"
    dsn = settings["DB_CONNECTION"]
    with running_game(settings) as server:
        owners = [await seeded_player(dsn, away_s=30_000, **past) for past in PASTS.values()]
        for owner in owners:
            async with player(server, owner.token) as each:
                await play_everything(each)
        assert server.stop() == 0
        before = {owner: held_session(own_valkey, owner) for owner in owners}
        for owner in owners:
            kept = await row(dsn, owner.user_id)
            held = owner.fields(own_valkey, *AMOUNTS)
            assert [float(text) for text in held] == [kept[name] for name in AMOUNTS]
            assert all(0 <= kept[name] <= MOST for name in AMOUNTS)
        own_valkey.ask("FLUSHALL")
        server.start()
        for owner in owners:
            async with player(server, owner.token) as each:
                await each.ask("level_check")
                check_came_back(before[owner], held_session(own_valkey, owner))
                await play_everything(each)
                await checked(each, "session_reset")
                await play_everything(each)


def held_session(valkey: ValkeyServer, owner: Seeded) -> Session:
    """Read a session from Redis."""
    with redis.Redis.from_url(valkey.url) as client:
        fields = cast("dict[bytes, bytes]", client.hgetall(owner.key))
    return session_of(owner.user_id, fields)


def check_came_back(before: Session, after: Session) -> None:
    """Check that a session is what it was, and that the seconds since then were paid by the rules."""
    assert after.version >= before.version
    assert set(after.achieved) >= set(before.achieved)
    accrue(before, rates_of(before, CATALOGUE), after.accrued_at_ms, CAP_S).apply(before)
    for name in AMOUNTS:
        assert getattr(after, name) == pytest.approx(getattr(before, name), rel=BEYOND_EXACT), name
    assert (after.bought, after.clients) == (before.bought, before.clients)
    assert (after.purchases, after.resets) == (before.purchases, before.resets)


async def play_everything(each: Player) -> None:
    """Send every kind of request but a reset, in an order that lets each do something."""
    await checked(each, "session", client="tab")
    for count in (1, 1000):
        await checked(each, "cook", count=count)
        await checked(each, "sell", count=count)
    for upgrade_id in sorted(CATALOGUE.by_id):
        await checked(each, "upgrade_buy", id=upgrade_id)
    for request_type in ("passive", "upgrade_list", "level_check", "level_up", "level_up", "achievements"):
        await checked(each, request_type)
    await checked(each, "leaderboard")
    await checked(each, "cook", client="tab", seq=1)
    for message in each.pushes:
        check_numbers(message["data"])


async def checked(each: Player, request_type: str, **data: object) -> None:
    """Send a request; its answer is valid JSON whose numbers are sound."""
    await each.socket.send(
        json.dumps(
            {
                "message_type": "request",
                "request_id": "checked",
                "request_type": request_type,
                "data": {"token": each.token, **data},
            }
        )
    )
    while True:
        message = json.loads(await each.socket.recv(), parse_constant=_refuse)
        check_numbers(message["data"])
        if message["request_id"] == "checked":
            break
    assert message["data"].get("code") in {None, *MAY_BE_REFUSED}, message


def _refuse(text: str) -> float:
    raise AssertionError(f"{text} is no JSON")


def check_numbers(value: Any) -> None:
    """Check that every number is finite and at most what there can be; only losses away may be negative."""
    if isinstance(value, dict):
        for name, inner in value.items():
            if name != "offline":
                check_numbers(inner)
            else:
                assert all(math.isfinite(each) for each in inner.values())
    elif isinstance(value, list):
        for inner in value:
            check_numbers(inner)
    elif isinstance(value, int | float):
        assert math.isfinite(value), value
        assert 0 <= value <= MOST, value


async def row(dsn: str, user_id: int) -> asyncpg.Record:
    """Read what PostgreSQL keeps."""
    connection = await asyncpg.connect(dsn)
    try:
        found = await connection.fetchrow("SELECT * FROM sessions WHERE user_id = $1", user_id)
        assert found is not None
        return found
    finally:
        await connection.close()
