"""When a copy is sent at once, and when it waits for those behind it.

A copy costs its write to the socket and little else. So the first copy after a rest goes at once, and those
that follow it within a window are sent together at its end: a player with many tabs who clicks fast costs one
write for each tab and window, not for each tab and click.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import asyncio

    from server.ws.exchange import Player


_CONNECTIONS_A_TIME: Final = 5
_MOST_TIMES: Final = 4.0


class Gathering:
    """The windows of a process' players. `window_s` of 0 lets every copy go at once.

    A player with more than five connections here has a longer one, with twenty and more four times as long:
    each costs a write a window, and the player looks at few of them.
    """

    __slots__ = ("_loop", "_window_s")

    def __init__(self, loop: asyncio.AbstractEventLoop, window_s: float) -> None:
        self._loop = loop
        self._window_s = window_s

    def waits(self, player: Player) -> bool:
        """Say whether a copy that is due now is to be held: the player's connections send it in time."""
        if player.gathers:
            return True
        now_s = self._loop.time()
        times = min(_MOST_TIMES, max(1.0, len(player.exchanges) / _CONNECTIONS_A_TIME))
        end_s = player.copied_s + self._window_s * times
        if now_s >= end_s:
            player.copied_s = now_s
            return False
        # Set before anything is held, so that nothing can be left behind.
        self._loop.call_at(end_s, self._end, player)
        player.gathers = True
        return True

    def _end(self, player: Player) -> None:
        """Send what was held; what comes behind it waits for the next window."""
        player.gathers = False
        player.copied_s = self._loop.time()
        for exchange in player.exchanges:
            exchange.connection.send_held()
