"""A slot that stays on its way: a player's keys are at its old master, at the new one, or nowhere.

Redis executes no command with several keys then, for as long as it takes.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import time
from typing import TYPE_CHECKING

import asyncpg
import pytest
import redis

from game.session import UserId
from persistence.live.keys import BUCKETS, bucket_of
from server.auth.tokens import TokenSigner
from tests.support import servers
from tests.support.game_server import running_game
from tests.support.limits import LIMIT_S
from tests.support.live_hash import by_name, with_values
from tests.support.plain_keys import dirty_key, session_key
from tests.support.players import EXTERNAL, player
from tests.support.slots import begin_to_move, end_of_move, move_keys, move_the_rest, owner_of, slot_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from tests.support.servers import ValkeyServer

CLICKS = 5
LEFT: dict[str, tuple[bool, bool, bool]] = {
    "nothing has left": (False, False, False),
    "the session has left": (True, True, False),
    "the marks have left": (False, True, True),
    "both have left": (True, True, True),
    "there are no marks": (False, False, False),
    "the session has left, there are no marks": (True, False, False),
}
"""Whether the session leaves, whether it is marked, whether the marks leave."""
_ids = itertools.count(10_000)


async def account(dsn: str, *, dishes: int | None, user_id: UserId) -> str:
    """Open an account, with a session in PostgreSQL where there are dishes; return a token."""
    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute(
            "INSERT INTO accounts (id, email, password_hash) OVERRIDING SYSTEM VALUE VALUES ($1, $2, '-')",
            user_id,
            f"split{user_id}@example.com",
        )
        if dishes is not None:
            await connection.execute(
                "INSERT INTO sessions (user_id, version, accrued_at, bought, dishes)"
                " VALUES ($1, 1, $2, '1:1', $3)",
                user_id,
                int(time.time() * 1000),
                float(dishes),
            )
    finally:
        await connection.close()
    signer = TokenSigner([EXTERNAL["ACCESS_TOKEN_SECRET"]], [EXTERNAL["REFRESH_TOKEN_SECRET"]])
    return signer.issue_pair(user_id, f"f{user_id}", f"j{user_id}", int(time.time())).access_token


async def saved_dishes(dsn: str, user_id: UserId, wanted: int) -> None:
    """Wait until PostgreSQL has so many dishes of a player."""
    connection = await asyncpg.connect(dsn)
    try:
        async with asyncio.timeout(LIMIT_S):
            dishes = None
            while dishes != wanted:
                await asyncio.sleep(servers.POLL_S)
                dishes = await connection.fetchval("SELECT dishes FROM sessions WHERE user_id = $1", user_id)
    finally:
        await connection.close()


async def until_clean(node: ValkeyServer, user_id: UserId) -> None:
    """Wait until nobody in a player's bucket is marked."""
    async with asyncio.timeout(LIMIT_S):
        while node.ask("EXISTS", dirty_key(bucket_of(user_id))):  # noqa: ASYNC110 - Redis tells nobody
            await asyncio.sleep(servers.POLL_S)


@contextlib.asynccontextmanager
async def slot_on_its_way(
    nodes: list[ValkeyServer], user_id: UserId, leaving: Sequence[str]
) -> AsyncIterator[ValkeyServer]:
    """Move some keys of a player's slot; the others, and the slot, follow at the end of the block."""
    slot = slot_of(user_id)
    home = owner_of(nodes, slot)
    away = next(node for node in nodes if node is not home)
    begin_to_move(home, slot, away)
    if leaving:
        move_keys(home, away, leaving)
    try:
        yield home
    finally:
        move_the_rest(home, slot, away)
        end_of_move(nodes, slot, away)


@pytest.mark.parametrize("left", LEFT)
async def test_a_player_whose_keys_are_split_plays_on(
    module_databases: dict[str, str], cluster_nodes: list[ValkeyServer], left: str
) -> None:
    """No request is refused; what was played meanwhile is saved once the slot has arrived."""
    session_leaves, marked, marks_leave = LEFT[left]
    dsn, url = module_databases["DB_CONNECTION"], servers.cluster_url(cluster_nodes)
    settings = {**EXTERNAL, **module_databases, "REDIS_CONNECTION": url}
    with running_game({**settings, "FLUSHER": "off" if marked else "on"}) as server:
        user_id = UserId(next(_ids))
        token = await account(dsn, dishes=0, user_id=user_id)
        session, marks = session_key(user_id), dirty_key(bucket_of(user_id))
        async with player(server, token) as anna:
            await anna.ask("session")
            if not marked:
                await until_clean(owner_of(cluster_nodes, slot_of(user_id)), user_id)
            async with slot_on_its_way(
                cluster_nodes, user_id, [session] * session_leaves + [marks] * marks_leave
            ):
                for number in range(1, CLICKS + 1):
                    assert (await anna.ask("cook", client="tab", seq=number))["dishes"] == number
                assert (await anna.ask("cook", client="tab", seq=1))["duplicate"]
                assert (await anna.ask("sell"))["dishes"] == CLICKS - 1
                assert "code" not in await anna.ask("session")
                assert "code" not in await anna.ask("level_check")
            assert (await anna.ask("cook", client="tab", seq=CLICKS + 1))["dishes"] == CLICKS
        with running_game(settings):
            await saved_dishes(dsn, user_id, CLICKS)
            await until_clean(owner_of(cluster_nodes, slot_of(user_id)), user_id)


