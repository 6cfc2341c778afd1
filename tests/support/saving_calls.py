"""Calls of the scripts beside the game, and the sessions and marks that they find."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from persistence.live.hashes import fields_of, session_of
from persistence.live.keys import bucket_of
from persistence.live.record import packed_version
from persistence.live.store import expect
from tests.support.live_hash import by_name
from tests.support.plain_keys import channel, dirty_key, load_key, session_key

if TYPE_CHECKING:
    import redis.asyncio

    from game.session import Session, UserId
    from persistence.live.store import LiveStore


async def run(
    store: LiveStore, script: str, user: UserId, keys: list[str], *args: str | bytes | int
) -> list[str]:
    """Call a script; returns its words."""
    [reply] = await store.run([store.script(script, bucket_of(user), keys, args)])
    return [word.decode() for word in cast("list[bytes]", expect(reply, list))]


async def load(store: LiveStore, mode: str, session: Session, claim: str = "") -> str:
    """Load a session as it came from PostgreSQL; returns the word."""
    user = session.user_id
    keys = [session_key(user), load_key(user), dirty_key(bucket_of(user))]
    [word] = await run(store, "load", user, keys, *load_args(mode, session, claim))
    return word


def load_args(mode: str, session: Session, claim: str) -> list[str | bytes | int]:
    """Write the arguments of `load` for one session."""
    user = session.user_id
    fields = fields_of(session, "a@example.org")
    if mode == "create":
        fields = fields[fields.index(b"texts") :]
    return [mode, 100, "me", user, channel(user), claim, session.version, len(fields), *fields]


async def clean(store: LiveStore, user: UserId, version: int, read_ms: int = 5000) -> str:
    """Take a mark back; returns the word."""
    keys = [dirty_key(bucket_of(user)), session_key(user)]
    [word] = await run(store, "clean", user, keys, 100, read_ms, 1, user, packed_version(version))
    return word


async def read(store: LiveStore, user: UserId) -> Session:
    """Read a session."""
    [fields] = await store.hashes([user])
    assert isinstance(fields, dict)
    return session_of(user, fields)


async def values(store: LiveStore, user: UserId, *names: str) -> list[str | None]:
    """Read numbers and texts of a session."""
    [fields] = await store.hashes([user])
    assert isinstance(fields, dict)
    held = by_name(fields)
    return [held.get(name) for name in names]


async def mark_of(client: redis.asyncio.Redis, user: UserId) -> float | None:
    """Read since when a user is marked."""
    return await client.zscore(dirty_key(bucket_of(user)), str(user))


async def put(
    client: redis.asyncio.Redis, session: Session, *, saved: int = 1000, dirty: bool = False
) -> None:
    """Write a session."""
    fields = fields_of(session, saved=saved, dirty=dirty)
    await client.hset(session_key(session.user_id), items=fields)


async def put_marked(
    client: redis.asyncio.Redis, session: Session, marked_ms: int = 1000, saved: int = 0
) -> None:
    """Write a marked session."""
    await put(client, session, saved=saved, dirty=True)
    await client.zadd(dirty_key(bucket_of(session.user_id)), {str(session.user_id): marked_ms})
