"""A connection lives as long as the log-in of its last good token, whatever else it shows and Redis does."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

import httpx
import pytest

from scripts.ports import free_port
from tests.e2e.test_errors import close_code
from tests.security.test_revoked_everywhere import REVOKED, post
from tests.support.game_server import running_game
from tests.support.limits import LIMIT_S
from tests.support.players import EXTERNAL, PASSWORD, Player, player, register
from tests.support.redis_proxy import redis_proxy

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.support.game_server import GameServer
    from tests.support.redis_proxy import RedisProxy
    from tests.support.servers import ValkeyServer


async def log_ins(server: GameServer, email: str, count: int) -> list[dict[str, str]]:
    """One new user, logged in so often."""
    found = [await asyncio.to_thread(register, server, email)]
    while len(found) < count:
        answer = await post(server, "/auth", "", {"email": email, "password": PASSWORD})
        found.append(answer.json()["tokens"])
    return found


async def showing(each: Player, tokens: dict[str, str], request_type: str = "level_check") -> str:
    """Show a log-in on a connection; return the code of the refusal, "good" where there is none."""
    each.token = tokens["access_token"]
    answer = await each.ask(request_type)
    return str(answer.get("code", "good"))


async def showing_until_redis_answers(each: Player, tokens: dict[str, str]) -> str:
    """Show a log-in again for as long as it is unavailable."""
    async with asyncio.timeout(LIMIT_S):
        while True:
            code = await showing(each, tokens, "session")
            if code != "unavailable":
                return code


async def log_out(server: GameServer, tokens: dict[str, str]) -> None:
    """End a log-in."""
    async with asyncio.timeout(LIMIT_S):
        while True:
            answer = await post(server, "/logout", tokens["refresh_token"])
            if answer.status_code != httpx.codes.SERVICE_UNAVAILABLE:
                assert answer.status_code == 200
                return


async def test_a_refused_token_leaves_nothing_behind(game: GameServer) -> None:
    """Showing a revoked log-in of the same user does not take the connection away from its own."""
    own, ended = await log_ins(game, "refused@example.com", 2)
    async with player(game, own["access_token"]) as each:
        assert await showing(each, own, "session") == "good"
        await log_out(game, ended)
        assert await showing(each, ended) == "token_invalid"
        assert await showing(each, own) == "good"
        assert await showing(each, ended) == "token_invalid"
        await log_out(game, own)
        assert await close_code(each.socket) == REVOKED


async def test_waiting_messages_with_many_tokens(game: GameServer) -> None:
    """Each is judged by its own token, in order, and the last good one says which log-in plays."""
    own, ended, third = await log_ins(game, "many@example.com", 3)
    foreign = await asyncio.to_thread(register, game)
    await log_out(game, ended)
    async with player(game, own["access_token"]) as each:
        assert await showing(each, own, "session") == "good"
        ids = []
        for tokens in (ended, own, third, foreign, ended, third, ended):
            each.token = tokens["access_token"]
            ids.append(await each.send("level_check"))
        codes = [(await each.answer(request_id))["data"].get("code", "good") for request_id in ids]
        bad, good = "token_invalid", "good"
        assert codes == [bad, good, good, bad, bad, good, bad]
        await log_out(game, third)
        assert await close_code(each.socket) == REVOKED


async def test_a_connection_is_nobodys_until_a_token_is_good(game: GameServer) -> None:
    """After a revoked first token another user's is taken as on a fresh connection."""
    ended, alive = await log_ins(game, "nobody@example.com", 2)
    await log_out(game, ended)
    other = await asyncio.to_thread(register, game)
    async with player(game, ended["access_token"]) as each:
        assert await showing(each, ended, "session") == "token_invalid"
        assert await showing(each, other, "session") == "good"
        assert await showing(each, alive) == "token_invalid"


@dataclass(frozen=True, slots=True)
class Pair:
    """Two servers over the same databases; what stands between one and its Redis."""

    proxied: GameServer
    direct: GameServer
    proxy: RedisProxy


@pytest.fixture
async def pair(postgres_dsn: str, own_valkey: ValkeyServer) -> AsyncIterator[Pair]:
    """A server whose way to Redis can be held up, and another one."""
    port = free_port()
    settings = {**EXTERNAL, "DB_CONNECTION": postgres_dsn}
    async with redis_proxy(own_valkey, port) as proxy:
        with contextlib.ExitStack() as stack:
            games = [
                await asyncio.to_thread(
                    stack.enter_context, running_game({**settings, "REDIS_CONNECTION": address})
                )
                for address in (f"redis://127.0.0.1:{port}", own_valkey.url)
            ]
            try:
                yield Pair(games[0], games[1], proxy)
            finally:
                proxy.flowing.set()
                await asyncio.to_thread(stack.close)


