"""Replies that are withheld until enough replicas have what they answer."""

from __future__ import annotations

import asyncio

import hiredis
import structlog

from persistence.live.lane_contract import LaneLimits, LaneTotals, OnReply, Regardless, ReplyLost, pack

_log = structlog.get_logger(__name__)


class ReplicaBarrier:
    """Withholds the replies and publications of a batch until enough replicas have it (WAIT)."""

    __slots__ = ("_held", "_limits", "_totals", "command")

    def __init__(self, limits: LaneLimits, totals: LaneTotals) -> None:
        self._held: list[tuple[OnReply, object]] = []
        self._limits = limits
        self._totals = totals
        self.command = pack("WAIT", limits.wait_replicas, limits.wait_replicas_ms)

    def hold(self, take: OnReply, value: object) -> None:
        """Keep what came until the barrier is passed."""
        self._held.append((take, value))

    def __call__(self, reply: object) -> None:
        """Hand out the held replies, in order: as they came, or as lost if too few replicas confirmed."""
        held, self._held = self._held, []
        enough = isinstance(reply, int) and reply >= self._limits.wait_replicas
        if not enough:
            self._totals.replicas_short += 1
            self._totals.short_at_s = asyncio.get_running_loop().time()
        for take, value in held:
            is_kept = isinstance(value, hiredis.ReplyError | hiredis.PushNotification)
            kept = enough or is_kept or isinstance(take, Regardless)
            hand(take, value if kept else ReplyLost("too few replicas have it"))


def hand(take: OnReply, value: object) -> None:
    """Call a handler; its fault is not the others'."""
    try:
        take(value)
    except Exception:  # noqa: BLE001 - whatever it is, the others go on
        _log.exception("reply_handler_failed", handler=repr(take)[:200])
