"""What an account can do: register, log in, refresh, log out, change its password, be deleted.

Guests, other e-mails and forgotten passwords are in `guest_service` and `recovery_service`, which build on
this one.

Each method is one request. PostgreSQL is changed first; what Redis must know follows, and is put back from
PostgreSQL where Redis was away (`marks_owed`, `restore_revocations`).
"""

from __future__ import annotations

import asyncio
import secrets
import time
from enum import Enum
from typing import TYPE_CHECKING

import structlog

from persistence.errors import LiveUnavailable, one_line
from server.auth.acceptable import (
    is_acceptable_email,
    normal_form,
    require_acceptable_email,
    require_acceptable_password,
)
from server.auth.errors import AccountExists, Busy, CredentialsInvalid, PasswordMissing, Suspended
from server.auth.tokens import ACCESS_TTL_S, AccessClaims, TokenInvalid, TokenPair

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from game.session import UserId
    from server.auth.passwords import PasswordHasher
    from server.auth.stores import Account, AccountStore, BegunAnew, FamilyStore, RevocationMarks
    from server.auth.throttle import Throttle
    from server.auth.tokens import TokenSigner

_log = structlog.get_logger(__name__)


class Match(Enum):
    """In which form a password is the account's."""

    NONE = "none"
    NORMAL = "in NFC"
    AS_TYPED = "as it was typed"


