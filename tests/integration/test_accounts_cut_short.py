"""A database that goes in the middle of a request of an account: what has ended stays ended."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

import pytest

from persistence.durable.token_families import TokenFamilies
from persistence.errors import LiveUnavailable
from persistence.live.hashes import fields_of
from persistence.live.keys import bucket_of
from persistence.live.revocations import Revocations
from persistence.live.store import call
from server.auth import housekeeping as housekeeping_of_log_ins
from server.auth.housekeeping import keep_log_ins
from server.auth.tokens import REFRESH_TTL_S
from tests.integration.test_http_accounts import AWAY, INVALID, said
from tests.support.http_world import World, running
from tests.support.limits import LIMIT_S
from tests.support.players import user_of
from tests.support.saving_world import player

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator

    import httpx

    from tests.support.servers import PostgresServer, ValkeyServer

CHANGE = {"password": "pass word", "new_password": "new password"}


@contextlib.asynccontextmanager
async def housekeeping(world: World, *redis_back: asyncio.Event) -> AsyncIterator[None]:
    """Keep the log-ins, hearing of no other lanes that are opened again."""
    keeping = asyncio.create_task(
        keep_log_ins(world.accounts, TokenFamilies(world.pool, REFRESH_TTL_S), *redis_back)
    )
    try:
        yield
    finally:
        keeping.cancel()
        await asyncio.gather(keeping, return_exceptions=True)


@contextlib.contextmanager
def killed_while_hashing(world: World, kill: Callable[[], None]) -> Iterator[None]:
    """Have a database killed when a new password is hashed: the old one was checked, nothing is changed."""
    hashed = world.hasher.hash

    async def hash_and_kill(password: str) -> str:
        await asyncio.to_thread(kill)
        return await hashed(password)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(world.hasher, "hash", hash_and_kill)
        yield


async def until(ask: Callable[[], Awaitable[httpx.Response]], expected: tuple[int, object]) -> None:
    """Ask again until the answer is what is expected."""
    async with asyncio.timeout(LIMIT_S):
        while True:
            if expected == said(await ask()):
                return
            await asyncio.sleep(0.05)


async def refused_for_good(world: World, access_token: str) -> None:
    """Wait until an access token is refused, not just unavailable and not by its password."""
    await until(lambda: world.delete(access_token, "wrong password"), (401, INVALID))


async def test_redis_goes_while_a_password_changes(postgres_dsn: str, own_valkey: ValkeyServer) -> None:
    """PostgreSQL has the change and its end of the log-ins; Redis has the marks as soon as it is back."""
    async with running(postgres_dsn, own_valkey.url) as world:
        _, tokens = await world.registered()
        with killed_while_hashing(world, own_valkey.kill):
            changed = await world.post("/password", tokens["access_token"], **CHANGE)
        assert changed.status_code == 200
        assert said(await world.post("/refresh", tokens["refresh_token"])) == (401, INVALID)
        assert said(await world.delete(tokens["access_token"], "new password")) == (503, AWAY)
        async with housekeeping(world):
            await asyncio.to_thread(own_valkey.start)
            await refused_for_good(world, tokens["access_token"])
        after = changed.json()["tokens"]["access_token"]
        assert said(await world.delete(after, "new password")) == (200, {"status": 0})


async def test_redis_is_told_later_of_what_it_would_not_take(postgres_dsn: str, valkey_url: str) -> None:
    """A mark that failed while Redis stayed up is set without anybody asking again."""

    async def refuse(*_arguments: object, **_options: object) -> None:
        raise LiveUnavailable("ReplyError: MISCONF")

    async with running(postgres_dsn, valkey_url) as world, housekeeping(world):
        _, tokens = await world.registered()
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Revocations, "revoke", refuse)
            assert said(await world.post("/logout", tokens["refresh_token"])) == (200, {"status": 0})
        await refused_for_good(world, tokens["access_token"])


async def test_a_mark_is_put_back_that_went_to_a_master_which_is_replaced(
    postgres_dsn: str, own_valkey: ValkeyServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The connection that marks are written over stays with the old one longest: its return counts too."""
    monkeypatch.setattr(housekeeping_of_log_ins, "_LOOK_AGAIN_EVERY_S", 10 * LIMIT_S)
    async with running(postgres_dsn, own_valkey.url) as world:
        _, tokens = await world.registered()
        assert said(await world.post("/logout", tokens["refresh_token"])) == (200, {"status": 0})
        (mark,) = await lost_marks(own_valkey)
        async with housekeeping(world, world.store.back):
            await until_there(own_valkey, mark)
            assert await lost_marks(own_valkey) == [mark]
            await asyncio.to_thread(own_valkey.ask, "CLIENT", "KILL", "TYPE", "normal")
            await until_there(own_valkey, mark)


