"""The scripts beside the game: cold load, marks, release, deletion, each against a real Redis."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import hiredis
import pytest
import redis.asyncio

from game.session import Session, UserId
from persistence.live.hashes import fields_of
from persistence.live.keys import bucket_of
from persistence.live.record import PACKED_RATES, Rates, packed_version
from persistence.live.scripts import load_scripts
from persistence.live.store import LiveStore, open_store
from tests.support.limits import LIMIT_S
from tests.support.live_hash import with_values
from tests.support.plain_keys import channel, dirty_key, load_key, session_key
from tests.support.saving_calls import (
    clean,
    load,
    load_args,
    mark_of,
    put,
    put_marked,
    read,
    run,
    values,
)
from tests.support.saving_world import player
from tests.support.servers import running_valkey

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

_users = itertools.count(7_000_001)


@pytest.fixture
def user() -> UserId:
    """A player that no other test knows."""
    return UserId(next(_users))


@pytest.fixture
async def store(valkey_url: str) -> AsyncIterator[LiveStore]:
    """The door to the scripts."""
    async with open_store(valkey_url, "test", load_scripts()) as store:
        yield store


@pytest.fixture
async def client(valkey_url: str) -> AsyncIterator[redis.asyncio.Redis]:
    """A plain client, for looking."""
    client = redis.asyncio.Redis.from_url(valkey_url, decode_responses=True, protocol=3)
    yield client
    await client.aclose()


class TestLoad:
    """`load`: claimed, create, newer."""

    async def test_the_holder_of_the_claim_loads(
        self, store: LiveStore, client: redis.asyncio.Redis, user: UserId
    ) -> None:
        """The session is there, clean, about to expire, to be derived again; the claim is spent."""
        await client.set(load_key(user), "mine")
        assert await load(store, "claimed", player(user), "mine") == "loaded"
        assert player(user) == await read(store, user)
        live = await values(store, user, "saved", "stamp", "email", "dirty")
        assert live == ["1000", None, "a@example.org", "0"]
        assert 90 < await client.ttl(session_key(user)) <= 100
        assert not await client.exists(load_key(user))
        assert await mark_of(client, user) is None

    async def test_a_claim_that_ran_out_loads_nothing(
        self, store: LiveStore, client: redis.asyncio.Redis, user: UserId
    ) -> None:
        """A stalled loader cannot bring an old row back."""
        assert await load(store, "claimed", player(user), "mine") == "unclaimed"
        await client.set(load_key(user), "another's")
        assert await load(store, "claimed", player(user), "mine") == "unclaimed"
        assert not await client.exists(session_key(user))
        assert await client.get(load_key(user)) == "another's"

    async def test_an_existing_session_is_left_alone(
        self, store: LiveStore, client: redis.asyncio.Redis, user: UserId
    ) -> None:
        """Even an older one, and even by the holder of the claim."""
        await put_marked(client, player(user, version=900))
        await client.set(load_key(user), "mine")
        assert await load(store, "claimed", player(user, version=1000), "mine") == "exists"
        assert (await read(store, user)).version == 900

    async def test_a_new_player_starts_from_nothing(
        self, store: LiveStore, client: redis.asyncio.Redis, user: UserId
    ) -> None:
        """Version and accrual are Redis' time; the session is marked, so that PostgreSQL gets it."""
        await client.set(load_key(user), "mine")
        before_ms = (await client.time())[0] * 1000
        assert await load(store, "create", Session(user, 0, 0), "mine") == "loaded"
        session = await read(store, user)
        assert Session(user, session.version, session.version) == session
        assert before_ms <= session.version
        assert await mark_of(client, user) == session.version
        assert await values(store, user, "dirty", "saved", "stamp") == ["1", "0", None]
        assert await client.ttl(session_key(user)) == -1

    async def test_a_newer_row_replaces_an_older_session_as_a_whole(
        self, store: LiveStore, client: redis.asyncio.Redis, user: UserId
    ) -> None:
        """Nothing of the old one stays: no client, no mark, no stamp. Connections are notified."""
        old = player(user, version=900)
        old.clients["old"] = old.clients["tab-1"]
        await put_marked(client, old)
        pubsub = client.pubsub()
        await pubsub.execute_command("SSUBSCRIBE", channel(user))
        assert await load(store, "newer", player(user, version=1000)) == "loaded"
        assert player(user, version=1000) == await read(store, user)
        assert await mark_of(client, user) is None
        assert await values(store, user, "dirty") == ["0"]
        messages = [await pubsub.parse_response(timeout=LIMIT_S) for _ in range(2)]
        assert messages[1][2] == "me reloaded 1000"
        await pubsub.aclose()  # type: ignore[no-untyped-call] # redis-py leaves it untyped

    @pytest.mark.parametrize("version", [1000, 1001])
    async def test_a_row_never_goes_over_a_session_as_new(
        self, store: LiveStore, client: redis.asyncio.Redis, user: UserId, version: int
    ) -> None:
        """Neither over the same version nor over a newer one."""
        await put_marked(client, player(user, version=version, money=5))
        assert await load(store, "newer", player(user, version=1000)) == "exists"
        assert player(user, version=version, money=5) == await read(store, user)
        assert await mark_of(client, user) == 1000

    async def test_a_client_with_an_odd_name_comes_back(self, store: LiveStore, user: UserId) -> None:
        """U+0000, quotes and the rest of Unicode pass through the call."""
        session = player(user)
        session.clients['\x00"\\\n☃😀'] = session.clients["tab-1"]
        assert await load(store, "newer", session) == "loaded"
        assert session == await read(store, user)

    async def test_a_full_redis_refuses_a_load(self, user: UserId) -> None:
        """Nothing is half written; what frees memory goes on working."""
        with running_valkey() as server:
            server.ask("CONFIG", "SET", "maxmemory", 1)
            async with open_store(server.url, "test", load_scripts()) as store:
                keys = [session_key(user), load_key(user), dirty_key(bucket_of(user))]
                args = load_args("newer", player(user), "")
                [reply] = await store.run([store.script("load", bucket_of(user), keys, args)])
                assert isinstance(reply, hiredis.ReplyError)
                assert str(reply).startswith("OOM")
                assert await run(store, "delete", user, keys, user) == ["gone"]
                assert await clean(store, user, 1) == "gone"


