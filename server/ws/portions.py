"""The players of a process by the Redis that has them, in portions that are served together."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from server.ws.block import PLACES, Block

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from persistence.live.lane import Lane
    from persistence.live.sessions import Sessions
    from server.ws.exchange import Player

_BLOCKS: Final = 5
"""A thousand players, for whom Redis is asked for its clock together, at least: asking, and waking up for the
answer, costs as much as thirty pushes. Redis feels it too: at 600, ten thousand players woke it up seven
times a second more."""
_MOST_PORTIONS: Final = 100
"""How often Redis is asked for its clock in each interval, at most: one master answers so many in 0.1 ms."""
_MOST_MOVERS: Final = 2000
"""So many players take other places at once: 7 ms. Those who have to wait are served a second later."""


class Portions:
    """Keeps players in blocks of their lanes: who came together lies together, mostly.

    They are not looked at one by one each time: newcomers take the places of those who left, or those behind
    the others.
    """

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions
        self._by_lane: dict[Lane, list[Block]] = {}
        self._newcomers: list[Player] = []
        # Blocks of before the last lapse: some of their players may have another lane now.
        self._unsorted: list[tuple[Lane, Block]] = []
        self._lapses = -1

    def add(self, player: Player) -> None:
        """Serve a player from the next interval on."""
        self._newcomers.append(player)

    def stir(self, lane: Lane | None = None) -> None:
        """Stir all players, or those of a lane: each with the block, before it is served again."""
        moved = self._lapses != self._sessions.lapses
        for each, blocks in self._by_lane.items():
            if lane is None or each is lane or moved:
                for block in blocks:
                    block.stale = True
        for _, block in self._unsorted:
            block.stale = True

    def of_now(self) -> list[Sequence[Block]]:
        """Return portions of all players, but for those who wait to be moved to another lane."""
        if self._lapses != self._sessions.lapses:
            self._lapses = self._sessions.lapses
            for lane, blocks in self._by_lane.items():
                self._unsorted += [(lane, block) for block in blocks]
            self._by_lane = {}
        movers = self._sort() if self._unsorted else []
        came, self._newcomers = self._newcomers, []
        self._place(movers)
        self._place(player for player in came if player.exchanges)
        for lane, blocks in list(self._by_lane.items()):
            if any(map(len, blocks)):
                self._close_up(blocks)
            else:
                del self._by_lane[lane]
        size = max(_BLOCKS, -(-sum(map(len, self._by_lane.values())) // _MOST_PORTIONS))
        return [
            blocks[start : start + size]
            for blocks in self._by_lane.values()
            for start in range(0, len(blocks), size)
        ]

    def _sort(self) -> list[Player]:
        """Give blocks to the lanes that their players have now; return players who have no place by that.

        A block all of whose players went to one lane goes there as a whole.
        """
        lane_of = self._sessions.lane_of
        movers: list[Player] = []
        while self._unsorted and len(movers) < _MOST_MOVERS:
            lane, block = self._unsorted.pop()
            lanes = {lane_of(player.ref) for player in block.present()}
            if len(lanes) == 1 and lane not in lanes:
                (lane,) = lanes
                block.stale = True
            elif len(lanes) > 1:
                leaving = [player for player in block.present() if lane_of(player.ref) is not lane]
                for player in leaving:
                    player.stir()
                    block.remove(player)
                movers += leaving
            if lanes:
                self._by_lane.setdefault(lane, []).insert(0, block)
        return movers

    def _place(self, players: Iterable[Player]) -> None:
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
        emptiest.freshen()
        players = emptiest.present()
        for player in players:
            emptiest.remove(player)
        self._place(players)
