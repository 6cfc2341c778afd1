"""What is done about a reply that is no answer, before a player's command is sent again.

No session in Redis: it is loaded. Another catalogue or run of Redis: it is refreshed. What Redis' own errors
ask for is done as for every other command.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final, NamedTuple, cast

from persistence.errors import LiveUnavailable, NoSession, NotSent
from persistence.live.asking import ApartLane
from persistence.live.decisions import Caller, Step
from persistence.live.keys import bucket_of
from persistence.live.replies.play_shapes import PLAY_SHAPES, play_reply
from persistence.live.replies.refusals import Behind, Stale
from persistence.live.retries import exchange, given_up, judge, prepare

if TYPE_CHECKING:
    from collections.abc import Callable

    import hiredis

    from persistence.live.lane import Lane
    from persistence.live.lanes import Lanes
    from persistence.live.session_addresses import SessionAddresses
    from persistence.live.session_commands import SessionCommands
    from persistence.live.session_ref import SessionRef
    from persistence.live.sources import CatalogueSource, ColdStore

_REFRESH_SHAPES: Final = PLAY_SHAPES["refresh"]


class _Apart(NamedTuple):
    """Send with the session's key alone: to `target`, where the slot is on its way to, or to its master."""

    target: Lane | None


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
        StorageUnavailable (also past `until_s`, loop time), or NoSession when the player never had one and
        `create` is False.
        """
        while True:
            apart = await self._recover(ref, reply, create=create)
            if asyncio.get_running_loop().time() > until_s:
                raise LiveUnavailable("Redis did not serve the command in time")
            try:
                if apart is None:
                    send()
                else:
                    self._send_apart(ref, apart, send)
            except NotSent as error:
                reply = error.failure
            else:
                return

    def _send_apart(self, ref: SessionRef, apart: _Apart, send: Callable[[], None]) -> None:
        """Send one command with the session's key alone; those after it are sent as usual."""
        ref.sent_apart += 1
        lane, head = self._addresses.current(ref), ref.head
        ref.head = self._addresses.head_apart(ref)
        note, news = self._commands.note(ref.user_id), self._addresses.news(ref.channel)
        ref.lane = cast("Lane", ApartLane(self._lanes, ref, apart.target, note, news))
        try:
            send()
        finally:
            ref.lane, ref.head = lane, head

    async def _note(self, ref: SessionRef) -> bool:
        """Mark a player wherever the marks are; False where that has to wait. Raises LiveUnavailable."""
        bucket = bucket_of(ref.user_id)
        (noted,) = await exchange(self._lanes, [(bucket, self._commands.note(ref.user_id))])
        if isinstance(noted, int):
            return True
        decision = judge(self._lanes, noted, Caller.BULK)
        if decision.step is Step.GIVE_UP:
            raise given_up(decision, noted)
        await prepare(self._lanes, [(bucket, decision)])
        self._addresses.move(ref)
        return False

    async def _recover(self, ref: SessionRef, reply: object, *, create: bool) -> _Apart | None:
        """Do what a reply asks for; returns how the next sending alone goes where that is another way."""
        decision = judge(self._lanes, reply, Caller.PLAYER)
        if decision.reason:
            self.counts[decision.reason] = self.counts.get(decision.reason, 0) + 1
        match decision.step:
            case Step.GIVE_UP:
                raise given_up(decision, reply)
            case Step.LOAD:
                if not await self._cold.load(ref, create=create):
                    raise NoSession
            case Step.REFRESH:
                stale = Stale(*cast("list[bytes]", reply))
                await self._refresh(ref, stale.stamp.decode())
            case Step.ASK if (target := self._lanes.asked(cast("hiredis.ReplyError", reply))).up:
                return _Apart(target) if await self._note(ref) else None
            case Step.APART:
                return _Apart(None) if await self._note(ref) else None
            case _:
                await prepare(self._lanes, [(bucket_of(ref.user_id), decision)])
                self._addresses.move(ref)
        return None

    async def _refresh(self, ref: SessionRef, stamp: str) -> None:
        """Bring a session with another stamp to ours: its run verified, its boosts derived again."""
        generation, _, run = stamp.partition(".")
        if generation and int(generation) > self._catalogues.current.generation:
            await self._reload_catalogue()
        if run and run != self._addresses.lane_of(ref).run_id:
            await self._cold.verify(ref)
        apart = False
        for _ in range(3):
            own_stamp = self._addresses.stamp(self._addresses.lane_of(ref))
            packed = self._commands.refresh(ref, own_stamp, self._catalogues.current, apart=apart)
            (reply,) = await exchange(self._lanes, [(bucket_of(ref.user_id), packed)])
            if not isinstance(reply, list):
                apart = await self._recover(ref, reply, create=False) is not None
            elif isinstance(play_reply(_REFRESH_SHAPES, reply), Behind):
                await self._reload_catalogue()
            else:
                if apart:
                    await self._note(ref)
                return

    async def _reload_catalogue(self) -> None:
        await self._catalogues.reload()
        self._addresses.end_epoch()
