"""What happens once a second for the players connected here: income, achievements, warm sessions.

Income is computed here, from the course of a player: the session as it was last heard of. Redis is asked for
its clock, some players at a time, and for all else only where a course cannot answer.

The players of a process are spread over the second. A player connected to several processes is sent the same
by each: what they compute depends on the course and on Redis' clock alone.
"""

from __future__ import annotations

import asyncio
import contextlib
from functools import partial
from typing import TYPE_CHECKING, Final

import structlog

from game.accrual import RAN_BACK_MS
from persistence.errors import NoSession, NotSent, StorageUnavailable
from persistence.live.keys import BUCKETS, bucket_of
from persistence.live.lane_contract import ReplyLost
from persistence.live.replies.play import Accrued, Achieved
from persistence.live.replies.play_shapes import PLAY_SHAPES, play_reply
from persistence.live.replies.refusals import Missing, Stale
from runtime.stopping import end_tasks
from server.ws.outgoing import send_latest_to_each

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from game.course import Course
    from persistence.live.replies.refusals import NotExecuted
    from persistence.live.sessions import Sessions
    from server.ws.block import Block
    from server.ws.exchange import Player
    from server.ws.hub import Hub
    from server.ws.outgoing import Message

_log = structlog.get_logger(__name__)

WRITE_EVERY_S: Final = 240
"""How often the income of a player who only watches is written: less often than the promise ends."""

_READ_AT_ONCE: Final = 50
"""Players who are read again in one pass of the loop: the replies come in one pass too."""
_MOST_SLOTS: Final = 100
_WARM_STEP_S: Final = 1.0
"""Redis syncs its file once for what it is given at once."""
_MAX_RECOVERIES: Final = 500


