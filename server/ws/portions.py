"""The players of a process by the Redis that has them, in portions that are served together."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from server.ws.block import PLACES, Block

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from persistence.live.lane import Lane
    from persistence.live.sessions import Sessions
    from server.ws.exchange import Player
    from server.ws.hub import Hub

_BLOCKS: Final = 5
"""A thousand players, for whom Redis is asked for its clock together, at least: asking, and waking up for the
answer, costs as much as thirty pushes. Redis feels it too: at 600, ten thousand players woke it up seven
times a second more."""
_MOST_PORTIONS: Final = 100
"""How often Redis is asked for its clock in each interval, at most: one master answers so many in 0.1 ms."""


class Portions:
    """Keeps the players of a hub in blocks of their lanes: who came together lies together, mostly.

    They are not looked at one by one each time: newcomers take the places of those who left, or those behind
    the others.
    """

    def __init__(self, hub: Hub, sessions: Sessions) -> None:
        self._hub = hub
        self._sessions = sessions
        self._by_lane: dict[Lane, list[Block]] = {}
        self._lapses = -1

    def of_now(self) -> list[Sequence[Block]]:
        """Return portions of all players."""
        came, self._hub.newcomers = self._hub.newcomers, []
        if self._lapses != self._sessions.lapses:
            self._lapses = self._sessions.lapses
            came += self._movers()
        self._add(player for player in came if player.exchanges)
        for lane, blocks in list(self._by_lane.items()):
            if any(blocks):
                self._close_up(blocks)
            else:
                del self._by_lane[lane]
        size = max(_BLOCKS, -(-sum(map(len, self._by_lane.values())) // _MOST_PORTIONS))
        return [
            blocks[start : start + size]
            for blocks in self._by_lane.values()
            for start in range(0, len(blocks), size)
        ]

    def _movers(self) -> list[Player]:
        """Take those out of their blocks who have another lane now."""
        movers = [
            player
            for lane, blocks in self._by_lane.items()
            for block in blocks
            for player in block.players
            if player is not None and self._sessions.lane_of(player.ref) is not lane
        ]
        for player in movers:
            if player.block is not None:
                player.block.remove(player)
        return movers

    def _add(self, players: Iterable[Player]) -> None:
        """Give each player a place that is free, or one behind all others."""
        rooms: dict[Lane, list[Block]] = {}
        for player in players:
            lane = self._sessions.lane_of(player.ref)
            blocks = self._by_lane.setdefault(lane, [])
            if lane not in rooms:
                rooms[lane] = [block for block in blocks if len(block) < PLACES]
            room = rooms[lane]
            if room:
                block = room.pop()
            else:
                block = Block()
                blocks.append(block)
            block.add(player)
            if len(block) < PLACES:
                room.append(block)

    def _close_up(self, blocks: list[Block]) -> None:
        """Break up the emptiest block of a lane where the others have more than room enough, one a time."""
        here = sum(map(len, blocks))
        if len(blocks) * PLACES - here <= PLACES + here // 4:
            return
        emptiest = min(blocks, key=len)
        blocks.remove(emptiest)
        players = [player for player in emptiest.players if player is not None]
        for player in players:
            emptiest.remove(player)
        self._add(players)
