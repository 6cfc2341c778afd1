"""Attempts and revocations in Redis: shared by all processes, small, and safe to repeat."""

from __future__ import annotations

import asyncio
import secrets
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest
import redis
import redis.asyncio

from game.session import UserId
from persistence.errors import LiveUnavailable
from persistence.live.revocations import Revocations
from persistence.live.scripts import load_scripts
from persistence.live.store import LiveStore, open_store
from persistence.live.throttle import AttemptLog
from server.auth.errors import TooManyAttempts
from server.auth.throttle import WINDOW_S, Throttle
from tests.support.limits import LIMIT_S
from tests.support.plain_keys import channel, revoked_key

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.support.servers import ValkeyServer

ACCESS_TTL_S = 900
SHORT_WINDOW_S = 5
NO_EXPIRY = -1


@pytest.fixture
async def store(valkey_url: str) -> AsyncIterator[LiveStore]:
    """The store over lanes of its own."""
    async with open_store(valkey_url, secrets.token_hex(4), load_scripts()) as opened:
        yield opened


@pytest.fixture
def address() -> str:
    """An address that no other test uses."""
    return f"2001:db8:{secrets.randbelow(65536):x}:{secrets.randbelow(65536):x}::1"


def a_user() -> UserId:
    """A user that no other test uses."""
    return UserId(secrets.randbelow(2**40) + 1)


def throttle(store: LiveStore, rate: int, window_s: int = WINDOW_S) -> Throttle:
    """A throttle as each process has one."""
    return Throttle(AttemptLog(store, window_s), rate, b"key")


async def fail(limiter: Throttle, address: str, email: str | None, times: int = 1) -> None:
    """Make attempts that fail."""
    for _ in range(times):
        async with limiter.attempt(address, email) as attempt:
            attempt.counts = True


@asynccontextmanager
async def listening(url: str, user: UserId) -> AsyncIterator[asyncio.Queue[str]]:
    """Hear what is published to a user's connections."""
    heard: asyncio.Queue[str] = asyncio.Queue()
    async with redis.asyncio.Redis.from_url(url, decode_responses=True) as client, client.pubsub() as pubsub:
        await pubsub.ssubscribe(channel(user))

        async def listen() -> None:
            async for message in pubsub.listen():
                if message["type"] == "smessage":
                    heard.put_nowait(message["data"])
                else:
                    subscribed.set()

        subscribed = asyncio.Event()
        listener = asyncio.create_task(listen())
        try:
            async with asyncio.timeout(LIMIT_S):
                await subscribed.wait()
            yield heard
        finally:
            listener.cancel()
            await asyncio.gather(listener, return_exceptions=True)


async def test_failures_of_an_address_with_an_email(store: LiveStore, address: str) -> None:
    """After `rate` failures an address may not try that e-mail again, but others, and other addresses may."""
    limiter = throttle(store, 3)
    await fail(limiter, address, "a@b.c", 3)
    with pytest.raises(TooManyAttempts) as refused:
        await fail(limiter, address, "a@b.c")
    assert WINDOW_S - 60 < refused.value.retry_after_s <= WINDOW_S
    await fail(limiter, address, "other@b.c")
    await fail(limiter, "192.0.2.1", f"{address}@b.c")


async def test_failures_of_an_address(store: LiveStore, address: str) -> None:
    """After ten times that an address may not try anything, registering included."""
    limiter = throttle(store, 2)
    for number in range(15):
        await fail(limiter, address, f"{number}@b.c")
    await fail(limiter, address, None, 5)
    with pytest.raises(TooManyAttempts):
        await fail(limiter, address, "new@b.c")
    with pytest.raises(TooManyAttempts):
        await fail(limiter, address, None)
    with pytest.raises(TooManyAttempts):
        # Another address of the same network is the same client.
        await fail(limiter, address + "234", "new@b.c")


async def test_successes_do_not_count(store: LiveStore, address: str) -> None:
    """An attempt that was no failure is taken back, also when it ended with a fault."""
    limiter = throttle(store, 2)
    for _ in range(30):
        async with limiter.attempt(address, "a@b.c"):
            pass
    with pytest.raises(KeyError):
        async with limiter.attempt(address, "a@b.c"):
            raise KeyError
    await fail(limiter, address, "a@b.c", 2)
    with pytest.raises(TooManyAttempts):
        await fail(limiter, address, "a@b.c")


async def test_attempts_under_way_count(store: LiveStore, address: str) -> None:
    """Many attempts at once don't slip through together."""
    limiter = throttle(store, 3)
    go_on = asyncio.Event()
    inside = 0

    async def attempt() -> None:
        nonlocal inside
        async with limiter.attempt(address, "a@b.c"):
            inside += 1
            await go_on.wait()

    tasks = [asyncio.create_task(attempt()) for _ in range(10)]
    async with asyncio.timeout(LIMIT_S):
        await asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION)
    await asyncio.sleep(0)
    go_on.set()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert inside == 3
    assert len([result for result in results if isinstance(result, TooManyAttempts)]) == 7


