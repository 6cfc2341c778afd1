"""Another e-mail address, and a new password in place of a forgotten one."""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Final, Protocol

import structlog

from persistence.durable.account_table import NotChanged
from server.auth.acceptable import normal_form, require_acceptable_email, require_acceptable_password
from server.auth.account_service import new_id
from server.auth.errors import AccountExists, Busy, MailUnavailable
from server.auth.guest_service import refused
from server.auth.throttle import WINDOW_S
from server.auth.tokens import TokenInvalid

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from game.session import UserId
    from persistence.durable.reset_links import PasswordReset
    from server.auth.account_service import AccountService
    from server.auth.passwords import PasswordHasher
    from server.auth.stores import Account, BegunAnew
    from server.auth.throttle import Throttle
    from server.auth.tokens import TokenPair

_log = structlog.get_logger(__name__)

LINK_TTL_S: Final = 30 * 60
_MOST_LINKS: Final = 3
"""For an account in 15 minutes, from all addresses together: a mailbox is not to be filled."""
_NO_MAIL_RETRY_AFTER_S: Final = 3600
_TOKEN_BYTES: Final = 32


@dataclass(frozen=True, slots=True)
class ResetLink:
    """A link to be sent. PostgreSQL keeps a digest of the token, nobody the token itself."""

    email: str
    token: str = field(repr=False)


class Mail(Protocol):
    """Sends mail in the background; see server.mail.game_mail. Methods raise Busy where too much waits."""

    def post_reset_link(self, make: Callable[[], Awaitable[ResetLink | None]]) -> None:
        """Have a link sent to whom `make` makes one for; `make` is called later, again after an outage."""

    def post_email_changed(self, former_email: str) -> None:
        """Tell the address that an account had before."""


class Emails(Protocol):
    """Keeps e-mails of accounts; see persistence.durable.account_table."""

    async def find(self, email: str) -> Account | None:
        """Look an account up by its address."""

    async def change_email(
        self, user_id: UserId, password_hash: str, *, asking: str, email: str, family: str, jti: str
    ) -> BegunAnew | NotChanged:
        """Give an account another address and begin another family."""


class Links(Protocol):
    """Keeps digests of links; see persistence.durable.reset_links."""

    async def add(self, email: str, digest: bytes, ttl_s: int, *, most: int, within_s: int) -> bool:
        """Add a link for an account; False where there is none to add."""

    async def owner(self, digest: bytes) -> UserId | None:
        """Return whose link this is; None where it could not be used now."""

    async def use(self, digest: bytes, new_hash: str, family: str, jti: str) -> PasswordReset | None:
        """Set a password and begin another family; None when the link is good no more."""

    async def prune(self) -> int:
        """Delete links that are too old."""


class RecoveryService:
    """The service behind `/email`, `/forgot` and `/reset`. Without `mail` no link can be asked for.

    Methods raise what those of AccountService do.
    """

    def __init__(
        self,
        accounts: AccountService,
        *,
        emails: Emails,
        links: Links,
        hasher: PasswordHasher,
        throttle: Throttle,
        mail: Mail | None,
    ) -> None:
        self._accounts = accounts
        self._emails = emails
        self._links = links
        self._hasher = hasher
        self._throttle = throttle
        self._mail = mail

    async def change_email(self, access_token: str, password: str, email: str, address: str) -> TokenPair:
        """Give the token's account another address: every family ends, and another begins.

        Raises TokenInvalid, NotAcceptable, AccountExists and what `log_in` raises.
        """
        claims = await self._accounts.authenticate(access_token)
        require_acceptable_email(email)
        email = email.lower()
        account, password_hash = await self._accounts.confirm(claims, password, address)
        async with self._throttle.attempt(address) as attempt:
            found = await self._emails.find(email)
            if found is not None and found.user_id != account.user_id:
                attempt.counts = True
                raise AccountExists
            family, jti = new_id(), new_id()
            begun = await self._emails.change_email(
                account.user_id,
                password_hash,
                asking=claims.family,
                email=email,
                family=family,
                jti=jti,
            )
            if isinstance(begun, NotChanged):
                attempt.counts = begun is NotChanged.TAKEN
                raise refused(begun)
        if email != account.email:
            self._tell_former(account.email)
        return await self._accounts.log_in_anew(account.user_id, family, jti, begun, email=email)

    async def forgot(self, email: str, address: str) -> None:
        """Have a link sent to an address, if an account has it.

        Nothing shows outside whether there is one: the account is looked up after this returned. Each try
        counts for the address, and for the pair with the e-mail, apart from log-ins. Raises MailUnavailable,
        NotAcceptable, TooManyAttempts or Busy.
        """
        if self._mail is None:
            raise MailUnavailable(_NO_MAIL_RETRY_AFTER_S)
        require_acceptable_email(email)
        email = email.lower()
        async with self._throttle.attempt(address, f"link:{email}") as attempt:
            attempt.counts = True
            self._mail.post_reset_link(partial(self._make_link, email))

    async def reset(self, token: str, password: str, address: str) -> TokenPair:
        """Set a new password with a link's token: every family ends, and another begins.

        Raises TokenInvalid for a link that is unknown, used or too old, Suspended, NotAcceptable,
        TooManyAttempts or Busy; the link stays good where the password was not acceptable.
        """
        password = normal_form(password)
        require_acceptable_password(password)
        digest = _digest(token)
        async with self._throttle.attempt(address) as attempt:
            owner = await self._links.owner(digest)
            if owner is None:
                attempt.counts = True
                raise TokenInvalid
            await self._accounts.refuse_suspended(owner)
            new_hash = await self._hasher.hash(password)
            family, jti = new_id(), new_id()
            reset = await self._links.use(digest, new_hash, family, jti)
            if reset is None:
                attempt.counts = True
                raise TokenInvalid
        _log.info("password_recovered", user=reset.user_id)
        return await self._accounts.log_in_anew(reset.user_id, family, jti, reset.begun)

    async def prune(self) -> None:
        """Forget links that are too old. Raises DurableUnavailable: call again."""
        await self._links.prune()

    async def _make_link(self, email: str) -> ResetLink | None:
        token, digest = new_link()
        added = await self._links.add(email, digest, LINK_TTL_S, most=_MOST_LINKS, within_s=WINDOW_S)
        return ResetLink(email, token) if added else None

    def _tell_former(self, email: str) -> None:
        if self._mail is None:
            return
        try:
            self._mail.post_email_changed(email)
        except Busy:
            _log.warning("mail_failed", error="too many mails wait", tries=0)


def new_link() -> tuple[str, bytes]:
    """Make the token of a link, and the digest that is kept of it."""
    token = secrets.token_urlsafe(_TOKEN_BYTES)
    return token, _digest(token)


def _digest(token: str) -> bytes:
    """Return what is kept of a token: as random as it is, so that one round does."""
    return hashlib.sha256(token.encode(errors="replace")).digest()
