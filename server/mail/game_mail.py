"""The mail of this game: which letter goes to whom, in the server's language, with links to its page."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from server.auth.recovery_service import LINK_TTL_S
from server.mail.letters import email_changed_letter, reset_letter

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from server.auth.recovery_service import ResetLink
    from server.mail.letters import Letter
    from server.mail.outbox import Outbox


@dataclass(frozen=True, slots=True)
class GameMail:
    """Posts letters. `public_url` is the page's address, without a slash at its end."""

    outbox: Outbox
    public_url: str
    language: str

    def post_reset_link(self, make: Callable[[], Awaitable[ResetLink | None]]) -> None:
        """Have a link sent to whom `make` makes one for; raises Busy."""

        async def write() -> Letter | None:
            made = await make()
            if made is None:
                return None
            # Behind the #: browsers send that to no server, and to no page that the player goes to next.
            link = f"{self.public_url}/#reset={made.token}"
            return reset_letter(made.email, link, LINK_TTL_S // 60, self.language)

        self.outbox.post(write)

    def post_email_changed(self, former_email: str) -> None:
        """Tell the address that an account had before; raises Busy."""

        async def write() -> Letter:
            return email_changed_letter(former_email, self.language)

        self.outbox.post(write)
