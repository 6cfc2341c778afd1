"""Deleted accounts leave Redis: the session, its mark and the claim of a load under way."""

from __future__ import annotations

from typing import TYPE_CHECKING

from persistence.live.keys import bucket_of
from persistence.live.store import expect

if TYPE_CHECKING:
    from game.session import UserId
    from persistence.live.store import LiveStore


async def forget(store: LiveStore, *user_ids: UserId) -> None:
    """Remove deleted users' sessions from Redis. Safe to repeat; raises LiveUnavailable: call again."""
    calls = []
    for user_id in user_ids:
        bucket = bucket_of(user_id)
        keys = (store.keys.session(user_id), store.keys.dirty(bucket), store.keys.load(user_id))
        calls.append(store.script("delete", bucket, keys, (user_id,)))
    for reply in await store.run(calls):
        expect(reply, list)
