"""Sends the present state to connections that may have missed a change.

Which those are is remembered on each connection: a version says only what a connection was sent last, not
what it missed before. A connection stays in doubt until it was sent a state that was read after the doubt
arose, and that is not older than what it was sent before; while the player's channel is not heard, until a
state that was read after it is heard again.
"""

from __future__ import annotations

import asyncio
import random
from typing import TYPE_CHECKING, Final

import structlog

from persistence.errors import NoSession, NotSent, StorageUnavailable
from persistence.live.lane_contract import LaneDown
from persistence.live.retries import RETRY_FOR_S
from server.protocol import results
from server.protocol.messages import PUSH, response

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from persistence.durable.current_catalogue import Catalogues
    from persistence.live.lane import Lane
    from persistence.live.sessions import Sessions
    from persistence.live.snapshots import Snapshot
    from server.ws.exchange import Exchange, Player

_log = structlog.get_logger(__name__)

_AGAIN_FIRST_S: Final = 0.05
_AGAIN_MOST_S: Final = 1.0
_MOST_AT_ONCE: Final = 100
"""So many players' sessions are read again, and loaded or refreshed before, at the same time."""


class CatchingUp:
    """Brings connections up to date. Nothing is asked for players without a doubtful connection."""

    def __init__(self, sessions: Sessions, catalogues: Catalogues) -> None:
        self._sessions = sessions
        self._catalogues = catalogues
        self._doubtful: dict[Player, bool] = {}
        """The players with a doubtful connection, and whether they wait for a lane."""
        self._repeating: dict[Player, asyncio.Task[None]] = {}
        self._places = asyncio.Semaphore(_MOST_AT_ONCE)
        self.snapshots = 0

    def doubt(self, player: Player) -> None:
        """Mark each joined connection of a player: it may have missed a change. Then send it the state."""
        player.stir()
        if self._mark(player):
            self._ask(player)

    def missed(self, player: Player) -> None:
        """Send a player's joined connections the state: they missed a change, perhaps before an answer."""
        player.stir()
        if self._mark(player, missed=True):
            self._ask(player)

    def lapsed(self, player: Player) -> None:
        """Mark each joined connection: from now on it misses changes, until the channel is heard again.

        Call it before the player's `ref` says so. `doubt`, called when it is heard again, sends the state.
        """
        player.stir()
        self._mark(player)

    def _mark(self, player: Player, *, missed: bool = False) -> bool:
        joined = [exchange for exchange in player.exchanges if exchange.joined]
        if not joined:
            return False
        player.doubts += 1
        for exchange in joined:
            if missed:
                exchange.doubt_version = 0
            elif not exchange.doubt:
                # Who joined while nothing was heard may have missed a change before the last answer.
                exchange.doubt_version = exchange.version if player.ref.heard else 0
            exchange.doubt = player.doubts
        return True

    def lane_ready(self, lane: Lane) -> None:
        """Read the sessions of the doubtful players on a lane, which could not be read before."""
        for player in [player for player, waits in self._doubtful.items() if waits]:
            if self._sessions.lane_of(player.ref) is lane:
                self._ask(player)

    async def stop(self) -> None:
        """End the readings that are repeated."""
        tasks = list(self._repeating.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _ask(self, player: Player) -> None:
        """Read a session as it lies in Redis, in front of whatever is published from now on."""

        def on_read(is_over: bool) -> None:
            if not is_over:
                self._repeat(player)

        self._doubtful[player] = False
        try:
            self._sessions.snapshot(player.ref, self._teller(player, on_read))
        except NotSent as error:
            self._not_sent(player, error)
            if not self._doubtful[player]:
                self._repeat(player)

    def _not_sent(self, player: Player, error: NotSent) -> None:
        """Without a lane wait for one; else it is too busy, which passes."""
        self._doubtful[player] = isinstance(error.failure, LaneDown)

    def _teller(
        self, player: Player, on_read: Callable[[bool], None]
    ) -> Callable[[Snapshot | None, object], None]:
        """Make what takes a snapshot that is asked for here; `on_read` hears whether it ended all doubt."""
        doubt, sent_apart = player.doubts, player.ref.sent_apart

        def take(snapshot: Snapshot | None, _reply: object) -> None:
            if snapshot is not None and self._tell(player, snapshot, doubt):
                player.shown_apart = max(player.shown_apart, sent_apart)
            on_read(not self._is_doubtful(player))

        return take

    def _tell(self, player: Player, snapshot: Snapshot, doubt: int) -> bool:
        """Send a snapshot to the connections whose doubt is not younger than the question for it.

        Returns whether these are all that are in doubt.
        """
        player.unsettle()
        version = snapshot.version
        heard, apart = player.ref.heard, player.ref.sent_apart > player.shown_apart
        payload, is_all = b"", True
        for exchange in _doubtful(player):
            if exchange.doubt > doubt or exchange.version > version:
                is_all = False
                continue
            # Where nothing changed since before the doubt, there was nothing to miss.
            if exchange.doubt_version != version or apart:
                if not payload:
                    data = results.snapshot(player.user_id, snapshot, self._catalogues.current)
                    payload = response(PUSH, "session", data)
                exchange.version = version
                exchange.connection.send(payload)
                self.snapshots += 1
            if heard:
                exchange.doubt = 0
            else:
                exchange.doubt_version = version
        return is_all

    def _is_doubtful(self, player: Player) -> bool:
        if any(_doubtful(player)):
            return True
        self._doubtful.pop(player, None)
        return False

    # A first reading that failed, or brought an older state than a connection knows.

    def _repeat(self, player: Player) -> None:
        if player not in self._repeating:
            task = asyncio.get_running_loop().create_task(self._repeated(player))
            self._repeating[player] = task

    async def _repeated(self, player: Player) -> None:
        """Read until no connection is in doubt: under the present stamp, which an older state may lack."""
        try:
            await self._read_on(player)
        finally:
            # At once: a doubt that arises from now on begins another task.
            self._repeating.pop(player, None)

    async def _read_on(self, player: Player) -> None:
        delay_s = _AGAIN_FIRST_S
        while self._is_doubtful(player):
            await asyncio.sleep(delay_s * random.uniform(0.5, 1.0))  # noqa: S311 - jitter, not a secret
            delay_s = min(delay_s * 2, _AGAIN_MOST_S)
            async with self._places:
                try:
                    await self._read(player)
                except NotSent as error:
                    self._not_sent(player, error)
                    if self._doubtful[player]:
                        return
                except (StorageUnavailable, NoSession):
                    continue
                except Exception:  # noqa: BLE001 - a task's top
                    _log.exception("catching_up_failed", user=player.user_id)

    async def _read(self, player: Player) -> None:
        loop = asyncio.get_running_loop()
        replied: asyncio.Future[object] = loop.create_future()

        def send() -> None:
            tell = self._teller(player, lambda _: None)

            def take(snapshot: Snapshot | None, reply: object) -> None:
                tell(snapshot, reply)
                if not replied.done():
                    replied.set_result(reply)

            self._sessions.fresh_snapshot(player.ref, take, regardless=True)

        send()
        failure = await replied
        if failure is not None:
            await self._sessions.repeat(player.ref, failure, send, loop.time() + RETRY_FOR_S)


def _doubtful(player: Player) -> Iterator[Exchange]:
    return (exchange for exchange in player.exchanges if exchange.doubt)