class TestClean:
    """`clean`: marks go by version."""

    async def test_the_written_version_is_clean(
        self, store: LiveStore, client: redis.asyncio.Redis, user: UserId
    ) -> None:
        """No mark, no field, what is saved noted, about to expire; the promise stays."""
        await put_marked(client, player(user, version=1000))
        fields = fields_of(player(user, version=1000), saved=0, dirty=True, joined_until_ms=77)
        await client.hset(session_key(user), items=fields)
        assert await clean(store, user, 1000) == "clean"
        assert await mark_of(client, user) is None
        assert await values(store, user, "dirty", "saved", "joined_until") == ["0", "1000", "77"]
        assert 90 < await client.ttl(session_key(user)) <= 100

    async def test_a_changed_session_stays_marked_from_the_read_on(
        self, store: LiveStore, client: redis.asyncio.Redis, user: UserId
    ) -> None:
        """What is unsaved now changed after the read, so the mark is that young; it never expires."""
        await put_marked(client, player(user, version=1001), marked_ms=1000)
        assert await clean(store, user, 1000, read_ms=5000) == "dirty"
        assert await mark_of(client, user) == 5000
        assert await values(store, user, "dirty", "saved") == ["1001", "1000"]
        assert await client.ttl(session_key(user)) == -1

    async def test_a_stalled_flusher_takes_nothing_back(
        self, store: LiveStore, client: redis.asyncio.Redis, user: UserId
    ) -> None:
        """It wakes with an older version than was saved since: neither mark nor what is saved moves."""
        await put_marked(client, player(user, version=1002), marked_ms=9000, saved=1001)
        assert await clean(store, user, 1000, read_ms=20_000) == "dirty"
        assert await mark_of(client, user) == 9000
        assert await values(store, user, "saved") == ["1001"]

    async def test_a_session_behind_the_written_version_stays_marked(
        self, store: LiveStore, client: redis.asyncio.Redis, user: UserId
    ) -> None:
        """Redis lost its last seconds meanwhile: the next flush must find that out."""
        await put_marked(client, player(user, version=900), marked_ms=1000)
        assert await clean(store, user, 1000) == "dirty"
        assert await mark_of(client, user) == 1000
        assert await values(store, user, "saved") == ["0"]

    async def test_a_session_that_may_have_no_mark_is_not_taken_for_a_marked_one(
        self, store: LiveStore, client: redis.asyncio.Redis, user: UserId
    ) -> None:
        """Its slot was on its way: the next change marks it, whatever is saved by then."""
        await put(client, player(user, version=1001), saved=900)
        assert await values(store, user, "dirty") == ["-901"]
        assert await clean(store, user, 1000) == "dirty"
        assert await values(store, user, "dirty", "saved") == ["-1001", "1000"]
        assert await mark_of(client, user) is None

    async def test_a_session_that_another_has_saved_since_stays_clean(
        self, store: LiveStore, client: redis.asyncio.Redis, user: UserId
    ) -> None:
        """A flusher that wakes late says nothing of it."""
        await put(client, player(user, version=1001), saved=1001)
        assert await clean(store, user, 1000) == "dirty"
        assert await values(store, user, "dirty", "saved") == ["0", "1001"]
        assert await mark_of(client, user) is None

    @pytest.mark.parametrize(("written", "said"), [(1000, "clean"), (999, "dirty")])
    async def test_the_mark_of_an_older_release_goes_as_well(
        self, store: LiveStore, client: redis.asyncio.Redis, user: UserId, written: int, said: str
    ) -> None:
        """It wrote 1 for a marked session, and what is saved into `life`."""
        await put_marked(client, player(user))
        [held] = await store.hashes([user])
        assert isinstance(held, dict)
        older = with_values(held, {"dirty": 1, "spare": 900})
        await client.hset(session_key(user), items=[*itertools.chain.from_iterable(older.items())])
        assert await clean(store, user, written) == said
        assert await values(store, user, "saved", "spare") == [str(written), "900"]

    async def test_a_mark_without_a_session_goes(
        self, store: LiveStore, client: redis.asyncio.Redis, user: UserId
    ) -> None:
        """There is nothing to save."""
        await client.zadd(dirty_key(bucket_of(user)), {str(user): 1})
        assert await clean(store, user, 0) == "gone"
        assert await mark_of(client, user) is None

    async def test_each_session_of_several_buckets_is_judged_by_itself(
        self, store: LiveStore, client: redis.asyncio.Redis, user: UserId
    ) -> None:
        """Three of one bucket, one of another: only the marks of the clean and the gone ones go."""
        unchanged, changed, gone, other = (UserId(user + by) for by in (0, 1024, 2048, 1))
        for each, version in ((unchanged, 1000), (changed, 1001), (other, 1000)):
            await put_marked(client, player(each, version=version))
        await client.zadd(dirty_key(bucket_of(gone)), {str(gone): 1})
        keys: list[str] = []
        args: list[int | bytes] = [100, 5000]
        for group in ([unchanged, changed, gone], [other]):
            keys += [dirty_key(bucket_of(group[-1])), *map(session_key, group)]
            written = {each: packed_version(0 if each == gone else 1000) for each in group}
            args += [len(group), *(word for pair in written.items() for word in pair)]
        assert await run(store, "clean", user, keys, *args) == ["clean", "dirty", "gone", "clean"]
        marks = [await mark_of(client, each) for each in (unchanged, changed, gone, other)]
        assert marks == [None, 5000, None, None]


