"""What happens once a second for the players connected here: income, achievements, warm sessions.

The players of a process are spread over the second. A player connected to several processes is paid once all
the same: the script pays the whole seconds since the last payment, whichever process asks.
"""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, Final

import structlog

from persistence.errors import NoSession, NotSent, StorageUnavailable
from persistence.live.lane_contract import ReplyLost
from persistence.live.replies.play import (
    PLAY_SHAPES,
    Accrued,
    Achieved,
    play_reply,
    tick_replies,
    tick_reply,
)
from runtime.stopping import end_tasks

if TYPE_CHECKING:
    from collections.abc import Sequence

    from persistence.live.replies.play import NotExecuted
    from persistence.live.sessions import Sessions
    from server.ws.exchange import Player
    from server.ws.hub import Hub

_log = structlog.get_logger(__name__)

_PLAYERS_A_SLOT: Final = 20
_PLAYERS_A_CALL: Final = 8
"""A call for one player costs Redis 24 µs among 10,000 others, one for eight 14 for each; one for sixteen no
less, and a click behind it waits longer."""
_MOST_SLOTS: Final = 100
"""What is sent at once makes a click wait: of 10,000 players 500 at once made a click's p99 28 ms, 100 18 ms;
40 made it 16, but smaller batches cost Redis 3 % of a core more."""
_WARM_STEP_S: Final = 0.05
_MAX_RECOVERIES: Final = 500


class Ticker:
    """Ticks the players of a hub. Run `run` in a supervised task."""

    def __init__(
        self,
        hub: Hub,
        sessions: Sessions,
        *,
        interval_ms: int,
        session_ttl_s: int,
    ) -> None:
        self._hub = hub
        self._sessions = sessions
        self._interval_s = interval_ms / 1000
        self._ttl_s = session_ttl_s
        self._recovering: dict[Player, asyncio.Task[None]] = {}
        self._loop = asyncio.get_running_loop()
        self.ticks = 0
        self.paid = 0
        self.late_ms = 0.0

    async def run(self) -> None:
        """Tick until cancelled; a round that took too long is followed by the next at once."""
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._keep_warm())
                while True:
                    await self._round()
        finally:
            await end_tasks(self._recovering.values())

    async def _round(self) -> None:
        """Serve every player once, spread over the interval."""
        start_s = self._loop.time()
        players = [p for p in self._hub.players.values() if p.passive is not False or p.active]
        slots = min(_MOST_SLOTS, max(1, len(players) // _PLAYERS_A_SLOT))
        step_s = self._interval_s / slots
        for slot in range(slots):
            self._serve([player for player in players[slot::slots] if player.exchanges])
            wait_s = start_s + (slot + 1) * step_s - self._loop.time()
            self.late_ms = max(0.0, -wait_s * 1000)
            await asyncio.sleep(max(0.0, wait_s))

    def _serve(self, players: Sequence[Player]) -> None:
        due: dict[int, list[Player]] = {}
        # Half an interval ago another process' tick paid a player, or ours did.
        paid_s = self._loop.time() - self._interval_s / 2
        try:
            for player in players:
                if player.passive is not False and player.paid_s < paid_s:
                    due.setdefault(self._sessions.shard(player.user_id), []).append(player)
                if player.passive is None:
                    self._learn(player)
                if player.active:
                    player.active = False
                    self._sessions.achieve(player.ref, partial(self._achieved, player))
            for together in due.values():
                for at in range(0, len(together), _PLAYERS_A_CALL):
                    some = together[at : at + _PLAYERS_A_CALL]
                    self.ticks += len(some)
                    refs = [player.ref for player in some]
                    self._sessions.tick(refs, partial(self._ticked_together, some))
        except NotSent:
            # Redis is away: the seconds are not lost, a later tick pays them.
            return

    def _ticked_together(self, players: Sequence[Player], reply: object) -> None:
        if isinstance(reply, list):
            for player, own in zip(players, tick_replies(reply), strict=True):
                self._ticked(player, own)
        else:
            for player in players:
                self._not_told(player, reply)

    def _ticked_alone(self, player: Player, reply: object) -> None:
        if isinstance(reply, list):
            self._ticked(player, tick_reply(reply))
        else:
            self._not_told(player, reply)

    def _not_told(self, player: Player, reply: object) -> None:
        """Let the connections have the state where something may have happened whose reply was lost.

        An error needs nothing: a later tick pays the same seconds, where the player is by then.
        """
        if isinstance(reply, ReplyLost):
            self._hub.catching_up.doubt(player)

    def _ticked(self, player: Player, reply: Accrued | NotExecuted) -> None:
        if isinstance(reply, Accrued):
            if reply.changed:
                self.paid += 1
                self._hub.tell_others(None, player, reply.income)
        else:
            self._repeat(player, reply)

    def _repeat(self, player: Player, reply: NotExecuted) -> None:
        """Load or refresh a connected player's session, while the ticks of the others go on."""
        if player not in self._recovering and len(self._recovering) < _MAX_RECOVERIES:
            task = self._loop.create_task(self._repeated(player, reply))
            self._recovering[player] = task
            task.add_done_callback(lambda _: self._recovering.pop(player, None))

    async def _repeated(self, player: Player, reply: NotExecuted) -> None:
        try:
            await self._sessions.repeat(
                player.ref,
                list(reply),
                lambda: self._sessions.tick_alone(player.ref, partial(self._ticked_alone, player)),
                self._loop.time() + self._interval_s,
            )
        except (StorageUnavailable, NoSession):
            # The player's next request says so; the next tick tries again.
            return
        except Exception:  # noqa: BLE001 - a task's top
            _log.exception("tick_failed", user=player.user_id)

    def _learn(self, player: Player) -> None:
        """Find out whether a player who came without a `session` has passive income."""

        def on_known(known: bool) -> None:
            if player.passive is None:
                player.passive = known

        self._sessions.passive(player.ref, on_known)

    def _achieved(self, player: Player, reply: object) -> None:
        if isinstance(reply, list):
            achieved = play_reply(PLAY_SHAPES["achieve"], reply)
            if isinstance(achieved, Achieved) and achieved.newly:
                self._hub.tell_achieved(player, achieved.version, achieved.newly)
        else:
            self._not_told(player, reply)

    async def _keep_warm(self) -> None:
        """Give every player's clean session its time to live again at each third of it, spread over that."""
        slots = max(1, int(self._ttl_s / 3 / _WARM_STEP_S))
        while True:
            players = list(self._hub.players.values())
            for slot in range(slots):
                for player in players[slot::slots]:
                    if player.exchanges:
                        self._sessions.touch(player.ref, self._ttl_s)
                await asyncio.sleep(_WARM_STEP_S)
