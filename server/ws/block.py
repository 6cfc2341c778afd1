"""Players who are served in one pass of the loop, and rows from which their quiet seconds are computed.

Of ten thousand players who watch, each is looked at once a second, and by then the processor's caches have
lost what is known of them. The rows of two hundred lie in one piece of memory, which is read from its begin
to its end, and has all that a push needs: what it says, and the socket that it is written to.
"""

from __future__ import annotations

import os
import struct
from array import array
from functools import partial
from typing import TYPE_CHECKING, Final, NamedTuple

from server.protocol.results import computed
from server.ws.frames import text_frame
from server.ws.outgoing import ONE_MESSAGE, send_latest_to_each

if TYPE_CHECKING:
    from collections.abc import Callable

    from server.ws.exchange import Exchange, Player
    from server.ws.outgoing import Message

    Tell = Callable[[Player, int, int, tuple[float, float, float, float], list[Message]], None]

PLACES: Final = 200
"""Pushes of one pass of the loop: a click waits for them for some 2 ms."""

_ROW: Final = struct.Struct("13q")
"""The socket, or one of the two below. The time of the run's first second, by Redis' clock in ms; how many
seconds the row is good for behind that one. That second's version, the rank, then money, dishes, xp and
stars, each with what a second adds."""
_SOCKET: Final = struct.Struct("q")
_EMPTY: Final = -1
_BY_CONNECTIONS: Final = -2
"""The row is good, and what it says goes to all of the player's connections, each looked at."""
_NO_ROW: Final = _ROW.pack(_EMPTY, *[0] * 12)


class _Said(NamedTuple):
    """What rows say: frames with their sockets and places, and the players of all other rows."""

    frames: list[tuple[int, int, bytes]]
    messages: list[Message]
    by_connections: list[Player]
    ended: list[Player]