async def test_a_log_out_while_a_lost_subscription_is_made_again(pair: Pair) -> None:
    """What was published before Redis had the subscription is found behind it."""
    tokens = await asyncio.to_thread(register, pair.proxied)
    async with player(pair.proxied, tokens["access_token"]) as each:
        assert await showing_until_redis_answers(each, tokens) == "good"
        pair.proxy.flowing.clear()
        pair.proxy.cut()
        async with asyncio.timeout(LIMIT_S):
            await pair.proxy.held.wait()
        await log_out(pair.direct, tokens)
        pair.proxy.flowing.set()
        assert await close_code(each.socket) == REVOKED


async def test_a_log_out_while_the_first_subscription_is_under_way(pair: Pair) -> None:
    """The connection's first request is refused: the mark is asked for behind the subscription."""
    tokens = await asyncio.to_thread(register, pair.proxied)
    async with player(pair.proxied, tokens["access_token"]) as each:
        pair.proxy.flowing.clear()
        request_id = await each.send("session")
        async with asyncio.timeout(LIMIT_S):
            await pair.proxy.held.wait()
        await log_out(pair.direct, tokens)
        pair.proxy.flowing.set()
        # On a slow machine it was held for longer than Redis may take to answer.
        assert (await each.answer(request_id))["data"]["code"] in {"token_invalid", "unavailable"}
        assert await showing_until_redis_answers(each, tokens) == "token_invalid"


async def test_a_subscription_that_redis_refused(pair: Pair) -> None:
    """Nobody plays whose end would not be heard of: a request waits until Redis has subscribed."""
    tokens = await asyncio.to_thread(register, pair.proxied)
    async with player(pair.proxied, tokens["access_token"]) as each:
        pair.proxy.refusals = 1
        assert await showing_until_redis_answers(each, tokens) == "good"
        assert pair.proxy.refused.is_set()
        await log_out(pair.direct, tokens)
        assert await close_code(each.socket) == REVOKED


async def test_a_subscription_that_redis_goes_on_refusing(pair: Pair) -> None:
    """Requests are unavailable until Redis subscribes; then the log-in plays, and its end is heard of."""
    async with asyncio.timeout(LIMIT_S):
        while not await _is_refused_and_plays_later(pair):
            pass


async def _is_refused_and_plays_later(pair: Pair) -> bool:
    """Do what the test says; False where another command stood before the subscription, which passes then."""
    tokens = await asyncio.to_thread(register, pair.proxied)
    async with player(pair.proxied, tokens["access_token"]) as each:
        pair.proxy.refusals = 1_000_000
        shown = await showing(each, tokens, "session")
        pair.proxy.refusals = 0
        if shown == "good":
            return False
        assert shown == "unavailable"
        assert await showing_until_redis_answers(each, tokens) == "good"
        await log_out(pair.direct, tokens)
        assert await close_code(each.socket) == REVOKED
    return True


async def test_a_lost_subscription_that_redis_refused(pair: Pair) -> None:
    """It is tried again by itself, and what was published meanwhile is found behind it."""
    tokens = await asyncio.to_thread(register, pair.proxied)
    async with player(pair.proxied, tokens["access_token"]) as each:
        assert await showing_until_redis_answers(each, tokens) == "good"
        pair.proxy.refusals = 1
        pair.proxy.flowing.clear()
        pair.proxy.cut()
        async with asyncio.timeout(LIMIT_S):
            await pair.proxy.held.wait()
        await log_out(pair.direct, tokens)
        pair.proxy.flowing.set()
        async with asyncio.timeout(LIMIT_S):
            await pair.proxy.refused.wait()
        assert await close_code(each.socket) == REVOKED


async def test_a_token_shown_while_redis_was_away(pair: Pair, own_valkey: ValkeyServer) -> None:
    """What could not be checked is not kept: neither whose connection it is nor of which log-in."""
    own, ended = await log_ins(pair.proxied, "away@example.com", 2)
    foreign = await asyncio.to_thread(register, pair.proxied)
    async with (
        player(pair.proxied, own["access_token"]) as bound,
        player(pair.proxied, ended["access_token"]) as fresh,
    ):
        assert await showing_until_redis_answers(bound, own) == "good"
        await log_out(pair.direct, ended)
        await asyncio.to_thread(own_valkey.kill)
        assert await showing(bound, ended) == "unavailable"
        assert await showing(fresh, ended) == "unavailable"
        await asyncio.to_thread(own_valkey.start)
        assert await showing_until_redis_answers(fresh, foreign) == "good"
        await log_out(pair.direct, own)
        assert await close_code(bound.socket) == REVOKED
