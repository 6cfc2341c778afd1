"""What is read of a session without changing it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from persistence.errors import NotSent
from persistence.live.courses import course_of
from persistence.live.lane_contract import LaneError, Regardless, pack
from persistence.live.replies.status import Status
from persistence.live.snapshots import of_no_run, snapshot_of, stale

if TYPE_CHECKING:
    from game.course import Course
    from persistence.live.lane_contract import OnReply
    from persistence.live.session_addresses import SessionAddresses
    from persistence.live.session_commands import SessionCommands
    from persistence.live.session_ref import SessionRef
    from persistence.live.snapshots import Snapshot

_TIME: Final = pack("TIME")

OnSnapshot = Callable[["Snapshot | None", object], None]
"""Receives a snapshot; or None, and what came in its place, which `repeat` recovers from."""


class SessionReads:
    """Reads sessions. Its methods raise NotSent."""

    def __init__(self, addresses: SessionAddresses, commands: SessionCommands) -> None:
        self._addresses = addresses
        self._commands = commands

    def snapshot(self, ref: SessionRef, on_snapshot: OnSnapshot) -> None:
        """Read a snapshot as it lies in Redis, whether or not replicas have it.

        Of whatever run of Redis; but one that is of none has to be refreshed before it is shown. Under
        the present stamp income is paid first.
        """

        def on_reply(reply: object) -> None:
            refused = of_no_run(reply)
            if refused is not None:
                on_snapshot(None, list(refused))
                return
            snapshot = snapshot_of(reply)
            on_snapshot(snapshot, None if snapshot is not None else _instead(reply))

        self._pay(ref)
        self._send(ref, self._commands.snapshot(ref.user_id), Regardless(on_reply))

    def fresh_snapshot(self, ref: SessionRef, on_snapshot: OnSnapshot, *, regardless: bool = False) -> None:
        """Pay income, then read a snapshot under the present stamp.

        Another's is to be refreshed before it is shown. `regardless`: also where too few replicas have it.
        """
        stamp = self._addresses.stamp(self._addresses.current(ref))

        def on_reply(reply: object) -> None:
            refused = stale(reply, stamp)
            if refused is None:
                snapshot = snapshot_of(reply)
                on_snapshot(snapshot, None if snapshot is not None else _instead(reply))
            else:
                on_snapshot(None, list(refused))

        self._pay(ref)
        packed = self._commands.snapshot(ref.user_id)
        self._send(ref, packed, Regardless(on_reply) if regardless else on_reply)

    def course(self, ref: SessionRef, on_course: Callable[[Course | None], None]) -> None:
        """Read a course as it lies in Redis; None where there is none under the present stamp."""
        stamp = self._addresses.stamp(self._addresses.current(ref))
        packed = self._commands.course(ref.user_id)
        self._send(ref, packed, lambda reply: on_course(course_of(reply, stamp)))

    def time(self, ref: SessionRef, on_time: Callable[[int], None]) -> None:
        """Read the clock (ms) of a player's Redis; `on_time` is not called where it does not answer.

        What Redis did before that time was heard before it.
        """

        def on_reply(reply: object) -> None:
            if isinstance(reply, list):
                seconds, micros = reply
                on_time(int(seconds) * 1000 + int(micros) // 1000)

        self._send(ref, _TIME, on_reply)

    def _pay(self, ref: SessionRef) -> None:
        """Pay what is due in front of a read: connections were sent it already, under a higher version."""
        lane = self._addresses.current(ref)
        prefix, tail = self._commands.accrue
        try:
            lane.send(b"".join((prefix, ref.head, tail)), Regardless(_nobody))
        except LaneError as error:
            raise NotSent(error) from error

    def _send(self, ref: SessionRef, packed: bytes, on_reply: OnReply) -> None:
        try:
            self._addresses.current(ref).send(packed, on_reply)
        except LaneError as error:
            raise NotSent(error) from error


def _instead(reply: object) -> object:
    """Return what came in the place of a snapshot as a script gives it: a list holds no session."""
    return [Status.MISSING.value] if isinstance(reply, list) else reply


def _nobody(_reply: object) -> None:
    """Take a reply that says nothing the read does not say."""