class Block:
    """Up to 200 players of one lane.

    `awake` are those who are looked at each time. The others are `settled`: their row says what they are
    sent, until something happens to them or it ends; or they did nothing and earn nothing. `at_ms` is Redis'
    time when the block was last served: settled players were sent what they had then. `lapses`: while the
    process counts so many, it hears of the settled players. `stale`: all are to be stirred, with `freshen`,
    before the block is served again.

    A player with one connection that keeps up has its socket in the row, lent by the connection. What was
    written there is noted in the connection's exchange when it takes the socket back, and not before.
    """

    __slots__ = ("_counted", "_free", "_rows", "at_ms", "awake", "lapses", "players", "settled", "stale")

    def __init__(self) -> None:
        self._rows = bytearray()
        # What was written to each socket, as `Outgoing.counted_out` has it. A row lasts for some minutes, and
        # has a message a second: far from the end of 64 bits.
        self._counted = array("q")
        self._free: list[int] = []
        self.players: list[Player | None] = []
        self.awake: dict[Player, None] = {}
        self.settled = 0
        self.stale = False
        self.at_ms = 0
        self.lapses = -1

    def __len__(self) -> int:
        """Return how many players are here."""
        return len(self.players) - len(self._free)

    def add(self, player: Player) -> None:
        """Take a player in, who is in no other block; there is room while `len` is below `PLACES`."""
        if self._free:
            player.place = self._free.pop()
            self.players[player.place] = player
        else:
            player.place = len(self.players)
            self._rows += _NO_ROW
            self._counted.append(0)
            self.players.append(player)
        player.block = self
        self.awake[player] = None

    def remove(self, player: Player) -> None:
        """Let a player go."""
        player.unsettle()
        self.awake.pop(player, None)
        self.players[player.place] = None
        self._free.append(player.place)
        player.block = None

    def present(self) -> list[Player]:
        """Return the players who are here."""
        return [player for player in self.players if player is not None]

    def freshen(self) -> None:
        """Stir the players of a block that is stale: what is known of them may be older than it was."""
        if self.stale:
            self.stale = False
            for player in self.present():
                player.stir()

    def settle(self, player: Player, seconds: int, last_s: int) -> None:
        """Compute the player's seconds after `seconds`, which was just shown, from a row, up to `last_s`.

        No achievement is reached in those, and each differs from the one before; where there are no such, the
        player stays awake. Call it while the block is served, for whom the process hears of.
        """
        course = player.course
        run = None if course is None else course.run_of(seconds)
        if course is None or run is None:
            return
        last_s = min(run.last_s, last_s)
        if last_s <= seconds:
            return
        first_s = run.first_s
        head = (_BY_CONNECTIONS, course.accrued_at_ms + 1000 * first_s, last_s - first_s)
        _ROW.pack_into(
            self._rows, player.place * _ROW.size, *head, course.version + first_s, course.rank, *run.line
        )
        del self.awake[player]
        self.settled += 1
        player.settled = True

    def unsettle(self, player: Player) -> None:
        """Wake a settled player up; what was sent by the row is noted."""
        self._end(player, self.at_ms)

    def _end(self, player: Player, at_ms: int) -> None:
        """End a row that was good until a time."""
        place, course = player.place, player.course
        start = place * _ROW.size
        (fd,) = _SOCKET.unpack_from(self._rows, start)
        if fd >= 0:
            self._note(player, at_ms).connection.get_back()
        _SOCKET.pack_into(self._rows, start, _EMPTY)
        player.settled = False
        self.settled -= 1
        self.awake[player] = None
        if course is not None:
            player.note_sent(course, course.seconds(at_ms))

    def _note(self, player: Player, at_ms: int) -> Exchange:
        """Note on a player's one exchange what was written to its socket until a time."""
        place = player.place
        (exchange,) = player.exchanges
        _, since_ms, _, version, *_ = _ROW.unpack_from(self._rows, place * _ROW.size)
        exchange.version = max(exchange.version, version + (at_ms - since_ms) // 1000)
        exchange.connection.counted_out += self._counted[place]
        self._counted[place] = 0
        return exchange

    def _unsettle_all(self, at_ms: int) -> None:
        if self.settled:
            for player in self.present():
                if player.settled:
                    self._end(player, at_ms)

    def push(self, now_ms: int, lapses: int, tell: Tell) -> tuple[int, int]:
        """Send the settled players what they have at a time of Redis; `tell` adds what connections are sent.

        Returns how many have more than before, and how many messages they were sent. Those whose rows end
        are awake behind this; everybody is where the clock ran back, or the process counts other lapses. Hot.
        """
        before_ms = self.at_ms
        if now_ms < before_ms or lapses != self.lapses:
            self._unsettle_all(before_ms)
            self.lapses = lapses
        self.at_ms = now_ms
        if not self.settled:
            return 0, 0
        said = _Said([], [], [], [])
        try:
            self._compute(before_ms, now_ms, tell, said)
            # The writes follow each other with nothing in between: what the kernel does for one is still at
            # hand in the processor for the next.
            self._write(said.frames)
            send_latest_to_each(said.messages)
            for player in said.by_connections:
                self._borrow(player)
        except BaseException:
            self._unsettle_all(before_ms)  # who was not sent this second is sent it by the course
            raise
        for player in said.ended:
            self._end(player, before_ms)
        written = len(said.frames)
        return written + len(said.by_connections), written + len(said.messages)

    def _compute(self, before_ms: int, now_ms: int, tell: Tell, said: _Said) -> None:
        """Read the rows, each in which another second has begun. Hot, so written out."""
        players, counted, frames = self.players, self._counted, said.frames
        for place, (
            fd,
            since_ms,
            last,
            version,
            rank,
            money,
            more_money,
            dishes,
            more_dishes,
            xp,
            more_xp,
            stars,
            more_stars,
        ) in enumerate(_ROW.iter_unpack(self._rows)):
            if fd == _EMPTY:
                continue
            part = (now_ms - since_ms) // 1000
            if part == (before_ms - since_ms) // 1000:
                continue
            amounts = (
                money + part * more_money,
                dishes + part * more_dishes,
                xp + part * more_xp,
                stars + part * more_stars,
            )
            if part > last:
                said.ended.append(players[place])  # type: ignore[arg-type]  # rows are of players
            elif fd == _BY_CONNECTIONS:
                player: Player = players[place]  # type: ignore[assignment]  # rows are of players
                said.by_connections.append(player)
                tell(player, version + part, rank, amounts, said.messages)
            else:
                payload = computed(version + part, rank, amounts)
                counted[place] += ONE_MESSAGE + len(payload)
                frames.append((fd, place, text_frame(payload)))

    def _write(self, frames: list[tuple[int, int, bytes]]) -> None:
        """Write frames to sockets; `send_by_transport` takes what they have no room for."""
        write = os.write
        for fd, place, frame in frames:
            try:
                written = write(fd, frame)
            except OSError:
                # Full or lost: the transport finds that too, and does what is to be done.
                written = 0
            if written < len(frame):
                player: Player = self.players[place]  # type: ignore[assignment]
                (exchange,) = player.exchanges
                exchange.connection.send_by_transport(frame[written:])

    def _borrow(self, player: Player) -> None:
        """Take a player's socket into the row, where the only connection has just been sent what it says."""
        if len(player.exchanges) != 1 or not player.settled:
            return
        start = player.place * _ROW.size
        _, since_ms, _, version, *_ = _ROW.unpack_from(self._rows, start)
        (exchange,) = player.exchanges
        if exchange.joined and exchange.version == version + (self.at_ms - since_ms) // 1000:
            fd = exchange.connection.lend(partial(self._taken_back, player))
            if fd >= 0:
                _SOCKET.pack_into(self._rows, start, fd)

    def _taken_back(self, player: Player) -> None:
        """Leave the socket to the connection; the row stays good."""
        self._note(player, self.at_ms)
        _SOCKET.pack_into(self._rows, player.place * _ROW.size, _BY_CONNECTIONS)
