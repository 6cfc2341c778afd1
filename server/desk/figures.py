"""The last quarter of an hour of the game, over all servers and workers: /metrics, looked at regularly."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import structlog

from server.desk.points import Backlog, backlog_in, point_of, process_of, wanted, workers_of
from server.desk.servers import Answer, processes_of
from server.desk.troubles import SERVER_AWAY, TROUBLES, backlog_trouble, troubles_of
from server.observability.readings import Reading, all_together, change_between, samples_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence

    from server.desk.servers import Servers
    from server.http.service_routes import Readiness
    from server.observability.readings import Change, Labels

_log = structlog.get_logger(__name__)

EVERY_S: Final = 5.0
KEPT_S: Final = 900.0
GONE_FOR_S: Final = 300.0
"""How long a server that is no longer listed is shown as gone."""
_OWN: Final = ""
"""The key of this server, at whatever address it is listed."""


@dataclass(slots=True)
class _Seen:
    """A server: under which address it is shown, what it said last, and when it answered last."""

    name: str
    condition: str = ""
    parts: Mapping[str, str] = field(default_factory=dict)
    answered_s: float | None = None


class Figures:
    """Looks every few seconds, and keeps a quarter of an hour. Run `run` in a supervised task.

    `render` gives the text of /metrics for all workers of this server, `readiness` says in words how the
    parts of this process are, `servers` asks the listed servers, this one among them where it is listed.
    `count` counts the sessions to be saved, where none of the servers does.
    """

    def __init__(
        self,
        render: Callable[[], Awaitable[bytes]],
        readiness: Callable[[], Readiness],
        servers: Servers,
        count: Callable[[], Awaitable[Backlog]],
        *,
        every_s: float = EVERY_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._render = render
        self._readiness = readiness
        self._servers = servers
        self._count = count
        self._every_s = every_s
        self._clock = clock
        self._points: deque[dict[str, Any]] = deque(maxlen=int(KEPT_S / every_s))
        self._last: dict[str, Reading] = {}
        self._seen: dict[str, _Seen] = {_OWN: _Seen("")}
        self._processes: list[dict[str, Any]] = []
        self._troubles: list[dict[str, Any]] = []

    async def run(self) -> None:
        """Look until cancelled; a look that fails is left out."""
        try:
            while True:
                try:
                    answers, text = await asyncio.gather(self._servers.ask(), self._render())
                    await self.take(text, answers)
                except Exception:  # noqa: BLE001 - figures must not end the server
                    _log.exception("desk_look_failed")
                await asyncio.sleep(self._every_s)
        finally:
            await self._servers.stop()

    async def take(self, text: bytes, answers: Sequence[Answer] = ()) -> None:
        """Take one look: this server's text, and what the listed ones said.

        The first look at a server gives the beginning of what is counted. Reading takes some milliseconds for
        each server: in steps, between which clicks are served.
        """
        now_s = self._clock()
        found = self._distinct(text, answers)
        readings: dict[str, Reading] = {}
        for key, answer in found.items():
            try:
                samples = await _samples(key, answer.text)
            except ValueError:
                samples = {}  # it speaks, but not as a server of this game
            if samples:
                readings[key] = Reading(key, now_s, samples=samples)
                self._seen[key] = _Seen(answer.name, answer.condition, answer.parts, now_s)
            else:
                self._seen.setdefault(key, _Seen(answer.name))
        self._forget(found.keys(), now_s)
        changes = {
            key: change_between(self._last.get(key, reading), reading) for key, reading in readings.items()
        }
        together = all_together(changes.values())
        counted = backlog_in(together.after)
        backlog = counted or await self._count()
        if self._last:
            self._points.append(point_of(together, backlog))
            # Looks are further apart while a listed server lets them wait.
            while next(iter(self._points))["at"] < time.time() - KEPT_S:
                self._points.popleft()
            await asyncio.sleep(0)
        self._last = readings
        self._processes = await self._processes_of(changes)
        elsewhere = None if counted else backlog_trouble(backlog.age_s or 0.0)
        self._troubles = self._troubles_of(changes, dict([elsewhere]) if elsewhere else {})

    def _distinct(self, text: bytes, answers: Sequence[Answer]) -> dict[str, Answer]:
        """Return the answers by server, this one first; one that has several addresses is there once."""
        readiness = self._readiness()
        own = processes_of(text)
        name = next((answer.name for answer in answers if own & processes_of(answer.text)), "")
        found = {_OWN: Answer(name, text, readiness.condition.value, readiness.parts)}
        known = set(own)
        for answer in answers:
            processes = processes_of(answer.text)
            if known & processes:
                self._seen.pop(answer.name, None)
            else:
                found[answer.name] = answer
            known |= processes
        return found

    def _forget(self, listed: Collection[str], now_s: float) -> None:
        """Let go of servers that are no longer listed: after a while, or at once if they never answered."""
        for key, seen in list(self._seen.items()):
            long_gone = seen.answered_s is None or seen.answered_s + GONE_FOR_S < now_s
            if key not in listed and long_gone:
                del self._seen[key]

    async def _processes_of(self, changes: Mapping[str, Change]) -> list[dict[str, Any]]:
        processes: list[dict[str, Any]] = []
        for key, seen in sorted(self._seen.items()):
            change = changes.get(key)
            server = self._server(seen)
            if change is None:
                processes.append({**server, "worker": None, "up": False})
                continue
            for worker in workers_of(change.after):
                processes.append({**server, **process_of(change, worker)})
                await asyncio.sleep(0)
        return processes

    def _troubles_of(
        self, changes: Mapping[str, Change], elsewhere: Mapping[str, str]
    ) -> list[dict[str, Any]]:
        """Name what is wrong, each once: with the servers where it is so, if there are several.

        `elsewhere`: what is wrong at no server.
        """
        away = [seen.name for key, seen in sorted(self._seen.items()) if key not in changes]
        details: dict[str, list[str]] = {SERVER_AWAY: [", ".join(away)]} if away else {}
        details |= {name: [detail] for name, detail in elsewhere.items()}
        servers: dict[str, list[str]] = {}
        for key, change in sorted(changes.items()):
            seen = self._seen[key]
            for name, detail in troubles_of(change, seen.parts):
                details.setdefault(name, []).append(detail)
                servers.setdefault(name, []).extend(self._server(seen).values())
        return [
            {
                "name": name,
                "detail": ", ".join(dict.fromkeys(filter(None, details[name]))),
                **({"servers": list(dict.fromkeys(servers[name]))} if servers.get(name) else {}),
            }
            for name in TROUBLES
            if name in details
        ]

    def _server(self, seen: _Seen) -> dict[str, str]:
        """Name a server, where there are several."""
        return {"server": seen.name} if len(self._seen) > 1 else {}

    def shown(self) -> dict[str, Any]:
        """Return everything for the page: the points of the last 15 minutes, processes, what is wrong."""
        readiness = self._readiness()
        return {
            "every_s": self._every_s,
            "points": list(self._points),
            "processes": self._processes,
            "troubles": self._troubles,
            "servers": [
                {"name": seen.name, "parts": dict(seen.parts if key else readiness.parts)}
                for key, seen in sorted(self._seen.items())
                if key in self._last or not key
            ],
            "condition": readiness.condition.value,
        }


async def _samples(server: str, text: bytes) -> dict[str, dict[Labels, float]]:
    """Read a server's text, a family at a time; raises ValueError."""
    samples: dict[str, dict[Labels, float]] = {}
    for family in wanted(text):
        samples |= samples_of(family, server=server)
        await asyncio.sleep(0)
    return samples
