"""Is this process fit to serve, and what is wrong with each part, in words."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from server.http.service_routes import Condition, Readiness

if TYPE_CHECKING:
    from collections.abc import Callable

    from persistence.durable.current_catalogue import Catalogues
    from persistence.live.lanes import Lanes
    from persistence.writeback.flusher import Flusher
    from runtime.log_output import LogOutput

_OK: Final = "ok"
_LATE_S: Final = 30.0
"""A dirty session waits one flush interval; PostgreSQL may be slow."""
_REFUSALS: Final = {
    "OOM": "full: it refuses changes at its maxmemory; raise that, nothing needs a restart",
    "MISCONF": "cannot save: it refuses changes as its disk took no snapshot or log; see its own log",
    "NOREPLICAS": "has too few replicas: it refuses changes below its min-replicas-to-write",
    "READONLY": "is a replica: it refuses changes; the master is looked for",
}
"""What Redis says of itself with the errors by which it refuses every change."""
_UNCONFIRMED: Final = (
    "has too few replicas: fewer than WAIT_REPLICAS confirm changes, which may be lost with it"
)
"""What is said while requests are answered as `maybe_applied` for want of replicas."""

_REFUSES_FOR_S: Final = 10.0
"""How long after the last refusal it counts as refusing: nobody asks it meanwhile."""
_MOST_CHARS: Final = 200
_ADDRESS: Final = re.compile(r"\b[a-z][a-z+]*://\S+")


@dataclass(frozen=True, slots=True)
class Health:
    """Looks at the parts without asking them anything: what they last saw is at most seconds old.

    `lanes` carry the game, `bulk_lanes` log-ins and flushes. `clock` is the loop's.
    """

    lanes: Lanes
    bulk_lanes: Lanes
    catalogues: Catalogues
    flusher: Flusher | None
    is_draining: Callable[[], bool]
    clock: Callable[[], float]
    log: LogOutput

    def readiness(self) -> Readiness:
        """Say whether players should be sent here, and why not; a part is `ok…` or says what is wrong."""
        redis = self._lanes_words(self.lanes)
        refusals = self._refusals() if redis == _OK else ""
        parts = {
            "redis": refusals or redis,
            "redis_beside": self._lanes_words(self.bulk_lanes),
            "postgresql": self._postgresql_words(),
            "flusher": self._flusher_words(),
        }
        risks = self.risks()
        if risks:
            parts["redis_durability"] = "; ".join(risks)
        if self.log.lost:
            parts["log"] = self._log_words()
        return Readiness(self._condition(redis == _OK, bool(refusals)), parts)

    def risks(self) -> list[str]:
        """Say how Redis could lose answered requests; empty when it can't."""
        found = {risk for durability in self.lanes.durability.values() for risk in durability.warnings()}
        return sorted(found)

    def _refusals(self) -> str:
        """Say why Redis refused changes a moment ago; empty when it did not."""
        since_s = self.clock() - _REFUSES_FOR_S
        refused_s = self.lanes.refused_s
        found = [text for word, text in _REFUSALS.items() if refused_s.get(word, since_s) > since_s]
        if any(lane.totals.short_at_s > since_s for lane in self.lanes.all):
            found.append(_UNCONFIRMED)
        return "; ".join(found)

    def _condition(self, redis_is_up: bool, redis_refuses: bool) -> Condition:
        if self.is_draining():
            return Condition.DRAINING
        if not redis_is_up:
            return Condition.UNAVAILABLE
        flushes_fail = self.flusher is not None and self.flusher.totals.failing > 0
        ill = redis_refuses or self.catalogues.trouble or flushes_fail or self.log.trouble
        return Condition.DEGRADED if ill else Condition.OK

    def _lanes_words(self, lanes: Lanes) -> str:
        away = [
            f"{lane.name} away for {self.clock() - lane.since_s:.0f} s: "
            f"{plain(lane.totals.last_error) or 'not connected yet'}"
            for lane in lanes.all
            if not lane.up
        ]
        return "; ".join(away) or _OK

    def _postgresql_words(self) -> str:
        if not self.catalogues.trouble:
            return _OK
        away_s = self.clock() - self.catalogues.away_since_s
        return (
            f"away for {away_s:.0f} s: {plain(self.catalogues.trouble)}; play goes on, sessions wait in Redis"
        )

    def _log_words(self) -> str:
        lost = f"{self.log.lost} lines lost since the start"
        return f"not written: {plain(self.log.trouble)}; {lost}" if self.log.trouble else f"{_OK}: {lost}"

    def _flusher_words(self) -> str:
        if self.flusher is None:
            return "ok: it runs elsewhere, as FLUSHER=off says"
        totals = self.flusher.totals
        oldest_s = totals.oldest_age_ms / 1000
        state = _OK
        if totals.failing:
            state = f"failing, {totals.failing} times in a row"
        elif oldest_s > _LATE_S:
            state = "late"
        words = [
            state,
            f"{totals.dirty} dirty sessions here, the oldest for {oldest_s:.1f} s",
            f"{totals.rate_per_s:.0f} sessions/s in the last pass",
            f"{totals.failures} failures since the start",
        ]
        if totals.set_aside:
            words.append(f"{totals.set_aside} session refusals, see session_quarantined in the log")
        if totals.last_error:
            words.append(f"last error: {plain(totals.last_error)}")
        return "; ".join(words)


def plain(error: str) -> str:
    """Say an error in one short line without addresses of databases, which hold passwords."""
    return _ADDRESS.sub("***", " ".join(error.split()))[:_MOST_CHARS]
