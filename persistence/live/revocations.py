"""Revoked families of tokens in Redis: a mark that refuses them, a word that closes their connections.

PostgreSQL is the truth, written first. The marks live as long as an access token can, so what Redis lost
can be put back from the families revoked within that time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from persistence.live.keys import bucket_of
from persistence.live.replies.publications import ALL_FAMILIES, revoked_text
from persistence.live.store import call, expect

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from game.session import UserId
    from persistence.live.store import Call, LiveStore

ORIGIN: Final = "auth"
"""Not a process' own origin, so that the process that revokes hears it too."""

_BATCH: Final = 500


class Revocations:
    """The marks of revoked families. Methods are safe to repeat; they raise LiveUnavailable without Redis."""

    def __init__(self, store: LiveStore, access_ttl_s: int) -> None:
        self._store = store
        self._access_ttl_s = access_ttl_s

    async def revoke(self, user_id: UserId, families: Sequence[str], *, everything: bool = False) -> None:
        """Mark families as revoked and have every process close their connections with 4001.

        `everything`: every connection of the user, whatever its family.
        """
        calls = [self._mark(user_id, family) for family in families]
        if everything:
            name = self._store.keys.channel(user_id)
            calls.append(call(bucket_of(user_id), "SPUBLISH", name, revoked_text(ORIGIN, ALL_FAMILIES)))
        for reply in await self._store.run(calls):
            expect(reply, list if isinstance(reply, list) else int)

    async def is_revoked(self, user_id: UserId, family: str) -> bool:
        """Say whether a family was revoked; ask when a connection shows its first token."""
        key = self._store.keys.revoked(user_id, family)
        (reply,) = await self._store.run([call(bucket_of(user_id), "EXISTS", key)])
        return expect(reply, int) > 0

    async def put_back(self, revoked: Iterable[tuple[UserId, str]]) -> int:
        """Mark families again that Redis may have lost, and tell their connections; returns how many."""
        listed = list(revoked)
        for start in range(0, len(listed), _BATCH):
            batch = listed[start : start + _BATCH]
            for reply in await self._store.run([self._mark(user_id, family) for user_id, family in batch]):
                expect(reply, list)
        return len(listed)

    def _mark(self, user_id: UserId, family: str) -> Call:
        keys = self._store.keys
        args = (self._access_ttl_s, keys.channel(user_id), revoked_text(ORIGIN, family))
        return self._store.script("revoke", bucket_of(user_id), (keys.revoked(user_id, family),), args)
