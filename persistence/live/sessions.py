"""The door to the sessions in Redis: a method for each command, sent on the player's lane.

The way of a click is `click`: three byte strings joined, one callback. What goes wrong (no session in Redis,
an older catalogue, another run of Redis, a moved slot) is left to `repeat`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from persistence.errors import NotSent
from persistence.live.click_groups import ClickGroups
from persistence.live.decisions import Caller, Step
from persistence.live.lane_contract import LaneError
from persistence.live.retries import judge
from persistence.live.session_addresses import SessionAddresses
from persistence.live.session_reads import SessionReads
from persistence.live.session_recovery import SessionRecovery
from persistence.live.subscriptions import Subscriptions

if TYPE_CHECKING:
    from collections.abc import Callable

    from game.adjusting import Adjustment
    from game.catalogue import Upgrade
    from game.course import Course
    from game.replacing import Progress
    from game.session import UserId
    from persistence.live.lane import Lane
    from persistence.live.lane_contract import OnReply
    from persistence.live.lanes import Lanes
    from persistence.live.session_commands import Command, SessionCommands
    from persistence.live.session_reads import OnSnapshot
    from persistence.live.session_ref import SessionRef
    from persistence.live.sources import CatalogueSource, ColdStore


class Sessions:
    """Commands on the sessions of players, over the lanes.

    A method with `on_reply` hands it what the lane got: the script's reply, or an error. It raises NotSent,
    and then `on_reply` is never called. `client` and `seq` tag a command so that it is applied once; a `seq`
    of 0 stands for neither.
    """

    def __init__(
        self, lanes: Lanes, commands: SessionCommands, catalogues: CatalogueSource, cold: ColdStore
    ) -> None:
        self._lanes = lanes
        self._commands = commands
        self._catalogues = catalogues
        self._addresses = SessionAddresses(lanes, catalogues)
        self._clicks = ClickGroups(self._addresses, commands, cluster=lanes.cluster)
        self._subscriptions = Subscriptions(self._addresses, commands)
        self._reads = SessionReads(self._addresses, commands)
        self._recovery = SessionRecovery(lanes, self._addresses, commands, catalogues, cold)
        self.recoveries = self._recovery.counts

    # Commands.

    def click(  # noqa: PLR0917 - by position, which is cheaper for the hottest call
        self, ref: SessionRef, kind: str, count: int, client: str, seq: int, on_reply: OnReply
    ) -> None:
        """Cook or sell (`kind`) `count` times; with one Redis in one call with those of others."""
        self._clicks.add(ref, kind, count, client, seq, on_reply)

    def buy(  # noqa: PLR0917 - as for a click
        self, ref: SessionRef, upgrade: Upgrade, count: int, client: str, seq: int, on_reply: OnReply
    ) -> None:
        """Buy an upgrade `count` times, as often as the money lasts, at the figures of its catalogue."""
        self._send(ref, self._commands.buy(upgrade, count, client, seq), on_reply)

    def level_up(self, ref: SessionRef, client: str, seq: int, on_reply: OnReply) -> None:
        """Raise the rank by one where the xp is there."""
        self._send(ref, self._commands.level_up(self._catalogues.current, client, seq), on_reply)

    def session_reset(self, ref: SessionRef, client: str, seq: int, on_reply: OnReply) -> None:
        """Trade everything for prestige."""
        self._send(ref, self._commands.session_reset(client, seq), on_reply)

    def accrue(self, ref: SessionRef, on_reply: OnReply) -> None:
        """Pay passive income up to now, and count the player as joined from now on."""
        self._send(ref, self._commands.accrue, on_reply)

    def session(self, ref: SessionRef, client: str, on_reply: OnReply) -> None:
        """Show the whole session, and the highest seq of a client (empty: of none)."""
        self._send(ref, self._commands.session(client), on_reply)

    def golden_guest(self, ref: SessionRef, serve: int, on_reply: OnReply) -> None:
        """Say which golden guest waits or comes next, with one to `serve` first (0: nobody)."""
        self._send(ref, self._commands.golden_guest(serve), on_reply)

    def achieve(self, ref: SessionRef, on_reply: OnReply) -> None:
        """Record the achievements that were reached."""
        self._send(ref, self._commands.achieve, on_reply)

    def adjust(self, ref: SessionRef, change: Adjustment, number: int, on_reply: OnReply) -> None:
        """Make an operator's change of this number once."""
        self._send(ref, self._commands.adjust(change, number, self._catalogues.current), on_reply)

    def replace(self, ref: SessionRef, progress: Progress, number: int, on_reply: OnReply) -> None:
        """Put an export's progress in the place of a session's own once, under this operator's number."""
        self._send(ref, self._commands.replace(progress, number, self._catalogues.current), on_reply)

    def _send(self, ref: SessionRef, command: Command, on_reply: OnReply) -> None:
        if ref.epoch != self._addresses.epoch:
            self._addresses.pack(ref)
        prefix, tail = command
        try:
            ref.lane.send(b"".join((prefix, ref.head, tail)), on_reply)
        except LaneError as error:
            raise NotSent(error) from error

    # Reads.

    def snapshot(self, ref: SessionRef, on_snapshot: OnSnapshot) -> None:
        """Read a snapshot as it lies in Redis, of whatever run, and whether or not replicas have it."""
        self._reads.snapshot(ref, on_snapshot)

    def fresh_snapshot(self, ref: SessionRef, on_snapshot: OnSnapshot, *, regardless: bool = False) -> None:
        """Read a snapshot under the present stamp: another's is to be refreshed before it is shown.

        `regardless`: also where too few replicas have it.
        """
        self._reads.fresh_snapshot(ref, on_snapshot, regardless=regardless)

    def course(self, ref: SessionRef, on_course: Callable[[Course | None], None]) -> None:
        """Read a course as it lies in Redis; None where there is none under the present stamp."""
        self._reads.course(ref, on_course)

    def time(self, ref: SessionRef, on_time: Callable[[int], None]) -> None:
        """Read the clock (ms) of a player's Redis, behind all that it did before and that was heard."""
        self._reads.time(ref, on_time)

    # Addresses.

    def ref(self, user_id: UserId) -> SessionRef:
        """Address a player's session."""
        return self._addresses.ref(user_id)

    def lane_of(self, ref: SessionRef) -> Lane:
        """Return the lane that a session's commands take now."""
        return self._addresses.lane_of(ref)

    @property
    def lapses(self) -> int:
        """How often a player may have ceased to be heard, or have taken another lane.

        While it stays the same, who was heard is heard, and `lane_of` says the same.
        """
        return self._lanes.lapses

    def epoch_ended(self) -> None:
        """Address every session again at its next command: catalogue, run of Redis or topology changed."""
        self._addresses.end_epoch()

    # Subscriptions.

    def subscribe(self, ref: SessionRef) -> None:
        """Hear a player's publications from before the next command on."""
        self._subscriptions.subscribe(ref)

    def lapsed(self, ref: SessionRef, lane: Lane) -> None:
        """Take note that Redis refused or ended the subscription on a lane that a player's commands took."""
        self._subscriptions.lapsed(ref, lane)

    def ended(self, channel: bytes, lane: Lane) -> None:
        """Take note of the end of a subscription that was read after the player had left."""
        self._subscriptions.ended(channel, lane)

    def reply_lost(self, ref: SessionRef) -> None:
        """Take note that a command of a player may have been executed, also without the subscription."""
        self._subscriptions.reply_lost(ref)

    def lane_ready(self, lane: Lane) -> None:
        """Let others know over a lane that is back what they may not know of players who have left."""
        self._subscriptions.lane_ready(lane)

    def confirmed(self, ref: SessionRef) -> None:
        """Take note that the subscription stands where a player's commands go."""
        self._subscriptions.confirmed(ref)

    def release(self, ref: SessionRef, ttl_s: int) -> None:
        """Stop hearing a player's publications and let a clean session expire `ttl_s` from now."""
        self._subscriptions.release(ref, ttl_s)

    def touch(self, ref: SessionRef, ttl_s: int) -> None:
        """Give a connected player's clean session its whole time to live again."""
        self._subscriptions.touch(ref, ttl_s)

    # Recovery.

    def raise_above(self, ref: SessionRef, version: int) -> bytes:
        """Pack what keeps a session from taking a version again that was sent, where Redis lost changes.

        Have it executed before any other command on the session.
        """
        return self._commands.raise_above(ref.user_id, version)

    async def repeat(
        self,
        ref: SessionRef,
        reply: object,
        send: Callable[[], None],
        until_s: float,
        *,
        create: bool = False,
    ) -> None:
        """Do what a reply that is no answer asks for, then `send` again; see SessionRecovery.repeat."""
        await self._recovery.repeat(ref, reply, send, until_s, create=create)

    def waits_for(self, failure: object) -> bool:
        """Say whether `repeat` may help where a command was not sent."""
        return judge(self._lanes, failure, Caller.PLAYER).step is not Step.GIVE_UP
