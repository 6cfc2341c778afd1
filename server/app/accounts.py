"""Who may play: accounts, passwords, tokens and their families."""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from persistence.durable.account_table import AccountTable
from persistence.durable.guest_table import GuestTable
from persistence.durable.reset_links import ResetLinks
from persistence.durable.token_families import TokenFamilies
from persistence.live.emails import show_emails
from persistence.live.forget import forget
from persistence.live.revocations import Revocations
from persistence.live.store import LiveStore
from persistence.live.throttle import AttemptLog
from persistence.recovery.export import export_player
from runtime.mail_settings import parse_smtp_url
from server.auth.account_service import AccountService
from server.auth.export_service import ExportService
from server.auth.guest_service import GuestService
from server.auth.passwords import PasswordHasher
from server.auth.recovery_service import RecoveryService
from server.auth.throttle import WINDOW_S, Throttle
from server.auth.tokens import ACCESS_TTL_S, REFRESH_TTL_S, TokenSigner
from server.mail.certificates import check_cafile
from server.mail.game_mail import GameMail
from server.mail.outbox import Outbox
from server.mail.smtp import SmtpSender
from server.ws.identity import Identity

if TYPE_CHECKING:
    from contextlib import AsyncExitStack

    from runtime.settings import Settings
    from server.app.storage import Storage


@dataclass(frozen=True, slots=True)
class AccountParts:
    """The parts that know who somebody is. `outbox` is None where no mail can be sent."""

    service: AccountService
    guests: GuestService
    recovery: RecoveryService
    exports: ExportService
    outbox: Outbox | None
    families: TokenFamilies
    hasher: PasswordHasher
    identity: Identity


def build_accounts(settings: Settings, storage: Storage, stack: AsyncExitStack) -> AccountParts:
    """Build what checks passwords and tokens; `stack` closes it."""
    signer = TokenSigner(
        [secret.reveal() for secret in settings.access_token_secrets],
        [secret.reveal() for secret in settings.refresh_token_secrets],
    )
    hasher = PasswordHasher(settings.bcrypt_cost)
    stack.callback(hasher.close)
    families = TokenFamilies(storage.pool, REFRESH_TTL_S)
    newest_secret, *_ = settings.refresh_token_secrets
    table = AccountTable(storage.pool, REFRESH_TTL_S)
    throttle = Throttle(
        AttemptLog(storage.store, WINDOW_S), settings.auth_rate, newest_secret.reveal().encode()
    )
    service = AccountService(
        accounts=table,
        families=families,
        revocations=Revocations(storage.store, ACCESS_TTL_S),
        hasher=hasher,
        throttle=throttle,
        signer=signer,
        forget=partial(forget, storage.store),
        show_emails=partial(show_emails, storage.store),
    )
    guests = GuestService(
        service,
        table=table,
        away=GuestTable(storage.pool, REFRESH_TTL_S),
        hasher=hasher,
        throttle=throttle,
        signer=signer,
        forget=lambda user_ids: forget(storage.store, *user_ids),
        ttl_days=settings.guest_ttl_days,
    )
    mail = _build_mail(settings)
    recovery = RecoveryService(
        service,
        emails=table,
        links=ResetLinks(storage.pool, REFRESH_TTL_S),
        hasher=hasher,
        throttle=throttle,
        mail=mail,
    )
    exports = ExportService(service, partial(export_player, storage.pool, storage.store))
    outbox = None if mail is None else mail.outbox
    # Asked over the game's own lanes, so that a first token waits for nothing but Redis.
    revoked = Revocations(LiveStore(storage.lanes), ACCESS_TTL_S)
    identity = Identity(lambda token: signer.verify_access(token, time.time()), revoked.is_revoked)
    return AccountParts(service, guests, recovery, exports, outbox, families, hasher, identity)


def _build_mail(settings: Settings) -> GameMail | None:
    """Build what sends mail; None where SMTP_URL is not set. Raises StartupError for its `cafile`."""
    if not settings.smtp_url:
        return None
    check_cafile(settings)
    sender = SmtpSender(parse_smtp_url(settings.smtp_url.reveal()), settings.mail_from)
    return GameMail(Outbox(sender.send), settings.public_url, settings.catalog_language)
