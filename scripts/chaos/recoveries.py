"""How soon everybody plays on after a fault."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from statistics import median
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from scripts.chaos.plan import Kind


@dataclass(slots=True, eq=False)
class _Watch:
    kind: Kind
    since_s: float
    remaining: set[str]
    alone: bool


@dataclass(slots=True)
class Recoveries:
    """Measures from a fault's end until each player who plays had an answer to something sent after that.

    The end is when the connection is whole, the process continued, or the killed process started again. A
    fault was `alone` when no other one began or lasted until everybody had recovered.
    """

    playing: set[str] = field(default_factory=set)
    all_s: dict[Kind, list[float]] = field(default_factory=lambda: defaultdict(list))
    alone_s: dict[Kind, list[float]] = field(default_factory=lambda: defaultdict(list))
    _active: set[int] = field(default_factory=set)
    _crowded: set[int] = field(default_factory=set)
    _watches: list[_Watch] = field(default_factory=list)

    def began(self, number: int) -> None:
        """Take note that a fault begins."""
        for watch in self._watches:
            watch.alone = False
        if self._active:
            self._crowded |= self._active | {number}
        self._active.add(number)

    def ended(self, number: int, kind: Kind, now_s: float) -> None:
        """Take note that a fault is over."""
        self._active.discard(number)
        alone = number not in self._crowded and not self._watches
        self._watches.append(_Watch(kind, now_s, set(self.playing), alone))

    def heard(self, player: str, sent_s: float, now_s: float) -> None:
        """Take note of an answer to what was sent at `sent_s`."""
        for watch in list(self._watches):
            if sent_s >= watch.since_s:
                watch.remaining.discard(player)
                self._close(watch, now_s)

    def left(self, player: str, now_s: float) -> None:
        """Take note that a player stops for a while."""
        self.playing.discard(player)
        for watch in list(self._watches):
            watch.remaining.discard(player)
            self._close(watch, now_s)

    def _close(self, watch: _Watch, now_s: float) -> None:
        if not watch.remaining:
            self._watches.remove(watch)
            took_s = now_s - watch.since_s
            self.all_s[watch.kind].append(took_s)
            if watch.alone:
                self.alone_s[watch.kind].append(took_s)


def summary(times_s: list[float]) -> str:
    """Write median and longest of some times."""
    if not times_s:
        return "-"
    return f"{median(times_s):.2f} / {max(times_s):.2f} s"
