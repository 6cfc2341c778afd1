"""Deleted accounts leave Redis: the session, its mark and the claim of a load under way."""

from __future__ import annotations

from typing import TYPE_CHECKING

from persistence.live.keys import bucket_of, dirty_key, load_key, session_key
from persistence.live.store import expect

if TYPE_CHECKING:
    from game.session import UserId
    from persistence.live.store import LiveStore


async def forget(store: LiveStore, user_id: UserId) -> None:
    """Remove a deleted user's session from Redis. Safe to repeat; raises LiveUnavailable: call again."""
    bucket = bucket_of(user_id)
    keys = (session_key(user_id), dirty_key(bucket), load_key(user_id))
    (reply,) = await store.run([store.script("delete", bucket, keys, (user_id,))])
    expect(reply, list)
