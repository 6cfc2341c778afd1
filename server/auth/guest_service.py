"""Guests: players without an e-mail, who play at once, claim their account when they like, or stay away."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final, Protocol

import structlog

from game.session import UserId
from persistence.durable.account_table import NotChanged
from persistence.errors import LiveUnavailable, one_line
from server.auth.acceptable import normal_form, require_acceptable_email, require_acceptable_password
from server.auth.account_service import new_id
from server.auth.errors import AccountExists, AlreadyClaimed, CredentialsInvalid
from server.auth.tokens import TokenInvalid

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from persistence.durable.guest_table import GuestStep
    from server.auth.account_service import AccountService
    from server.auth.passwords import PasswordHasher
    from server.auth.stores import Account, BegunAnew, Registered
    from server.auth.throttle import Throttle
    from server.auth.tokens import TokenPair, TokenSigner

_CLOCKS_AGREE_WITHIN_S: Final = 3600.0

_log = structlog.get_logger(__name__)


class ClaimedAccounts(Protocol):
    """Keeps guests among the accounts; see persistence.durable.account_table for what a method promises."""

    async def get(self, user_id: UserId) -> Account | None:
        """Look an account up by its id."""

    async def find(self, email: str) -> Account | None:
        """Look an account up by its address."""

    async def open_guest(self, family: str, jti: str) -> Registered:
        """Add a guest with a family."""

    async def claim(
        self, user_id: UserId, *, asking: str, email: str, new_hash: str, family: str, jti: str
    ) -> BegunAnew | NotChanged:
        """Give a guest an e-mail and a password and begin another family."""


class AwayGuests(Protocol):
    """Finds guests who stay away; see persistence.durable.guest_table."""

    async def now_s(self) -> float:
        """Return the time by which guests stayed away."""

    async def delete_away(self, days: int, after: UserId, at_most: int) -> GuestStep:
        """Look at the next guests after an id and delete those who have not come for so many days."""


class GuestService:
    """The service behind `/guest` and `/claim`. Methods raise what those of AccountService do."""

    def __init__(
        self,
        accounts: AccountService,
        *,
        table: ClaimedAccounts,
        away: AwayGuests,
        hasher: PasswordHasher,
        throttle: Throttle,
        signer: TokenSigner,
        forget: Callable[[Sequence[UserId]], Awaitable[None]],
        ttl_days: int,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._accounts = accounts
        self._table = table
        self._away = away
        self._hasher = hasher
        self._throttle = throttle
        self._signer = signer
        self._forget = forget
        self._ttl_days = ttl_days
        self._clock = clock
        self._looked_up_to = UserId(0)

    async def open(self, address: str) -> TokenPair:
        """Make a new player without an e-mail; raises TooManyAttempts. Each counts for the address."""
        async with self._throttle.attempt(address) as attempt:
            attempt.counts = True
            family, jti = new_id(), new_id()
            opened = await self._table.open_guest(family, jti)
        return self._signer.issue_pair(opened.user_id, family, jti, opened.issued_at_s)

    async def claim(self, access_token: str, email: str, password: str, address: str) -> TokenPair:
        """Give the guest of a token an e-mail and a password: the same player, with a new family.

        Each try counts for the address, as with `/reg`: it tells whether an e-mail is taken. Raises
        TokenInvalid, NotAcceptable, AlreadyClaimed, AccountExists, TooManyAttempts or Busy.
        """
        claims = await self._accounts.authenticate(access_token)
        require_acceptable_email(email)
        password = normal_form(password)
        require_acceptable_password(password)
        email = email.lower()
        async with self._throttle.attempt(address) as attempt:
            account = await self._table.get(claims.user_id)
            if account is None:
                raise TokenInvalid
            if not account.is_guest:
                raise AlreadyClaimed
            attempt.counts = True
            if await self._table.find(email) is not None:
                raise AccountExists
            new_hash = await self._hasher.hash(password)
            family, jti = new_id(), new_id()
            begun = await self._table.claim(
                claims.user_id,
                asking=claims.family,
                email=email,
                new_hash=new_hash,
                family=family,
                jti=jti,
            )
        if isinstance(begun, NotChanged):
            raise refused(begun)
        _log.info("guest_claimed", user=claims.user_id)
        return await self._accounts.log_in_anew(claims.user_id, family, jti, begun, email=email)

    async def delete_away(self, at_most: int) -> bool:
        """Look at the next `at_most` guests, and delete those who stayed away, with all that is kept of them.

        False at the end of the list: the next step begins it again. Nobody is deleted by a clock that is
        wrong: PostgreSQL's and this process' must agree within an hour. Raises DurableUnavailable: nothing
        was deleted in this step.
        """
        apart_s = abs(await self._away.now_s() - self._clock())
        if apart_s > _CLOCKS_AGREE_WITHIN_S:
            _log.warning("clocks_disagreed", seconds=round(apart_s))
            return False
        step = await self._away.delete_away(self._ttl_days, self._looked_up_to, at_most)
        self._looked_up_to = step.after or UserId(0)
        for guest in step.deleted:
            await self._accounts.mark_ended(guest.user_id, guest.families, everything=True)
        if step.deleted:
            try:
                await self._forget([guest.user_id for guest in step.deleted])
            except LiveUnavailable as error:
                # A session without an account is not saved, and leaves Redis by itself.
                _log.info("deleted_guests_linger_in_redis", error=one_line(error))
            _log.info("guests_deleted", guests=len(step.deleted), days=self._ttl_days)
        return step.after is not None


def refused(why: NotChanged) -> Exception:
    """Return what to raise where an account did not get an e-mail."""
    match why:
        case NotChanged.GONE:
            return TokenInvalid()
        case NotChanged.CLAIMED:
            return AlreadyClaimed()
        case NotChanged.OUTDATED:
            return CredentialsInvalid()
        case NotChanged.TAKEN:
            return AccountExists()
