"""What operators do with an account: suspend, log out, rename, a link for a new password, delete."""

from __future__ import annotations

import argparse
import re
from typing import TYPE_CHECKING, Final

from game.errors import Refusal
from persistence.durable.account_table import AccountTable
from persistence.durable.community import Community
from persistence.durable.operator_log import OperatorLog, Outcome, Wish
from persistence.durable.reset_links import ResetLinks
from persistence.durable.suspensions import Suspensions
from persistence.live.forget import forget
from persistence.live.revocations import Revocations
from server.auth.recovery_service import LINK_TTL_S, new_link
from server.auth.tokens import ACCESS_TTL_S, REFRESH_TTL_S

if TYPE_CHECKING:
    from game.session import UserId
    from scripts.databases import Databases

_UNITS_S: Final = {"m": 60, "h": 3600, "d": 86_400}
_LONGEST_S: Final = 36_500 * 86_400
_MOST_LINKS: Final = 1000


def duration(text: str) -> int:
    """Read `90m`, `12h` or `3d` as seconds."""
    match = re.fullmatch(r"([1-9]\d{0,8})([mhd])", text)
    seconds = int(match[1]) * _UNITS_S[match[2]] if match else 0
    if not 0 < seconds <= _LONGEST_S:
        raise argparse.ArgumentTypeError(f"{text!r} is not like 90m, 12h or 3d")
    return seconds


class Access:
    """Changes a player's account. Methods raise StorageUnavailable: call again, which is safe.

    They return the number in the log; None where there is no such account.
    """

    def __init__(self, databases: Databases, user_id: UserId) -> None:
        self._log = OperatorLog(databases.pool)
        self._suspensions = Suspensions(databases.pool)
        self._revocations = Revocations(databases.store, ACCESS_TTL_S)
        self._user_id = user_id
        self._store = databases.store
        self._links = ResetLinks(databases.pool, REFRESH_TTL_S)
        self._accounts = AccountTable(databases.pool, REFRESH_TTL_S)
        self._community = Community(databases.pool)
        self._public_url = databases.settings.public_url

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

    async def reset_link(self, operator: str, reason: str, email: str) -> tuple[int, str] | None:
        """Make a link that sets a new password, good once and for 30 minutes; returns number and link.

        The log has that one was made, not the link.
        """
        token, digest = new_link()
        async with self._log.turn(self._user_id) as turn:
            if turn is None:
                return None
            intent = await turn.begin(Wish(operator, reason, "reset-link"))
            await self._links.add(email, digest, LINK_TTL_S, most=_MOST_LINKS, within_s=LINK_TTL_S)
            await turn.finish(intent, Outcome.DONE)
            return intent.number, f"{self._public_url}/#reset={token}"

    async def delete(self, operator: str, reason: str) -> int | None:
        """Delete the account, the session and every log-in, as the player's own request does."""
        async with self._log.turn(self._user_id) as turn:
            if turn is None:
                return None
            intent = await turn.begin(Wish(operator, reason, "delete"))
        # The deletion takes the row of the turn: what came of it is written without one.
        account = await self._accounts.get(self._user_id)
        families = None
        if account is not None:
            families = await self._accounts.delete(self._user_id, account.password_hash)
        await self._log.finish(intent, Outcome.REFUSED if families is None else Outcome.DONE)
        if families is None:
            return None
        await self._revocations.revoke(self._user_id, families, everything=True)
        await forget(self._store, self._user_id)
        return intent.number

    async def rename(self, operator: str, reason: str, name: str) -> tuple[int, Refusal | None] | None:
        """Give the player another public name; returns the number, and why it was refused.

        The log has that the name changed, neither name: they say who the player is.
        """
        async with self._log.turn(self._user_id) as turn:
            if turn is None:
                return None
            intent = await turn.begin(Wish(operator, reason, "rename"))
            chosen = await self._community.set_name(self._user_id, name)
            refusal = chosen if isinstance(chosen, Refusal) else None
            await turn.finish(intent, Outcome.DONE if refusal is None else Outcome.REFUSED)
            return intent.number, refusal

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