class TestRelease:
    """`release`: the last connection is gone."""

    async def test_a_clean_session_expires(
        self, store: LiveStore, client: redis.asyncio.Redis, user: UserId
    ) -> None:
        """PostgreSQL has it."""
        await put(client, player(user))
        keys = [session_key(user), dirty_key(bucket_of(user))]
        assert await run(store, "release", user, keys, "1.r", user, channel(user), 10, 100) == ["clean"]
        assert 90 < await client.ttl(session_key(user)) <= 100

    async def test_a_dirty_session_never_expires(
        self, store: LiveStore, client: redis.asyncio.Redis, user: UserId
    ) -> None:
        """Its mark stays as old as it is."""
        await put_marked(client, player(user), marked_ms=1000)
        keys = [session_key(user), dirty_key(bucket_of(user))]
        assert await run(store, "release", user, keys, "1.r", user, channel(user), 10, 100) == ["dirty"]
        assert await client.ttl(session_key(user)) == -1
        assert await mark_of(client, user) == 1000

    async def test_what_is_not_saved_is_marked(
        self, store: LiveStore, client: redis.asyncio.Redis, user: UserId
    ) -> None:
        """Unmarked, but ahead of what is saved: nothing later would mark it."""
        await put(client, player(user, version=1001))
        await client.expire(session_key(user), 50)
        keys = [session_key(user), dirty_key(bucket_of(user))]
        assert await run(store, "release", user, keys, "1.r", user, channel(user), 10, 100) == ["dirty"]
        assert await client.ttl(session_key(user)) == -1
        assert await mark_of(client, user) is not None
        assert await values(store, user, "dirty", "saved") == ["1001", "1000"]

    @pytest.mark.parametrize("elsewhere", [False, True])
    async def test_who_left_is_paid_and_joined_no_longer(
        self, store: LiveStore, client: redis.asyncio.Redis, user: UserId, *, elsewhere: bool
    ) -> None:
        """Up to now, whatever the cap, and marked; with a connection elsewhere nothing happens."""
        now_s, _ = await client.time()
        left = player(user)
        left.accrued_at_ms = (now_s - 60) * 1000
        await client.hset(
            session_key(user), items=fields_of(left, saved=1000, joined_until_ms=(now_s + 200) * 1000)
        )
        rates = PACKED_RATES.pack(*Rates(*[0.0] * len(Rates._fields))._replace(dPs=300.0))
        await client.hset(session_key(user), "rates", (rates + b"1.r"))
        keys = [session_key(user), dirty_key(bucket_of(user))]
        async with client.pubsub() as other:
            if elsewhere:
                await other.execute_command("SSUBSCRIBE", channel(user))
                await other.parse_response()
            replied = await run(store, "release", user, keys, "1.r", user, channel(user), 10, 100)
        dishes, promised = await values(store, user, "dishes", "joined_until")
        if elsewhere:
            assert (replied, promised) == (["clean"], str((now_s + 200) * 1000))
            assert float(dishes or 0) == left.dishes
        else:
            assert (replied, promised) == (["dirty"], "0")
            assert float(dishes or 0) >= left.dishes + 180
            assert await mark_of(client, user) is not None

    async def test_nothing_is_made_of_nothing(
        self, store: LiveStore, client: redis.asyncio.Redis, user: UserId
    ) -> None:
        """A session that is not there gets no mark."""
        keys = [session_key(user), dirty_key(bucket_of(user))]
        assert await run(store, "release", user, keys, "1.r", user, channel(user), 10, 100) == ["gone"]
        assert await mark_of(client, user) is None


