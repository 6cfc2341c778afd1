"""What is read of a session without changing it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from persistence.errors import NotSent
from persistence.live.lane_contract import LaneError, Regardless
from persistence.live.replies.status import Status
from persistence.live.snapshots import of_no_run, passive_of, snapshot_of, stale

if TYPE_CHECKING:
    from persistence.live.lane_contract import OnReply
    from persistence.live.session_addresses import SessionAddresses
    from persistence.live.session_commands import SessionCommands
    from persistence.live.session_ref import SessionRef
    from persistence.live.snapshots import Snapshot

OnSnapshot = Callable[["Snapshot | None", object], None]
"""Receives a snapshot; or None, and what came in its place, which `repeat` recovers from."""


class SessionReads:
    """Reads sessions. Its methods raise NotSent."""

    def __init__(self, addresses: SessionAddresses, commands: SessionCommands) -> None:
        self._addresses = addresses
        self._commands = commands

    def snapshot(self, ref: SessionRef, on_snapshot: OnSnapshot) -> None:
        """Read a snapshot as it lies in Redis, whether or not replicas have it.

        Of whatever run of Redis; but one that is of none has to be refreshed before it is shown.
        """

        def on_reply(reply: object) -> None:
            refused = of_no_run(reply)
            if refused is not None:
                on_snapshot(None, list(refused))
                return
            snapshot = snapshot_of(reply)
            on_snapshot(snapshot, None if snapshot is not None else _instead(reply))

        self._send(ref, self._commands.snapshot(ref.user_id), Regardless(on_reply))

    def fresh_snapshot(self, ref: SessionRef, on_snapshot: OnSnapshot, *, regardless: bool = False) -> None:
        """Read a snapshot under the present stamp: another's is to be refreshed before it is shown.

        `regardless`: also where too few replicas have it.
        """
        stamp = self._addresses.stamp(self._addresses.current(ref))

        def on_reply(reply: object) -> None:
            refused = stale(reply, stamp)
            if refused is None:
                snapshot = snapshot_of(reply)
                on_snapshot(snapshot, None if snapshot is not None else _instead(reply))
            else:
                on_snapshot(None, list(refused))

        packed = self._commands.snapshot(ref.user_id)
        self._send(ref, packed, Regardless(on_reply) if regardless else on_reply)

    def passive(self, ref: SessionRef, on_known: Callable[[bool], None]) -> None:
        """Read whether a player has passive income; `on_known` is not called where that is not known."""
        stamp = self._addresses.stamp(self._addresses.current(ref))

        def on_reply(reply: object) -> None:
            known = passive_of(reply, stamp)
            if known is not None:
                on_known(known)

        self._send(ref, self._commands.passive_rates(ref.user_id), on_reply)

    def _send(self, ref: SessionRef, packed: bytes, on_reply: OnReply) -> None:
        try:
            self._addresses.current(ref).send(packed, on_reply)
        except LaneError as error:
            raise NotSent(error) from error


def _instead(reply: object) -> object:
    """Return what came in the place of a snapshot as a script gives it: a list holds no session."""
    return [Status.MISSING.value] if isinstance(reply, list) else reply
