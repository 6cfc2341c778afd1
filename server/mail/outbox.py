"""Mail that waits: written and sent in the background, tried again while its server is away, bounded."""

from __future__ import annotations

import asyncio
import traceback
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import structlog

from persistence.errors import StorageUnavailable, one_line
from server.auth.errors import Busy
from server.mail.smtp import MailNotSent

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from server.mail.letters import Letter

_log = structlog.get_logger(__name__)

MOST_WAITING: Final = 256
TRY_AGAIN_AFTER_S: Final = (5.0, 30.0, 120.0, 300.0)
"""Within the life of a link: what is not sent by then is of no use."""
_SENDERS: Final = 4
_RETRY_AFTER_S: Final = 60


@dataclass(slots=True)
class _Mail:
    """A mail under way: `write` finds out what to send, once it has come that far."""

    write: Callable[[], Awaitable[Letter | None]]
    letter: Letter | None = None
    tries: int = 0


@dataclass(slots=True)
class MailTotals:
    """What became of mail since the start; plain integers."""

    sent: int = 0
    failed: int = 0


class Outbox:
    """Sends mail, four at a time. Call `run` in a supervised task; what waits is lost with the process."""

    def __init__(
        self,
        send: Callable[[Letter], Awaitable[None]],
        try_again_after_s: Sequence[float] = TRY_AGAIN_AFTER_S,
        most_waiting: int = MOST_WAITING,
    ) -> None:
        self._send = send
        self._try_again_after_s = try_again_after_s
        self._most_waiting = most_waiting
        self._queue: asyncio.Queue[_Mail] = asyncio.Queue()
        self.waiting = 0
        self.totals = MailTotals()

    def post(self, write: Callable[[], Awaitable[Letter | None]]) -> None:
        """Have what `write` returns sent, later; None: nothing. Raises Busy where too much waits.

        Nothing is looked up before this returns, so that the caller's time says nothing of what is found.
        """
        if self.waiting >= self._most_waiting:
            raise Busy(_RETRY_AFTER_S)
        self.waiting += 1
        self._queue.put_nowait(_Mail(write))

    @property
    def figures(self) -> tuple[int, int, int]:
        """How many mails were sent, were given up, and wait."""
        return self.totals.sent, self.totals.failed, self.waiting

    async def run(self) -> None:
        """Send until cancelled."""
        async with asyncio.TaskGroup() as group:
            for _ in range(_SENDERS):
                group.create_task(self._work())

    async def _work(self) -> None:
        while True:
            mail = await self._queue.get()
            try:
                mail.letter = mail.letter or await mail.write()
                if mail.letter is not None:
                    await self._send(mail.letter)
                    self.totals.sent += 1
                self.waiting -= 1
            except MailNotSent as error:
                self._failed(mail, str(error), permanent=error.permanent)
            except StorageUnavailable as error:
                self._failed(mail, one_line(error), permanent=False)
            except Exception as error:  # noqa: BLE001 - the top of a task: a mail must not end the game
                self.waiting -= 1
                self.totals.failed += 1
                _log.error("mail_crashed", error=type(error).__name__, trace=_places(error))

    def _failed(self, mail: _Mail, why: str, *, permanent: bool) -> None:
        """Try again later, a few times."""
        if permanent or mail.tries >= len(self._try_again_after_s):
            self.waiting -= 1
            self.totals.failed += 1
            _log.warning("mail_failed", error=why, tries=mail.tries + 1)
            return
        after_s = self._try_again_after_s[mail.tries]
        mail.tries += 1
        _log.info("mail_delayed", error=why, again_in_s=after_s)
        asyncio.get_running_loop().call_later(after_s, self._queue.put_nowait, mail)


def _places(error: Exception) -> str:
    """Say where an error came about, without its text, which may quote an address."""
    return "".join(traceback.format_tb(error.__traceback__))
