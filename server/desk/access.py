"""What operators do with an account: suspend, log out, rename, a link for a new password, delete."""

from __future__ import annotations

from contextlib import asynccontextmanager
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
from server.desk.errors import NoPlayer
from server.desk.orders import Result

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from game.session import UserId
    from persistence.durable.operator_log import Turn
    from persistence.durable.pool import Pool
    from persistence.live.store import LiveStore

GONE: Final = "this account was deleted a moment ago"
_MOST_LINKS: Final = 1000


class Access:
    """Changes a player's account.

    Methods raise StorageUnavailable: call again, which is safe; and NoPlayer where there is no such account.
    """

    def __init__(self, pool: Pool, store: LiveStore, public_url: str, user_id: UserId) -> None:
        self._log = OperatorLog(pool)
        self._suspensions = Suspensions(pool)
        self._revocations = Revocations(store, ACCESS_TTL_S)
        self._user_id = user_id
        self._store = store
        self._links = ResetLinks(pool, REFRESH_TTL_S)
        self._accounts = AccountTable(pool, REFRESH_TTL_S)
        self._community = Community(pool)
        self._public_url = public_url

    async def suspend(self, operator: str, reason: str, for_s: int | None) -> Result:
        """Suspend the player for so long (None: without an end), and close every connection."""
        async with self._turn() as turn:
            intent = await turn.begin(Wish(operator, reason, "suspend", float(for_s or 0)))
            families = await self._suspensions.suspend(self._user_id, for_s, reason)
            await self._revocations.revoke(self._user_id, families, everything=True)
            await turn.finish(intent, Outcome.DONE)
            return Result(intent.number, Outcome.DONE)

    async def unsuspend(self, operator: str, reason: str) -> Result:
        """End the player's suspension; refused in the log where there is none."""
        async with self._turn() as turn:
            intent = await turn.begin(Wish(operator, reason, "unsuspend"))
            outcome = Outcome.DONE if await self._suspensions.end(self._user_id) else Outcome.REFUSED
            await turn.finish(intent, outcome)
            why = "" if outcome is Outcome.DONE else "the player is not suspended"
            return Result(intent.number, outcome, why)

    async def log_out(self, operator: str, reason: str) -> Result:
        """End every log-in of the player, and close every connection."""
        async with self._turn() as turn:
            intent = await turn.begin(Wish(operator, reason, "log-out"))
            families = await self._suspensions.log_out(self._user_id)
            await self._revocations.revoke(self._user_id, families, everything=True)
            await turn.finish(intent, Outcome.DONE)
            return Result(intent.number, Outcome.DONE)

    async def reset_link(self, operator: str, reason: str, email: str) -> Result:
        """Make a link that sets a new password, good once and for 30 minutes.

        The log has that one was made, not the link.
        """
        token, digest = new_link()
        async with self._turn() as turn:
            intent = await turn.begin(Wish(operator, reason, "reset-link"))
            await self._links.add(email, digest, LINK_TTL_S, most=_MOST_LINKS, within_s=LINK_TTL_S)
            await turn.finish(intent, Outcome.DONE)
            return Result(intent.number, Outcome.DONE, link=f"{self._public_url}/#reset={token}")

    async def rename(self, operator: str, reason: str, name: str) -> Result:
        """Give the player another public name.

        The log has that the name changed, neither name: they say who the player is.
        """
        async with self._turn() as turn:
            intent = await turn.begin(Wish(operator, reason, "rename"))
            chosen = await self._community.set_name(self._user_id, name)
            outcome = Outcome.REFUSED if isinstance(chosen, Refusal) else Outcome.DONE
            await turn.finish(intent, outcome)
            return Result(intent.number, outcome, str(chosen) if isinstance(chosen, Refusal) else "")

    async def delete(self, operator: str, reason: str) -> Result:
        """Delete the account, the session and every log-in, as the player's own request does."""
        async with self._turn() as turn:
            intent = await turn.begin(Wish(operator, reason, "delete"))
        # The deletion takes the row of the turn: what came of it is written without one.
        account = await self._accounts.get(self._user_id)
        families = None
        if account is not None:
            families = await self._accounts.delete(self._user_id, account.password_hash)
        await self._log.finish(intent, Outcome.REFUSED if families is None else Outcome.DONE)
        if families is None:
            raise NoPlayer(GONE)
        await self._revocations.revoke(self._user_id, families, everything=True)
        await forget(self._store, self._user_id)
        return Result(intent.number, Outcome.DONE)

    @asynccontextmanager
    async def _turn(self) -> AsyncIterator[Turn]:
        """Wait for one's turn with the player; raises NoPlayer where there is no such account."""
        async with self._log.turn(self._user_id) as turn:
            if turn is None:
                raise NoPlayer(GONE)
            yield turn
