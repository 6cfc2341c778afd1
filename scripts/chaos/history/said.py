"""What was said of each version of a session, and how one request changes it by the rules."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

from game import rules
from game.live_session import LiveSession
from scripts.chaos.history.facts import Facts, facts_of
from scripts.chaos.history.timeline import CHANGING, Operation, is_read

if TYPE_CHECKING:
    from game.catalogue import Catalogue
    from game.session import Session
    from scripts.chaos.history.timeline import Timeline

_CAP_S: Final = 28_800


@dataclass(slots=True)
class Said:
    """All that was said of one version."""

    version: int
    heard_s: float
    last_heard_s: float
    facts: list[Facts] = field(default_factory=list)
    change: str = ""
    operation: Operation | None = None
    applied: int | None = None


def by_version(player: str, timeline: Timeline) -> list[Said]:
    """Gather what was said of each version, lowest first."""
    said: dict[int, Said] = {}
    operations = {
        id(attempt): operation for operation in timeline.operations[player] for attempt in operation.attempts
    }
    for line in timeline.of_player(player):
        for heard in line.heard:
            version, kind = heard.data.get("version"), heard.request_type
            if version is None or kind in ("error", "achievement"):
                continue
            entry = said.setdefault(version, Said(version, heard.at_s, heard.at_s))
            entry.heard_s = min(entry.heard_s, heard.at_s)
            entry.last_heard_s = max(entry.last_heard_s, heard.at_s)
            entry.facts.append(facts_of(kind, heard.data))
            if kind not in CHANGING or heard.data.get("duplicate") or is_read(heard):
                continue
            entry.change = kind
            entry.applied = heard.data.get("applied", entry.applied)
            attempt = line.attempts.get(heard.request)
            if attempt is not None:
                entry.operation = operations[id(attempt)]
    return [said[version] for version in sorted(said)]


def copy_of(session: Session) -> Session:
    """Copy what the rules change of a session."""
    return replace(session, bought=dict(session.bought))


def play(session: Session, operation: Operation, catalogue: Catalogue) -> None:
    """Do one request by the rules, at the moment up to which income is paid. Raises Refusal."""
    live, now_us = LiveSession.of(session, catalogue), session.accrued_at_ms * 1000
    kind, count, upgrade_id = operation.effect
    match kind:
        case "cook":
            rules.cook(live, count, now_us)
        case "sell":
            rules.sell(live, count, now_us)
        case "upgrade_buy":
            rules.upgrade_buy(live, upgrade_id, now_us, _CAP_S, count=count)
        case "level_up":
            rules.level_up(live, now_us, _CAP_S)
        case _:
            rules.session_reset(live, now_us, _CAP_S)
