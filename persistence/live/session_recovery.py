"""What is done about a reply that is no answer, before the command is sent again.

No session in Redis: it is loaded. Another catalogue or run of Redis: it is refreshed. A moved slot is
followed, a Redis that is not ready waited for.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final, cast

import hiredis

from persistence.errors import NoSession, Unavailable
from persistence.live.lane_contract import LaneDown, LaneError, LaneFull, ReplyLost

if TYPE_CHECKING:
    from collections.abc import Callable

    from persistence.live.lanes import Lanes
    from persistence.live.session_addresses import SessionAddresses
    from persistence.live.session_commands import SessionCommands
    from persistence.live.session_ref import SessionRef
    from persistence.live.sources import CatalogueSource, ColdStore

RETRY_FOR_S: Final = 2.0
_RETRY_EVERY_S: Final = 0.05
_RETRIED_ERRORS: Final = ("TRYAGAIN", "LOADING", "CLUSTERDOWN", "MASTERDOWN", "READONLY", "NOREPLICAS")


class SessionRecovery:
    """Recovers commands on sessions. `counts` says how often each thing had to be done."""

    def __init__(
        self,
        lanes: Lanes,
        addresses: SessionAddresses,
        commands: SessionCommands,
        catalogues: CatalogueSource,
        cold: ColdStore,
    ) -> None:
        self._lanes = lanes
        self._addresses = addresses
        self._commands = commands
        self._catalogues = catalogues
        self._cold = cold
        self.counts: dict[str, int] = {}

    async def repeat(
        self,
        ref: SessionRef,
        reply: object,
        send: Callable[[], None],
        until_s: float,
        *,
        create: bool = False,
    ) -> None:
        """Do what a reply that is no answer asks for (load, refresh, follow the slot), then `send` again.

        `send` takes its reply as it comes off the lane: handled by a task, it would be overtaken by a
        publication that Redis made after it. Only what certainly was not executed is sent again. Raises
        Unavailable (also past `until_s`, loop time), or NoSession when the player never had one and `create`
        is False.
        """
        while True:
            if isinstance(reply, list):
                if reply[0] == b"stale":
                    self._count("refresh")
                    await self._freshen(ref, cast("bytes", reply[1]).decode())
                else:
                    self._count("load")
                    if not await self._cold.load(ref, create=create):
                        raise NoSession
            else:
                await self._mend(ref, reply)
            if asyncio.get_running_loop().time() > until_s:
                raise Unavailable("Redis did not serve the command in time")
            try:
                send()
            except LaneError as error:
                reply = error
            else:
                return

    def _count(self, what: str) -> None:
        self.counts[what] = self.counts.get(what, 0) + 1

    async def _exchange_raw(self, ref: SessionRef, packed: bytes) -> object:
        """Send packed bytes; return the reply or the error as a value."""
        future: asyncio.Future[object] = asyncio.get_running_loop().create_future()

        def settle(reply: object) -> None:
            if not future.done():
                future.set_result(reply)

        try:
            ref.lane.send(packed, settle)
        except LaneError as error:
            return error
        return await future

    async def _mend(self, ref: SessionRef, failure: object) -> None:
        """Do what an error asks for before the next attempt; raises Unavailable where nothing helps."""
        if isinstance(failure, ReplyLost):
            raise Unavailable("the reply was lost", maybe_applied=True)
        if isinstance(failure, LaneDown | LaneFull):
            # A cluster replaces a lost master within the time; a single Redis is answered for at once.
            if self._lanes.cluster and isinstance(failure, LaneDown):
                await asyncio.sleep(_RETRY_EVERY_S)
                await self._follow(ref)
                return
            raise Unavailable(
                "Redis does not answer" if isinstance(failure, LaneDown) else "too much waits for Redis"
            )
        if not isinstance(failure, hiredis.ReplyError):
            raise Unavailable(f"unexpected reply {failure!r:.100}")
        text = str(failure)
        word = text.partition(" ")[0]
        self._count(word.lower())
        if word == "NOSCRIPT":
            for packed in self._commands.load_scripts():
                await self._exchange_raw(ref, packed)
        elif word == "MOVED":
            await self._follow(ref)
        elif word == "ASK" or word in _RETRIED_ERRORS:
            # The slot is on its way: until it has arrived, the keys of one command may be in two places.
            await asyncio.sleep(_RETRY_EVERY_S)
            await self._follow(ref)
        else:
            if word == "OOM":
                self._lanes.full_s = asyncio.get_running_loop().time()
            raise Unavailable(f"Redis refused: {text:.200}")

    async def _follow(self, ref: SessionRef) -> None:
        """Find out which master holds the session now."""
        await self._lanes.refreshed()
        self._addresses.move(ref)

    async def _freshen(self, ref: SessionRef, stamp: str) -> None:
        """Bring a session with another stamp to ours: its run verified, its boosts derived again."""
        generation, _, run = stamp.partition(".")
        if generation and int(generation) > self._catalogues.current.generation:
            await self._reload_catalogue()
        if run and run != ref.lane.run_id:
            await self._cold.verify(ref)
        for _ in range(3):
            own_stamp = self._addresses.stamp(ref.lane)
            packed = self._commands.refresh(ref, own_stamp, self._catalogues.current)
            reply = await self._exchange_raw(ref, packed)
            if not isinstance(reply, list):
                await self._mend(ref, reply)
            elif reply[0] == b"behind":
                await self._reload_catalogue()
            else:
                return

    async def _reload_catalogue(self) -> None:
        await self._catalogues.reload()
        self._addresses.end_epoch()
