"""The e-mail that a player's session shows: written where it lies in Redis, when it changed in PostgreSQL."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from persistence.live.keys import bucket_of
from persistence.live.store import expect

if TYPE_CHECKING:
    from collections.abc import Iterable

    from game.session import UserId
    from persistence.live.store import LiveStore

_BATCH: Final = 500


async def show_emails(store: LiveStore, emails: Iterable[tuple[UserId, str]]) -> int:
    """Have sessions show these e-mails; returns how many there are. A session that is not there will load it.

    Safe to repeat; raises LiveUnavailable: call again.
    """
    listed = list(emails)
    for start in range(0, len(listed), _BATCH):
        calls = []
        for user_id, email in listed[start : start + _BATCH]:
            keys = (store.keys.session(user_id), store.keys.load(user_id))
            calls.append(store.script("set_email", bucket_of(user_id), keys, (email,)))
        for reply in await store.run(calls):
            expect(reply, list)
    return len(listed)
