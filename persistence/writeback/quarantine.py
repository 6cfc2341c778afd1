"""Sessions that PostgreSQL refuses: retried with increasing delay, so that they don't hold up the rest."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from game.session import UserId

FIRST_WAIT_S: Final = 30.0
MOST_WAIT_S: Final = 600.0
MOST_USERS: Final = 10_000


@dataclass(slots=True)
class _Wait:
    wait_s: float
    until_s: float


class Quarantine:
    """Remembers which users to skip: 10,000 at most; beyond that the first one is retried sooner."""

    def __init__(self) -> None:
        self._waits: dict[UserId, _Wait] = {}

    def __len__(self) -> int:
        return len(self._waits)

    def __contains__(self, user_id: UserId) -> bool:
        return user_id in self._waits

    def add(self, user_id: UserId, now_s: float) -> None:
        """Pass a user over for 30 s, twice as long each further time up to 10 minutes."""
        before = self._waits.pop(user_id, None)
        wait_s = FIRST_WAIT_S if before is None else min(2 * before.wait_s, MOST_WAIT_S)
        self._waits[user_id] = _Wait(wait_s, now_s + wait_s)
        if len(self._waits) > MOST_USERS:
            del self._waits[next(iter(self._waits))]

    def waits(self, user_id: UserId, now_s: float) -> bool:
        """Whether a user is to be passed over at this moment."""
        wait = self._waits.get(user_id)
        return wait is not None and now_s < wait.until_s

    def forget(self, user_id: UserId) -> None:
        """Stop passing a user over: saved after all."""
        self._waits.pop(user_id, None)