class AccountService:
    """The service behind the account routes.

    Methods raise an AuthRefusal or TokenInvalid as they say, and let pass what the stores raise when they are
    away: then it may have happened. `forget` removes a deleted user's session from Redis, `show_emails` has
    sessions there show other e-mails; both are safe to repeat.
    """

    def __init__(
        self,
        *,
        accounts: AccountStore,
        families: FamilyStore,
        revocations: RevocationMarks,
        hasher: PasswordHasher,
        throttle: Throttle,
        signer: TokenSigner,
        forget: Callable[[UserId], Awaitable[None]],
        show_emails: Callable[[Sequence[tuple[UserId, str]]], Awaitable[int]],
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._accounts = accounts
        self._families = families
        self._revocations = revocations
        self._hasher = hasher
        self._throttle = throttle
        self._signer = signer
        self._forget = forget
        self._show_emails = show_emails
        self._clock = clock
        self.marks_owed = asyncio.Event()
        """Set when Redis did not take marks of ended families, or an e-mail: housekeeping puts them back."""

    async def register(self, email: str, password: str, address: str) -> TokenPair:
        """Open an account; raises NotAcceptable, AccountExists, TooManyAttempts or Busy.

        Every try counts for the address: each tells whether an e-mail is taken, or leaves an account behind.
        """
        require_acceptable_email(email)
        password = normal_form(password)
        require_acceptable_password(password)
        email = email.lower()
        async with self._throttle.attempt(address) as attempt:
            if await self._accounts.find(email) is not None:
                attempt.counts = True
                raise AccountExists
            password_hash = await self._hasher.hash(password)
            attempt.counts = True
            family, jti = new_id(), new_id()
            registered = await self._accounts.register(email, password_hash, family, jti)
            if registered is None:
                raise AccountExists
        return self._signer.issue_pair(registered.user_id, family, jti, registered.issued_at_s)

    async def log_in(self, email: str, password: str, address: str) -> TokenPair:
        """Begin a family of tokens.

        Raises NotAcceptable, CredentialsInvalid, Suspended, TooManyAttempts or Busy. An unknown e-mail takes
        the same work as a wrong password.
        """
        email = email.lower()
        normal = normal_form(password)
        async with self._throttle.attempt(address, email) as attempt:
            account = await self._accounts.find(email) if is_acceptable_email(email) else None
            password_hash = account.password_hash if account else None
            match = await self._matched(password, password_hash)
            if account is None or password_hash is None or match is Match.NONE:
                attempt.counts = True
                raise CredentialsInvalid
        await self.refuse_suspended(account.user_id)
        if match is Match.AS_TYPED or self._hasher.is_outdated(password_hash):
            password_hash = await self._renewed_hash(account.user_id, password_hash, normal)
        family, jti = new_id(), new_id()
        issued_at_s = await self._accounts.log_in(account.user_id, password_hash, family, jti)
        if issued_at_s is None:
            raise CredentialsInvalid
        return self._signer.issue_pair(account.user_id, family, jti, issued_at_s)

    async def refresh(self, refresh_token: str) -> TokenPair:
        """Use a refresh token; the same token gives the same pair for 30 s. Raises TokenInvalid or Suspended.

        A token used longer ago was stolen, or its successor was: nobody can tell, so the family ends.
        """
        claims = self._signer.verify_refresh(refresh_token, self._clock())
        await self.refuse_suspended(claims.user_id)
        rotation = await self._families.rotate(claims.user_id, claims.family, claims.jti, new_id())
        if rotation.stolen:
            _log.warning("token_family_revoked", user=claims.user_id, why="a used refresh token came back")
            await self.mark_ended(claims.user_id, (claims.family,))
        if not rotation.issued:
            raise TokenInvalid
        return self._signer.issue_pair(claims.user_id, claims.family, rotation.jti, rotation.issued_at_s)

    async def log_out(self, refresh_token: str, *, everywhere: bool = False) -> None:
        """End the family of a refresh token, or all of its user's; raises TokenInvalid when it has ended."""
        claims = self._signer.verify_refresh(refresh_token, self._clock())
        ended: Sequence[str] | None = (claims.family,)
        if everywhere:
            ended = await self._families.revoke_all_of(claims.user_id, claims.family)
        elif not await self._families.revoke(claims.user_id, claims.family):
            ended = None
        if ended is None:
            raise TokenInvalid
        await self.mark_ended(claims.user_id, ended)

    async def change_password(
        self, access_token: str, password: str, new_password: str, address: str
    ) -> TokenPair:
        """Change the password: every family ends, the token's own too, and another begins.

        Raises TokenInvalid, NotAcceptable and what `log_in` raises.
        """
        claims = await self.authenticate(access_token)
        new_password = normal_form(new_password, "new_password")
        require_acceptable_password(new_password, "new_password")
        account, password_hash = await self.confirm(claims, password, address)
        new_hash = await self._hasher.hash(new_password)
        family, jti = new_id(), new_id()
        begun = await self._accounts.change_password(
            account.user_id,
            password_hash,
            asking=claims.family,
            new_hash=new_hash,
            family=family,
            jti=jti,
        )
        if begun is None:
            raise CredentialsInvalid
        return await self.log_in_anew(account.user_id, family, jti, begun)

    async def delete(self, access_token: str, password: str, address: str) -> None:
        """Delete the account, its session and its log-ins. A guest has no password to give.

        Raises TokenInvalid, PasswordMissing and what `log_in` raises.
        """
        claims = await self.authenticate(access_token)
        account = await self._accounts.get(claims.user_id)
        if account is None:
            raise TokenInvalid
        if not account.is_guest:
            if not password:
                raise PasswordMissing
            account, _ = await self.confirm(claims, password, address)
        families = await self._accounts.delete(account.user_id, account.password_hash, asking=claims.family)
        if families is None:
            raise TokenInvalid if account.is_guest else CredentialsInvalid
        await self.mark_ended(account.user_id, families, everything=True)
        await self._forget(account.user_id)
        _log.info("account_deleted", user=account.user_id)

    async def restore_revocations(self, within_s: int = ACCESS_TTL_S) -> int:
        """Mark again what Redis may not have, of the last `within_s`; returns how many families.

        The e-mails that changed are shown again too.

        Call at the start, when Redis came back as another run or after a loss of the connection, and when
        marks are owed.
        """
        await self._show_emails(await self._accounts.emails_changed(within_s))
        revoked = await self._families.revoked_lately(within_s)
        return await self._revocations.put_back((entry.user_id, entry.family) for entry in revoked)

    async def log_in_anew(
        self, user_id: UserId, family: str, jti: str, begun: BegunAnew, *, email: str | None = None
    ) -> TokenPair:
        """Issue the pair of a family that began as all others ended: each way to set a password ends here.

        `email`: what the session is to show from now on, written before connections are closed.
        """
        shown = () if email is None else (self._show_email(user_id, email),)
        await asyncio.gather(*shown, self.mark_ended(user_id, begun.revoked))
        return self._signer.issue_pair(user_id, family, jti, begun.issued_at_s)

    async def mark_ended(self, user_id: UserId, families: Sequence[str], *, everything: bool = False) -> None:
        """Have ended families refused everywhere and their connections closed.

        PostgreSQL has ended them already. Where Redis does not take the marks, they are owed.
        """
        try:
            await self._revocations.revoke(user_id, families, everything=everything)
        except LiveUnavailable as error:
            _log.warning("revocations_owed", user=user_id, families=len(families), error=one_line(error))
            self.marks_owed.set()

    async def refuse_suspended(self, user_id: UserId) -> None:
        """Raise Suspended where a player may not play now; only the player is to learn of it."""
        suspension = await self._accounts.suspension(user_id)
        if suspension is not None:
            ends_at = suspension.ends_at
            raise Suspended(None if ends_at is None else ends_at.isoformat(), suspension.because)

    async def _show_email(self, user_id: UserId, email: str) -> None:
        """Have the session show another e-mail, which PostgreSQL has. Where Redis is away, it is owed."""
        try:
            await self._show_emails([(user_id, email)])
        except LiveUnavailable as error:
            _log.warning("email_owed", user=user_id, error=one_line(error))
            self.marks_owed.set()

    async def authenticate(self, access_token: str) -> AccessClaims:
        """Check an access token; raises TokenInvalid, also when its family was revoked."""
        claims = self._signer.verify_access(access_token, self._clock())
        if await self._revocations.is_revoked(claims.user_id, claims.family):
            raise TokenInvalid
        return claims

    async def confirm(self, claims: AccessClaims, password: str, address: str) -> tuple[Account, str]:
        """Check the password of the token's user; returns the account and the hash that was checked.

        Raises TokenInvalid when the account is gone, and what `log_in` raises.
        """
        normal_form(password)
        account = await self._accounts.get(claims.user_id)
        if account is None:
            raise TokenInvalid
        async with self._throttle.attempt(address, account.email) as attempt:
            password_hash = account.password_hash
            if await self._matched(password, password_hash) is Match.NONE or password_hash is None:
                attempt.counts = True
                raise CredentialsInvalid
        return account, password_hash

    async def _matched(self, password: str, stored_hash: str | None) -> Match:
        """Check a password in NFC and, where it was typed in another form, in that too.

        Both are checked whatever the first says: the time tells nothing of the account. Raises NotAcceptable
        and Busy.
        """
        normal = normal_form(password)
        is_normal = await self._hasher.verify(normal, stored_hash)
        is_typed = password != normal and await self._hasher.verify(password, stored_hash)
        if is_normal:
            return Match.NORMAL
        return Match.AS_TYPED if is_typed else Match.NONE

    async def _renewed_hash(self, user_id: UserId, password_hash: str, normal: str) -> str:
        """Hash a password, in NFC, at today's cost; returns the hash that the account has now."""
        try:
            new_hash = await self._hasher.hash(normal)
        except (Busy, ValueError):
            # The next log-in will do; and what is too long in NFC stays as it was.
            return password_hash
        renewed = await self._accounts.rehash(user_id, password_hash, new_hash)
        return new_hash if renewed else password_hash


def new_id() -> str:
    """Make the id of a family or a refresh token."""
    return secrets.token_hex(16)