class Ticker:
    """Sends the players of a hub what they earn. Run `run` in a supervised task."""

    def __init__(
        self,
        hub: Hub,
        sessions: Sessions,
        *,
        interval_ms: int,
        session_ttl_s: int,
        offline_cap_s: int,
    ) -> None:
        self._hub = hub
        self._sessions = sessions
        self._interval_ms = interval_ms
        self._ttl_s = session_ttl_s
        # What PostgreSQL lacks is paid under the cap, if Redis loses the session.
        self._write_every_ms = 1000 * min(WRITE_EVERY_S, offline_cap_s)
        self._recovering: dict[Player, asyncio.Task[None]] = {}
        self._to_write: dict[Player, None] = {}
        self._loop = asyncio.get_running_loop()
        self.ticks = 0
        self.paid = 0
        self.asked = 0
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
        self.write()
        portions = self.portions()
        slots = min(_MOST_SLOTS, max(1, len(portions)))
        step_s = self._interval_ms / 1000 / slots
        for slot in range(slots):
            for portion in portions[slot::slots]:
                self.serve(portion)
            wait_s = start_s + (slot + 1) * step_s - self._loop.time()
            self.late_ms = max(0.0, -wait_s * 1000)
            await asyncio.sleep(max(0.0, wait_s))

    def write(self) -> None:
        """Have the income written of those for whom that is due until the next round.

        All at once: Redis syncs its file for each write that comes alone.
        """
        players, self._to_write = self._to_write, {}
        for player in players:
            if player.exchanges and not player.active:
                self._ask(player)

    def portions(self) -> list[Sequence[Block]]:
        """Divide all players by their lanes and into portions."""
        return self._hub.portions.of_now()

    def serve(self, portion: Sequence[Block]) -> None:
        """Read what was not heard of, and behind it the clock: then nothing before that time is unheard.

        Players who earn something, or did something, and are sent their changes.
        """
        looked_at = 0
        to_read: list[Player] = []
        for block in portion:
            block.freshen()
            idle = []
            for player in block.awake:
                if not player.active and not player.earns:
                    idle.append(player)
                elif not player.active:
                    looked_at += 1
                elif player.joined:
                    to_read.append(player)
            for player in idle:
                del block.awake[player]  # until something happens
            looked_at += block.settled
        if looked_at or to_read:
            self.ticks += looked_at + len(to_read)
            self._read(portion, to_read)

    def _read(self, portion: Sequence[Block], players: Sequence[Player]) -> None:
        """Read sessions again, some in this pass and the others in the next, and then the clock."""
        try:
            for player in players[:_READ_AT_ONCE]:
                # Where others are read first, this one may have been read meanwhile, or have left.
                if player.active and player.exchanges:
                    self._sessions.course(player.ref, partial(self._learned, player))
            if len(players) > _READ_AT_ONCE:
                self._loop.call_soon(self._read, portion, players[_READ_AT_ONCE:])
                return
            ref = next((player.ref for block in portion for player in block.players if player), None)
            if ref is not None:
                self._sessions.time(ref, partial(self._at, portion))
        except NotSent:
            # Redis is away: the seconds are not lost, a later tick sends them.
            return

    def _learned(self, player: Player, course: Course | None) -> None:
        """Take what was read: replies and publications up to now are in it."""
        player.unsettle()
        player.course = course
        player.earns = course is not None and course.flow is not None
        if course is None:
            # Not here, under another stamp, or not answered: paying says which, and what to do.
            self._ask(player)
            return
        player.active = False
        if player.block is not None:
            player.block.awake[player] = None
        since_ms = course.accrued_at_ms
        # What was paid before the first reading, the player's own request has shown.
        player.sent_until_ms = player.sent_until_ms or since_ms
        first_ms, phase_ms = since_ms + self._write_every_ms // 4, self._phase_ms(player)
        # … and before the promise would end.
        player.write_ms = min(
            first_ms + (phase_ms - first_ms) % self._write_every_ms,
            abs(course.joined_until_ms) - self._interval_ms + 1,
        )
        if course.reached != player.reached:
            self._achieve(player, course.reached)

    def _phase_ms(self, player: Player) -> int:
        """Return when in each period a player is written: players of one bucket at the same time."""
        return bucket_of(player.user_id) * self._write_every_ms // BUCKETS

    def _at(self, portion: Sequence[Block], now_ms: int) -> None:
        """Send what each player has at that time, block by block: the others in the next passes.

        What is heard of them until then is younger, and makes them `active`: they are left out.
        """
        block, *rest = portion
        if rest:
            self._loop.call_soon(self._at, rest, now_ms)
        block.freshen()
        try:
            paid, copies = block.push(now_ms, self._sessions.lapses, self._hub.tell_income)
            self.paid += paid
            self._hub.copies += copies
        finally:
            self._serve_awake(block, now_ms)

    def _serve_awake(self, block: Block, now_ms: int) -> None:
        """Send what players have by their courses; then ask Redis what these leave open."""
        messages: list[Message] = []
        questions: list[Callable[[], None]] = []
        try:
            for player in list(block.awake):
                if not player.active:
                    ask = self._compute(player, now_ms, messages)
                    if ask is not None:
                        questions.append(ask)
        finally:
            self._hub.copies += len(messages)
            send_latest_to_each(messages)
        for ask in questions:
            ask()

    def _compute(self, player: Player, now_ms: int, messages: list[Message]) -> Callable[[], None] | None:
        """Compute what a player has from the course; return what Redis is to be asked."""
        course = player.course
        if course is None or not player.earns or not player.exchanges:
            return None
        since_ms, ref, question = course.accrued_at_ms, player.ref, None
        seconds = course.seconds(now_ms)
        heard = ref.lane.hears(ref.channel)
        if seconds == 0 or (seconds > 0 and course.may_compute(now_ms) and heard):
            until_ms = since_ms + 1000 * seconds
            # A clock that ran back by seconds is waited for, one that ran back further is not.
            if not 0 <= player.sent_until_ms - until_ms <= RAN_BACK_MS:
                player.sent_until_ms = until_ms
                shown = course.shown(seconds)
                if shown != player.sent:
                    player.sent = shown
                    self.paid += 1
                    version = course.version + seconds
                    self._hub.tell_income(player, version, course.rank, shown, messages)
                if course.reaches(seconds):
                    question = partial(self._achieve, player, course.reached)
                elif heard:
                    self._settle(player, course, seconds)
        elif seconds > 0 or course.ran_back(now_ms):
            return partial(self._ask, player)
        if now_ms >= player.write_ms - self._interval_ms:
            self._to_write[player] = None
        return question

    def _settle(self, player: Player, course: Course, seconds: int) -> None:
        """Compute the seconds behind this one without looking at the course, while that comes to the same.

        Not the second in which income is to be written, and none without a promise.
        """
        ends_ms = min(course.joined_until_ms + 1, player.write_ms - self._interval_ms)
        if player.block is not None:
            player.block.settle(player, seconds, course.seconds(ends_ms) - 1)

    # What Redis is asked for.

    def _ask(self, player: Player) -> None:
        """Have income paid and written; without Redis a later tick asks again."""
        self.asked += 1
        with contextlib.suppress(NotSent):
            self._pay(player)

    def _pay(self, player: Player) -> None:
        self._sessions.accrue(player.ref, partial(self._asked, player))

    def _asked(self, player: Player, reply: object) -> None:
        if not isinstance(reply, list):
            self._not_told(player, reply)
            return
        named = play_reply(PLAY_SHAPES["passive"], reply)
        if isinstance(named, Missing | Stale):
            self._repeat(player, named)
        elif isinstance(named, Accrued):
            player.stir()
            if named.changed and named.income.amounts != player.sent:
                self._hub.tell_others(None, player, named.income)

    def _achieve(self, player: Player, reached: int) -> None:
        with contextlib.suppress(NotSent):
            self._sessions.achieve(player.ref, partial(self._achieved, player, reached))

    def _achieved(self, player: Player, reached: int, reply: object) -> None:
        if not isinstance(reply, list):
            self._not_told(player, reply)
            return
        achieved = play_reply(PLAY_SHAPES["achieve"], reply)
        if isinstance(achieved, Achieved):
            player.reached = reached
            if achieved.newly:
                player.stir()
                self._hub.tell_achieved(player, achieved.version, achieved.newly)

    def _not_told(self, player: Player, reply: object) -> None:
        """Let the connections have the state where something may have happened whose reply was lost.

        An error needs nothing: a later tick asks for the same, where the player is by then.
        """
        if isinstance(reply, ReplyLost):
            self._hub.reply_lost(player)

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
                lambda: self._pay(player),
                self._loop.time() + self._interval_ms / 1000,
            )
        except (StorageUnavailable, NoSession):
            # The player's next request says so; the next tick tries again.
            return
        except Exception:  # noqa: BLE001 - a task's top
            _log.exception("tick_failed", user=player.user_id)

    async def _keep_warm(self) -> None:
        """Give every player's clean session its time to live again at each third of it, spread over that."""
        slots = max(1, int(self._ttl_s / 3 / _WARM_STEP_S))
        step_s = self._ttl_s / 3 / slots
        while True:
            players = list(self._hub.players.values())
            for slot in range(slots):
                for player in players[slot::slots]:
                    if player.exchanges:
                        self._sessions.touch(player.ref, self._ttl_s)
                await asyncio.sleep(step_s)
