"""The players of a process by the Redis that has them, in portions that are served together."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

    from persistence.live.lane import Lane
    from persistence.live.sessions import Sessions
    from server.ws.exchange import Player
    from server.ws.hub import Hub

_PORTION: Final = 1000
"""Pushes for which Redis is asked for its clock together, at least: asking, and waking up for the answer,
costs as much as thirty. Redis feels it too: at 600, ten thousand players woke it up seven times a second
more."""
_MOST_PORTIONS: Final = 100
"""How often Redis is asked for its clock in each interval, at most: one master answers so many in 0.1 ms."""
_LEFT_PLAYERS: Final = 1000
"""So many who left, and a quarter of those who are here, are passed over before they are left out."""


class Portions:
    """Keeps the players of a hub in the order in which they came, by their lanes.

    Who came together lies together in memory too, and is read faster. They are not looked at one by one each
    time: newcomers are added, those who left stay until there are many.
    """

    def __init__(self, hub: Hub, sessions: Sessions) -> None:
        self._hub = hub
        self._sessions = sessions
        self._by_lane: dict[Lane, list[Player]] = {}
        self._kept = 0
        self._lapses = -1

    def of_now(self) -> list[Sequence[Player]]:
        """Return portions of all players; some who have left may be among them."""
        came, self._hub.newcomers = self._hub.newcomers, []
        here = len(self._hub.players)
        if self._lapses != self._sessions.lapses or self._kept + len(came) > here + here // 4 + _LEFT_PLAYERS:
            self._lapses = self._sessions.lapses
            self._by_lane, self._kept = {}, 0
            came = list(self._hub.players.values())
        for player in came:
            self._by_lane.setdefault(self._sessions.lane_of(player.ref), []).append(player)
        self._kept += len(came)
        size = max(_PORTION, -(-self._kept // _MOST_PORTIONS))
        return [
            players[start : start + size]
            for players in self._by_lane.values()
            for start in range(0, len(players), size)
        ]
