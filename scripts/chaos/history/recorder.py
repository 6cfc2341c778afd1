"""Writes a history down while it happens: one clock, one list, and what everybody needs to know of it now."""

from __future__ import annotations

import asyncio
import itertools
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from scripts.chaos.history.events import Heard, Lagged

if TYPE_CHECKING:
    from collections.abc import Iterator

    from scripts.chaos.history.events import Event, History

_LAG_LOOK_S: Final = 0.05
_LAG_FROM_S: Final = 0.1


@dataclass(slots=True)
class Recorder:
    """Adds events to a history. Numbers of connections and requests are unique in it."""

    history: History
    connections: Iterator[int] = field(default_factory=lambda: itertools.count(1))
    requests: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    @property
    def now_s(self) -> float:
        """The moment, on the clock of all events."""
        return asyncio.get_running_loop().time()

    def add(self, event: Event) -> None:
        """Write an event down."""
        self.history.events.append(event)

    def heard(self, connection: int, request: int, request_type: str, data: dict[str, Any]) -> None:
        """Write a message down, without the part of the catalogue that every `session` repeats."""
        if request_type == "session":
            session = data["session"]
            current = session["upgrades"]["current"]
            counts = [{"id": item["id"], "times_bought": item["times_bought"]} for item in current]
            data = {**data, "session": {**session, "upgrades": {"current": counts}}}
        self.add(Heard(self.now_s, connection, request, request_type, data))

    async def watch_itself(self) -> None:
        """Write down whenever this process stood still, until cancelled."""
        while True:
            before_s = self.now_s
            await asyncio.sleep(_LAG_LOOK_S)
            late_s = self.now_s - before_s - _LAG_LOOK_S
            if late_s > _LAG_FROM_S:
                self.add(Lagged(self.now_s, late_s))
