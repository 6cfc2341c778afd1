"""The sessions of the game for an operator: loaded and refreshed as for players, changed with an outcome."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, cast

from persistence.errors import NotSent
from persistence.live.decisions import is_failure
from persistence.live.replies.play_shapes import PLAY_SHAPES, play_reply
from persistence.live.replies.status import Status
from persistence.live.retries import RETRY_FOR_S
from persistence.live.session_commands import PlayLimits, SessionCommands
from persistence.live.sessions import Sessions
from persistence.recovery.cold_load import Loader

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from game.adjusting import Adjustment
    from game.catalogue import Catalogue
    from game.replacing import Progress
    from game.session import UserId
    from persistence.live.lane_contract import OnReply
    from persistence.live.lanes import Lanes
    from persistence.live.replies.play_shapes import PlayReply
    from persistence.live.session_ref import SessionRef
    from persistence.live.sources import CatalogueSource
    from persistence.live.store import LiveStore
    from persistence.recovery.cold_load import ReadRows
    from runtime.settings import Settings


class OperatorSessions:
    """Changes sessions and waits for the outcome."""

    def __init__(self, sessions: Sessions, catalogues: CatalogueSource) -> None:
        self._sessions = sessions
        self._catalogues = catalogues

    @property
    def catalogue(self) -> Catalogue:
        """The catalogue in force."""
        return self._catalogues.current

    async def adjust(self, user_id: UserId, change: Adjustment, number: int) -> PlayReply:
        """Make a change of this number once; returns what the script replied.

        Raises NoSession where the player never played, StorageUnavailable where it may have happened: the
        same number again is safe.
        """
        return await self._made(
            "adjust", user_id, lambda ref, on_reply: self._sessions.adjust(ref, change, number, on_reply)
        )

    async def replace(self, user_id: UserId, progress: Progress, number: int) -> PlayReply:
        """Put progress in the place of the session's own, as `adjust` makes a change."""
        return await self._made(
            "replace", user_id, lambda ref, on_reply: self._sessions.replace(ref, progress, number, on_reply)
        )

    async def _made(
        self, script: str, user_id: UserId, call: Callable[[SessionRef, OnReply], None]
    ) -> PlayReply:
        loop = asyncio.get_running_loop()
        ref, until_s = self._sessions.ref(user_id), loop.time() + RETRY_FOR_S
        replied: asyncio.Future[object] = loop.create_future()

        def send() -> None:
            nonlocal replied
            replied = loop.create_future()
            call(ref, replied.set_result)

        try:
            send()
        except NotSent as error:
            replied.set_result(error.failure)
        while True:
            reply = await replied
            if not is_failure(reply):
                status, *_ = cast("list[Any]", reply)
                if status not in (Status.MISSING, Status.STALE):
                    return play_reply(PLAY_SHAPES[script], cast("list[Any]", reply))
            await self._sessions.repeat(ref, reply, send, until_s)


def operator_sessions(
    lanes: Lanes, catalogues: CatalogueSource, loader: Loader, settings: Settings
) -> OperatorSessions:
    """Build the sessions over lanes that hear nothing, whose `loader` somebody runs.

    The lanes publish under a name of their own: this process' connections hear what is changed, as others do.
    """
    limits = PlayLimits(settings.click_rate, settings.click_burst, settings.offline_cap_s)
    commands = SessionCommands(lanes.scripts, lanes.keys, limits, "")
    return OperatorSessions(Sessions(lanes, commands, catalogues, loader), catalogues)


def operator_loader(lanes: Lanes, read_rows: ReadRows, settings: Settings) -> Loader:
    """Build what brings the sessions of players who are away into Redis."""
    return Loader(lanes, lanes.scripts, read_rows, settings.session_ttl_s)


@asynccontextmanager
async def open_sessions(
    store: LiveStore, catalogues: CatalogueSource, read_rows: ReadRows, settings: Settings
) -> AsyncIterator[OperatorSessions]:
    """Open the sessions over a command's own connections; ends its task with the block."""
    loader = operator_loader(store.lanes, read_rows, settings)
    loading = asyncio.create_task(loader.run())
    try:
        yield operator_sessions(store.lanes, catalogues, loader, settings)
    finally:
        loading.cancel()
        await asyncio.gather(loading, return_exceptions=True)