async def test_the_window_slides(store: LiveStore, address: str) -> None:
    """A failure stops counting when its time is over, and nothing of it stays in Redis."""
    limiter = throttle(store, 1, window_s=SHORT_WINDOW_S)
    async with asyncio.timeout(LIMIT_S):
        refused: TooManyAttempts | None = None
        while refused is None:  # on a busy machine the first may have left the window by then
            try:
                await fail(limiter, address, "a@b.c")
            except TooManyAttempts as error:
                refused = error
        assert 0 < refused.retry_after_s <= SHORT_WINDOW_S
        while True:
            try:
                await fail(limiter, address, "a@b.c")
                break
            except TooManyAttempts:
                await asyncio.sleep(0.05)


async def test_processes_share_the_counts(valkey_url: str, store: LiveStore, address: str) -> None:
    """What failed at one process counts at every other."""
    await fail(throttle(store, 2), address, "a@b.c", 2)
    async with open_store(valkey_url, "other", load_scripts()) as other:
        with pytest.raises(TooManyAttempts):
            await fail(throttle(other, 2), address, "a@b.c")


async def test_off(store: LiveStore, address: str) -> None:
    """A rate of 0 lets everything pass and asks nobody."""
    await fail(throttle(store, 0), address, "a@b.c", 50)


async def test_keys_tell_nothing(valkey_server: ValkeyServer, store: LiveStore) -> None:
    """Neither an address nor an e-mail can be read from Redis, and every key has an end."""
    await fail(throttle(store, 5), "198.51.100.77", "somebody@example.com")
    with valkey_server.client() as client:
        keys = list(client.scan_iter("throttle:*"))
        text = " ".join(keys) + " ".join(member for key in keys for member in client.zrange(key, 0, -1))
        assert keys
        assert all(client.ttl(key) != NO_EXPIRY for key in keys)
    assert "somebody" not in text
    assert "198.51" not in text


async def test_revoke(valkey_url: str, valkey_server: ValkeyServer, store: LiveStore) -> None:
    """A revoked family is refused at once, told of on its user's channel, and forgotten with its tokens."""
    revocations, user = Revocations(store, ACCESS_TTL_S), a_user()
    async with listening(valkey_url, user) as heard:
        assert not await revocations.is_revoked(user, "f1")
        await revocations.revoke(user, ("f1", "f2"))
        async with asyncio.timeout(LIMIT_S):
            assert {await heard.get(), await heard.get()} == {"auth revoked 0 f1", "auth revoked 0 f2"}
    assert await revocations.is_revoked(user, "f1")
    assert not await revocations.is_revoked(user, "f3")
    with valkey_server.client() as client:
        assert 0 < client.ttl(revoked_key(user, "f1")) <= ACCESS_TTL_S


async def test_revoke_everything(valkey_url: str, store: LiveStore) -> None:
    """A deleted account's connections are all asked to close, whatever their family."""
    revocations, user = Revocations(store, ACCESS_TTL_S), a_user()
    async with listening(valkey_url, user) as heard:
        await revocations.revoke(user, (), everything=True)
        async with asyncio.timeout(LIMIT_S):
            assert await heard.get() == "auth revoked 0 *"


async def test_put_back(own_valkey: ValkeyServer) -> None:
    """What Redis lost is put back, more than one batch of it, and told of again."""
    async with open_store(own_valkey.url, "me", load_scripts()) as store:
        revocations, user = Revocations(store, ACCESS_TTL_S), a_user()
        own_valkey.ask("FLUSHALL")
        own_valkey.ask("SCRIPT FLUSH")
        async with listening(own_valkey.url, user) as heard:
            assert await revocations.put_back((user, f"f{number}") for number in range(1001)) == 1001
            async with asyncio.timeout(LIMIT_S):
                assert await heard.get() == "auth revoked 0 f0"
        assert await revocations.is_revoked(user, "f0")
        assert await revocations.is_revoked(user, "f1000")


async def test_on_a_cluster(cluster_url: str, address: str) -> None:
    """Everything works unchanged on Redis Cluster: a call's keys share a slot."""
    async with open_store(cluster_url, "me", load_scripts()) as store:
        limiter = throttle(store, 1)
        await fail(limiter, address, "a@b.c")
        with pytest.raises(TooManyAttempts):
            await fail(limiter, address, "a@b.c")
        revocations = Revocations(store, ACCESS_TTL_S)
        users = [a_user() for _ in range(20)]
        assert await revocations.put_back((user, "f") for user in users) == 20
        assert all([await revocations.is_revoked(user, "f") for user in users])
        await revocations.revoke(users[0], ("g",), everything=True)


async def test_redis_away(own_valkey: ValkeyServer, address: str) -> None:
    """Without Redis no request passes: each gets an error, and giving back harms nobody."""
    async with open_store(own_valkey.url, "me", load_scripts()) as store:
        revocations, limiter, user = Revocations(store, ACCESS_TTL_S), throttle(store, 1), a_user()
        killed = asyncio.Event()

        async def succeed() -> str:
            async with limiter.attempt(address, "other@b.c"):
                await asyncio.to_thread(own_valkey.kill)
                killed.set()
            return "done"

        succeeding = asyncio.create_task(succeed())
        async with asyncio.timeout(LIMIT_S):
            await killed.wait()
        results = await asyncio.gather(
            fail(limiter, address, "a@b.c"),
            revocations.is_revoked(user, "f"),
            revocations.revoke(user, ("f",)),
            return_exceptions=True,
        )
        assert [LiveUnavailable] * 3 == [type(result) for result in results]
        assert await succeeding == "done"
