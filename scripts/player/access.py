"""Whether a player may play: suspensions, their end, and the end of all log-ins."""

from __future__ import annotations

import argparse
import re
from typing import TYPE_CHECKING, Final

from persistence.durable.operator_log import OperatorLog, Outcome, Wish
from persistence.durable.suspensions import Suspensions
from persistence.live.revocations import Revocations
from server.auth.tokens import ACCESS_TTL_S

if TYPE_CHECKING:
    from game.session import UserId
    from scripts.databases import Databases

_UNITS_S: Final = {"m": 60, "h": 3600, "d": 86_400}
_LONGEST_S: Final = 36_500 * 86_400


def duration(text: str) -> int:
    """Read `90m`, `12h` or `3d` as seconds."""
    match = re.fullmatch(r"([1-9]\d{0,8})([mhd])", text)
    seconds = int(match[1]) * _UNITS_S[match[2]] if match else 0
    if not 0 < seconds <= _LONGEST_S:
        raise argparse.ArgumentTypeError(f"{text!r} is not like 90m, 12h or 3d")
    return seconds


class Access:
    """Changes whether a player may play. Methods raise StorageUnavailable: call again, which is safe.

    They return the number in the log; None where there is no such account.
    """

    def __init__(self, databases: Databases, user_id: UserId) -> None:
        self._log = OperatorLog(databases.pool)
        self._suspensions = Suspensions(databases.pool)
        self._revocations = Revocations(databases.store, ACCESS_TTL_S)
        self._user_id = user_id

    async def suspend(self, operator: str, reason: str, for_s: int | None) -> int | None:
        """Suspend the player for so long (None: without an end), and close every connection."""
        async with self._log.turn(self._user_id) as turn:
            if turn is None:
                return None
            intent = await turn.begin(Wish(operator, reason, "suspend", float(for_s or 0)))
            families = await self._suspensions.suspend(self._user_id, for_s, reason)
            await self._revocations.revoke(self._user_id, families, everything=True)
            await turn.finish(intent, Outcome.DONE)
            return intent.number

    async def unsuspend(self, operator: str, reason: str) -> int | None:
        """End the player's suspension; refused in the log where there is none."""
        async with self._log.turn(self._user_id) as turn:
            if turn is None:
                return None
            intent = await turn.begin(Wish(operator, reason, "unsuspend"))
            ended = await self._suspensions.end(self._user_id)
            await turn.finish(intent, Outcome.DONE if ended else Outcome.REFUSED)
            return intent.number

    async def log_out(self, operator: str, reason: str) -> int | None:
        """End every log-in of the player, and close every connection."""
        async with self._log.turn(self._user_id) as turn:
            if turn is None:
                return None
            intent = await turn.begin(Wish(operator, reason, "log-out"))
            families = await self._suspensions.log_out(self._user_id)
            await self._revocations.revoke(self._user_id, families, everything=True)
            await turn.finish(intent, Outcome.DONE)
            return intent.number