async def lost_marks(valkey: ValkeyServer) -> list[str]:
    """Remove the marks of revoked log-ins, as a Redis lacks them that had not been sent them; return them."""
    with valkey.client() as client:
        marks = list(client.scan_iter("*revoked:*"))
        client.delete(*marks)
    return marks


async def until_there(valkey: ValkeyServer, key: str) -> None:
    """Wait until Redis has a key."""
    async with asyncio.timeout(LIMIT_S):
        while not await asyncio.to_thread(valkey.ask, "EXISTS", key):  # noqa: ASYNC110 - Redis tells nobody
            await asyncio.sleep(0.05)


async def test_postgresql_goes_while_a_password_changes(
    own_postgres: PostgresServer, valkey_url: str
) -> None:
    """Nothing changed: the old password and the old tokens are good when it is back."""
    async with running(own_postgres.dsn(), valkey_url) as world:
        email, tokens = await world.registered()
        with killed_while_hashing(world, own_postgres.kill):
            assert said(await world.post("/password", tokens["access_token"], **CHANGE)) == (503, AWAY)
        await asyncio.to_thread(own_postgres.start)
        await until(lambda: world.post("/logout", tokens["refresh_token"]), (200, {"status": 0}))
        tokens = (await world.post("/auth", email=email, password="pass word")).json()["tokens"]
        assert (await world.post("/password", tokens["access_token"], **CHANGE)).status_code == 200


async def test_redis_goes_while_a_guest_is_claimed(postgres_dsn: str, own_valkey: ValkeyServer) -> None:
    """PostgreSQL has the claim; the end of the older log-in and the e-mail follow when Redis is back."""
    async with running(postgres_dsn, own_valkey.url) as world:
        tokens = (await world.post("/guest")).json()["tokens"]
        access, user = tokens["access_token"], user_of(tokens)
        await world.store.run(
            [call(bucket_of(user), "HSET", world.store.keys.session(user), *fields_of(player(user), ""))]
        )
        fields = {"email": "anna@example.com", "password": "new password"}
        with killed_while_hashing(world, own_valkey.kill):
            claimed = await world.post("/claim", access, **fields)
        assert claimed.status_code == 200
        assert said(await world.post("/refresh", tokens["refresh_token"])) == (401, INVALID)
        async with housekeeping(world):
            await asyncio.to_thread(own_valkey.start)
            await until(lambda: world.post("/claim", access, **fields), (401, INVALID))
        after = claimed.json()["tokens"]["access_token"]
        kept = (await world.client.get("/export", headers={"Authorization": f"Bearer {after}"})).json()
        assert kept["live"]["email"] == kept["account"]["email"] == "anna@example.com"


async def test_postgresql_goes_while_a_guest_is_claimed(
    own_postgres: PostgresServer, valkey_url: str
) -> None:
    """Nothing changed: the guest's tokens are good when it is back, and the claim can be made again."""
    async with running(own_postgres.dsn(), valkey_url) as world:
        tokens = (await world.post("/guest")).json()["tokens"]
        fields = {"email": "anna@example.com", "password": "new password"}
        with killed_while_hashing(world, own_postgres.kill):
            assert said(await world.post("/claim", tokens["access_token"], **fields)) == (503, AWAY)
        await asyncio.to_thread(own_postgres.start)
        async with asyncio.timeout(LIMIT_S):
            answer = await world.post("/claim", tokens["access_token"], **fields)
            while answer.status_code == 503:
                await asyncio.sleep(0.05)
                answer = await world.post("/claim", tokens["access_token"], **fields)
        assert answer.status_code == 200
        assert user_of(answer.json()["tokens"]) == user_of(tokens)