class TestDeleteAndMark:
    """`delete` and `mark`."""

    async def test_everything_of_a_deleted_player_goes(
        self, store: LiveStore, client: redis.asyncio.Redis, user: UserId
    ) -> None:
        """Session, mark and a load under way, which then finds its claim gone."""
        await put_marked(client, player(user))
        await client.set(load_key(user), "loader")
        keys = [session_key(user), dirty_key(bucket_of(user)), load_key(user)]
        assert await run(store, "delete", user, keys, user) == ["deleted"]
        assert await run(store, "delete", user, keys, user) == ["gone"]
        assert await mark_of(client, user) is None
        assert await load(store, "claimed", player(user), "loader") == "unclaimed"

    async def test_a_marked_session_will_be_written_again(
        self, store: LiveStore, client: redis.asyncio.Redis, user: UserId
    ) -> None:
        """It no longer expires, and nothing counts as saved."""
        await put(client, player(user))
        await client.expire(session_key(user), 50)
        keys = [session_key(user), dirty_key(bucket_of(user))]
        assert await run(store, "mark", user, keys, user, 0) == ["marked"]
        assert await client.ttl(session_key(user)) == -1
        assert await values(store, user, "dirty", "saved", "version") == ["1", "0", "1000"]
        assert await mark_of(client, user) is not None

    async def test_the_fence_lets_a_raised_version_through(
        self, store: LiveStore, client: redis.asyncio.Redis, user: UserId
    ) -> None:
        """Raised only while it is the one that was looked at."""
        await put(client, player(user))
        keys = [session_key(user), dirty_key(bucket_of(user))]
        await run(store, "mark", user, keys, user, 999)
        assert await values(store, user, "version") == ["1000"]
        await run(store, "mark", user, keys, user, 1000)
        assert int((await values(store, user, "version"))[0] or 0) > 1_700_000_000_000
