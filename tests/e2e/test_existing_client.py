"""A client that was written for another server plays here unchanged."""

from __future__ import annotations

import asyncio
import itertools
import time
from typing import TYPE_CHECKING

import jwt
import pytest
import redis

from game.session import UserId
from tests.support.game_server import GameServer, running_game
from tests.support.legacy_client import ERRORS_WITHIN_S, MAX_ERRORS, LegacyClient, LoggedOut
from tests.support.limits import LIMIT_S
from tests.support.live_hash import change_values
from tests.support.plain_keys import session_key
from tests.support.players import EXTERNAL
from tests.support.servers import ValkeyServer, fresh_folder

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

CHEF = "chef"
FLOOD_S = 3.5
OUTAGE_S = 2.0

_numbers = itertools.count(1)


@pytest.fixture
async def anna(game: GameServer) -> LegacyClient:
    """A client whose player has just registered."""
    return await registered(game)


@pytest.fixture(scope="module")
def own_live() -> Iterator[ValkeyServer]:
    """A Valkey that tests may kill and start."""
    with fresh_folder("valkey") as folder:
        valkey = ValkeyServer(folder)
        valkey.start()
        yield valkey
        valkey.kill()


@pytest.fixture(scope="module")
def strict_game(module_databases: dict[str, str], own_live: ValkeyServer) -> Iterator[GameServer]:
    """A server that allows two clicks a second, with little credit: a busy machine makes more of them too."""
    limits = {"CLICK_RATE": "2", "CLICK_BURST": "10", "REDIS_CONNECTION": own_live.url}
    with running_game({**EXTERNAL, **module_databases, **limits}) as server:
        yield server


async def registered(server: GameServer) -> LegacyClient:
    """Open an account by the form of that client."""
    client = LegacyClient(server, f"legacy{next(_numbers)}@example.com")
    await client.enter("/reg")
    return client


async def patient(server: GameServer) -> LegacyClient:
    """Open an account for a client that gives up at no error: a busy machine may bring it many at once."""
    client = await registered(server)
    client.errors_within_s = 0
    return client


def check_not_logged_out(client: LegacyClient, began_s: float) -> None:
    """Check that errors came too slowly for that client to give up, on the whole since then."""
    most = (time.monotonic() - began_s) / ERRORS_WITHIN_S * (MAX_ERRORS - 1)
    assert len(client.errors()) <= most + 1, (len(client.errors()), most)


def user_id_of(client: LegacyClient) -> int:
    """Read the user's id where that client reads it: in the token, as a text."""
    claims = jwt.decode(client.tokens["access_token"], options={"verify_signature": False})
    assert isinstance(claims["id"], str)
    return int(claims["id"])


def enrich(client: LegacyClient, url: str, **fields: int) -> None:
    """Bring a player far in no time; an empty stamp makes the server derive what follows."""
    with redis.Redis.from_url(url) as live:
        change_values(live, session_key(UserId(user_id_of(client))), {"stamp": "", **fields})


def expire(client: LegacyClient) -> None:
    """Let the access token have run out a second ago."""
    claims = jwt.decode(client.tokens["access_token"], options={"verify_signature": False})
    past = {**claims, "iat": int(time.time()) - 900, "exp": int(time.time()) - 1}
    client.tokens["access_token"] = jwt.encode(past, EXTERNAL["ACCESS_TOKEN_SECRET"], algorithm="HS256")


async def open_kitchen(client: LegacyClient) -> None:
    """Begin as its tutorial does: the session, then the sandwich by its id."""
    await client.play("session")
    await client.play("upgrade_buy", id=1)


async def test_it_plays_from_its_first_dish_to_its_first_prestige(
    anna: LegacyClient, module_databases: dict[str, str]
) -> None:
    """Every request that it knows, every field that it reads, and its level after each change."""
    async with anna.connected():
        await open_kitchen(anna)
        for _ in range(5):
            await anna.play("cook")
        await anna.play("sell")
        assert (anna.dishes, anna.money, anna.xp) == (4, 1, 11)
        assert (anna.rank, anna.needed_xp) == (0, 100)
        enrich(anna, module_databases["REDIS_CONNECTION"], rank=11, money=10**9, xp=10**7, accumulated=15_000)
        await anna.play("upgrade_list")
        shop = {item["icon_name"]: upgrade_id for upgrade_id, item in anna.available.items()}
        assert [
            shop[name] for name in ("food_truck", "small_cafe", "family_restaurant", "gastro_restaurant")
        ] == [45, 46, 47, 48]
        await anna.play("upgrade_buy", id=shop[CHEF])
        assert anna.current[shop[CHEF]]["times_bought"] == 1
        began_s = time.monotonic()
        xp, needed = anna.xp, anna.needed_xp
        assert needed is not None
        await anna.play("level_up")
        assert anna.rank == 12
        # The chef may have cooked in between.
        assert xp - needed <= anna.xp <= xp - needed + 5 * (time.monotonic() - began_s + 1)
        await anna.play("session_reset")
        assert anna.stars == {"current_value": 1.5, "current_boost_value": 1.1, "accumulated_value": 0}
        assert (anna.money, anna.dishes, anna.rank) == (0, 0, 0)
    assert anna.errors() == []


