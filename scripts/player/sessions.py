"""The sessions of the game for a command of an operator: loaded and refreshed as the server does it."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, cast

from persistence.durable.current_catalogue import open_catalogues
from persistence.durable.sessions import load_rows
from persistence.errors import NotSent
from persistence.live.decisions import is_failure
from persistence.live.replies.play import PLAY_SHAPES, play_reply
from persistence.live.replies.status import Status
from persistence.live.retries import RETRY_FOR_S
from persistence.live.session_commands import PlayLimits, SessionCommands
from persistence.live.sessions import Sessions
from persistence.recovery.cold_load import Loader

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from game.adjusting import Adjustment
    from game.catalogue import Catalogue
    from game.session import UserId
    from persistence.live.replies.play import PlayReply
    from scripts.databases import Databases


class OperatorSessions:
    """Changes sessions and waits for the outcome."""

    def __init__(self, sessions: Sessions, catalogue: Catalogue) -> None:
        self._sessions = sessions
        self.catalogue = catalogue

    async def adjust(self, user_id: UserId, change: Adjustment, number: int) -> PlayReply:
        """Make a change of this number once; returns what the script replied.

        Raises NoSession where the player never played, StorageUnavailable where it may have happened: the
        same number again is safe.
        """
        loop = asyncio.get_running_loop()
        ref, until_s = self._sessions.ref(user_id), loop.time() + RETRY_FOR_S
        replied: asyncio.Future[object] = loop.create_future()

        def send() -> None:
            nonlocal replied
            replied = loop.create_future()
            self._sessions.adjust(ref, change, number, replied.set_result)

        try:
            send()
        except NotSent as error:
            replied.set_result(error.failure)
        while True:
            reply = await replied
            if not is_failure(reply):
                status, *_ = cast("list[Any]", reply)
                if status not in (Status.MISSING, Status.STALE):
                    return play_reply(PLAY_SHAPES["adjust"], cast("list[Any]", reply))
            await self._sessions.repeat(ref, reply, send, until_s)


@asynccontextmanager
async def open_sessions(databases: Databases) -> AsyncIterator[OperatorSessions]:
    """Open the sessions over a command's own connections; ends its task with the block."""
    settings, lanes = databases.settings, databases.store.lanes
    catalogues = await open_catalogues(databases.pool, settings.catalog_language)
    loader = Loader(lanes, lanes.scripts, partial(load_rows, databases.pool), settings.session_ttl_s)
    limits = PlayLimits(settings.click_rate, settings.click_burst, settings.offline_cap_s)
    commands = SessionCommands(lanes.scripts, lanes.keys, limits, "")
    loading = asyncio.create_task(loader.run())
    try:
        yield OperatorSessions(Sessions(lanes, commands, catalogues, loader), catalogues.current)
    finally:
        loading.cancel()
        await asyncio.gather(loading, return_exceptions=True)