async def test_a_tab_is_shown_what_it_missed_before_a_click_of_its_own_elsewhere(
    module_databases: dict[str, str], cluster_nodes: list[ValkeyServer]
) -> None:
    """Another process changed the session where the slot is on its way to, and was lost before it said so.

    The tab cooked behind that. When its own process has subscribed again, the tab has the version of the
    session that is read then, and has missed a change all the same.
    """
    settings = {**EXTERNAL, **module_databases, "REDIS_CONNECTION": servers.cluster_url(cluster_nodes)}
    with running_game({**settings, "FLUSHER": "off"}) as game:
        user_id = UserId(next(_ids))
        token = await account(module_databases["DB_CONNECTION"], dishes=5, user_id=user_id)
        keys = [session_key(user_id), dirty_key(bucket_of(user_id))]
        async with player(game, token) as tab:
            await tab.ask("session")
            async with slot_on_its_way(cluster_nodes, user_id, keys) as home:
                away = next(node for node in cluster_nodes if node is not home)
                change_on_its_way(away, user_id, money=700)
                assert (await tab.ask("cook"))["dishes"] == 6
                for kind in ("normal", "pubsub"):
                    home.ask("CLIENT", "KILL", "TYPE", kind)
                assert (await tab.push("session"))["session"]["money"] == 700


def change_on_its_way(node: ValkeyServer, user_id: UserId, **values: int) -> None:
    """Set values of a session at the node that its slot is on its way to, under a newer version."""
    key = session_key(user_id)
    with redis.Redis(port=node.port) as client, client.pipeline(transaction=False) as commands:
        commands.execute_command("ASKING")
        commands.hgetall(key)
        _, fields = commands.execute()
        version = int(by_name(fields)["version"]) + 1
        commands.execute_command("ASKING")
        commands.hset(key, mapping=with_values(fields, {"version": version, **values}))
        commands.execute()


@pytest.mark.parametrize("dishes", [3, None])
@pytest.mark.parametrize("left", ["nothing has left", "the marks have left", "there are no marks"])
async def test_a_session_is_loaded_into_a_slot_on_its_way(
    module_databases: dict[str, str], cluster_nodes: list[ValkeyServer], left: str, dishes: int | None
) -> None:
    """A player who comes meanwhile, from PostgreSQL or for the first time, plays; what that changes is saved.

    The keys that are split are those of another player in the same slot.
    """
    session_leaves, marked, marks_leave = LEFT[left]
    dsn, url = module_databases["DB_CONNECTION"], servers.cluster_url(cluster_nodes)
    settings = {**EXTERNAL, **module_databases, "REDIS_CONNECTION": url}
    with running_game({**settings, "FLUSHER": "off" if marked else "on"}) as server:
        first_id = UserId(next(_ids))
        user_id = UserId(first_id + BUCKETS)
        first = await account(dsn, dishes=0, user_id=first_id)
        token = await account(dsn, dishes=dishes, user_id=user_id)
        session, marks = session_key(first_id), dirty_key(bucket_of(first_id))
        async with player(server, first) as berta, player(server, token) as anna:
            await berta.ask("session")
            if not marked:
                await until_clean(owner_of(cluster_nodes, slot_of(first_id)), first_id)
            async with slot_on_its_way(
                cluster_nodes, first_id, [session] * session_leaves + [marks] * marks_leave
            ):
                opened = await anna.ask("session")
                assert opened["session"]["dishes"] == (dishes or 0)
                if dishes is None:
                    assert (await anna.ask("upgrade_buy", id=1))["times_bought"] == 1
                for number in range(1, CLICKS + 1):
                    cooked = await anna.ask("cook", client="tab", seq=number)
                    assert cooked["dishes"] == (dishes or 0) + number
        with running_game(settings):
            await saved_dishes(dsn, user_id, (dishes or 0) + CLICKS)
            await until_clean(owner_of(cluster_nodes, slot_of(user_id)), user_id)