async def test_what_comes_by_itself_comes_with_rank_and_xp(
    anna: LegacyClient, module_databases: dict[str, str]
) -> None:
    """Pushes of `passive` move what it shows, and it asks for its level after each."""
    async with anna.connected():
        await open_kitchen(anna)
        enrich(anna, module_databases["REDIS_CONNECTION"], rank=11, money=10**9)
        await anna.play("upgrade_list")
        await anna.play(
            "upgrade_buy", id=next(i for i, one in anna.available.items() if one["icon_name"] == CHEF)
        )
        xp, dishes = anna.xp, anna.dishes
        await anna.until(lambda: anna.dishes >= dishes + 2)
        assert anna.xp > xp
        assert anna.rank == 11
        pushed = [one for one in anna.heard if one["request_type"] == "passive"]
        assert {""} == {one["request_id"] for one in pushed}


async def test_its_words_for_an_old_token_are_answered_by_a_refresh(anna: LegacyClient) -> None:
    """Its token runs out during clicks: it refreshes at `token invalid`, once, and no click is missing."""
    async with anna.connected():
        await open_kitchen(anna)
        await anna.play("cook")
        expire(anna)
        await anna.send("cook")
        await anna.play("cook")
        assert anna.dishes == 3
    assert anna.errors() == ["token_invalid", "token_invalid"]
    assert anna.refreshes == 1


async def test_its_ids_begin_anew_on_each_connection_and_no_click_is_lost(anna: LegacyClient) -> None:
    """Three connections, each with requests "1", "2", …: all clicks count."""
    async with anna.connected():
        await open_kitchen(anna)
    for connection in range(1, 4):
        async with anna.connected():
            for _ in range(10):
                await anna.send("cook")
            await anna.until(lambda: not anna.busy)
        assert anna.dishes == 10 * connection


async def test_it_goes_on_without_a_session_once_its_token_is_renewed(anna: LegacyClient) -> None:
    """Its `session` after a reconnect meets an old token and is not repeated: the next click joins."""
    async with anna.connected():
        await open_kitchen(anna)
    other = LegacyClient(anna.server, anna.email)
    await other.enter("/auth")
    seen = len(anna.heard)
    async with anna.connected():
        expire(anna)
        await anna.play("session")
        await anna.play("cook")
        assert anna.refreshes == 1
        async with other.connected():
            await other.play("session")
            await other.play("cook")
            await anna.until(lambda: anna.dishes == 2)
            await anna.play("sell")
            await other.until(lambda: other.money == 1)
    assert "session" not in {one["request_type"] for one in anna.heard[seen:]}


async def test_its_log_in_of_before_is_good_and_a_wrong_one_is_told(anna: LegacyClient) -> None:
    """The form of `/auth` in another spelling of the address; a taken address is refused in words."""
    again = LegacyClient(anna.server, anna.email.upper())
    await again.enter("/auth")
    assert user_id_of(again) == user_id_of(anna)
    with pytest.raises(LoggedOut, match="this user already exist"):
        await again.enter("/reg")


async def test_it_does_give_up_at_fifteen_errors(anna: LegacyClient) -> None:
    """Fourteen refusals in a row are borne, the fifteenth logs its player out: the tests below can fail."""
    anna.errors_within_s = LIMIT_S  # of a busy machine too
    with pytest.RaisesGroup(LoggedOut):
        async with anna.connected():
            await open_kitchen(anna)
            for _ in range(MAX_ERRORS - 1):
                await anna.play("sell")
            assert anna.errors() == ["no_dishes"] * (MAX_ERRORS - 1)
            await anna.play("sell")


async def test_a_player_far_too_fast_is_never_logged_out(strict_game: GameServer) -> None:
    """At 200 clicks a second where two are allowed it meets refusals, fewer than make it give up."""
    client = await patient(strict_game)
    began_s = time.monotonic()
    async with client.connected() as socket:
        await open_kitchen(client)
        async for _ in every(1 / 200, FLOOD_S):
            await client.send("cook")
        await client.until(lambda: len(client.errors()) >= MAX_ERRORS)
        socket.transport.abort()  # what is still unsent would take long
    check_not_logged_out(client, began_s)
    assert {"rate_limited"} == set(client.errors())
    assert client.dishes == sum(one["request_type"] == "cook" for one in client.heard)


async def test_redis_away_for_two_seconds_logs_nobody_out(
    strict_game: GameServer, own_live: ValkeyServer
) -> None:
    """Through an outage under clicks it stays connected, is refused too seldom to give up, and plays on."""
    client = await patient(strict_game)
    async with client.connected():
        await open_kitchen(client)
        await client.play("cook")
        began_s = time.monotonic()
        own_live.kill()
        async for _ in every(1 / 20, OUTAGE_S):
            await client.send("cook")
        await client.until(lambda: "unavailable" in client.errors())
        before = client.dishes
        await asyncio.to_thread(own_live.start)
        async with asyncio.timeout(LIMIT_S):
            while client.dishes == before:  # all of before may have been refused
                await client.play("cook")
        await client.play("cook")
        check_not_logged_out(client, began_s)
    assert client.dishes == sum(one["request_type"] == "cook" for one in client.heard)


async def every(interval_s: float, duration_s: float) -> AsyncIterator[int]:
    """Tick for a while, as often as intended on the whole."""
    loop = asyncio.get_running_loop()
    begin_s = loop.time()
    for tick in range(round(duration_s / interval_s)):
        await asyncio.sleep(max(0.0, begin_s + tick * interval_s - loop.time()))
        yield tick
