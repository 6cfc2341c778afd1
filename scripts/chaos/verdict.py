"""Holding the book against what Redis and PostgreSQL have."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, cast

from game import rules
from game.errors import Refusal
from game.rates import rates_of
from game.rules import LiveSession

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from game.catalogue import Catalogue
    from game.session import Session, UserId
    from scripts.chaos.players import Player
    from scripts.clicker.book import Entry

_REPLAYED: Final = (
    "money", "dishes", "rank", "xp", "stars", "accumulated", "boost", "bought", "clicks", "cooked", "earned",
    "purchases", "resets",
)  # fmt: skip
_CAP_S: Final = 28_800


@dataclass(slots=True)
class Verdict:
    """What the book says against what is stored.

    `lost` and `doubled` are clicks (cooks and sells), `answered` the book's entries, `clicks` what they come
    to. `faults` says in words what else differs. All is well when `is_clean`.
    """

    answered: int = 0
    clicks: int = 0
    duplicates: int = 0
    lost: int = 0
    doubled: int = 0
    faults: list[str] = field(default_factory=list)

    @property
    def is_clean(self) -> bool:
        """Whether every answered request counts exactly once, and nothing else changed anything."""
        return not (self.lost or self.doubled or self.faults)


def judge(
    players: Sequence[Player],
    entries: Iterable[Entry],
    live: Mapping[UserId, Session],
    saved: Mapping[UserId, Session],
    catalogue: Catalogue,
) -> Verdict:
    """Compute every player's session from the book; compare it with what is stored."""
    verdict = Verdict()
    by_player: dict[str, list[Entry]] = defaultdict(list)
    for entry in entries:
        by_player[entry.player].append(entry)
        verdict.answered += 1
        verdict.duplicates += bool(entry.answered.get("duplicate"))
    for player in players:
        stored = saved.get(player.user_id)
        if stored is None:
            verdict.faults.append(f"{player.name}: PostgreSQL has no session")
            continue
        held = live.get(player.user_id)
        if held is not None and held != stored:
            verdict.faults.append(f"{player.name}: Redis and PostgreSQL differ: {held} {stored}")
        if player.kind == "shop":
            expected = _replayed(player, by_player[player.name], catalogue, verdict)
        else:
            expected = _reckoned(player, by_player[player.name], catalogue, stored, verdict)
        verdict.clicks += int(cast("float", expected["clicks"]))
        _compare(player, expected, stored, verdict)
    return verdict


def _compare(player: Player, expected: Mapping[str, object], stored: Session, verdict: Verdict) -> None:
    for name, value in expected.items():
        found = getattr(stored, name)
        if found == value:
            continue
        if name == "clicks":
            missing = int(cast("float", value) - found)
            verdict.lost += max(0, missing)
            verdict.doubled += max(0, -missing)
        verdict.faults.append(f"{player.name}: {name} is {found}, by the book {value}")


def _reckoned(
    player: Player, entries: Sequence[Entry], catalogue: Catalogue, stored: Session, verdict: Verdict
) -> dict[str, object]:
    """Add up cooks, all alike, and passive income for the seconds that were paid."""
    start, rates = player.start, rates_of(player.start, catalogue)
    clicks = 0.0
    for entry in entries:
        if entry.code:
            verdict.faults.append(f"{player.name}: cook {entry.seq} was refused with {entry.code}")
        elif not entry.answered.get("duplicate") and entry.answered["applied"] != entry.count:
            verdict.faults.append(f"{player.name}: cook {entry.seq} was applied in part: {entry.answered}")
        else:
            clicks += entry.count
    expected: dict[str, object] = {"clicks": clicks, "purchases": 0.0, "resets": 0.0, "bought": start.bought}
    cooked = clicks * rates.cook_gain
    if rates.passive:
        seconds = (stored.accrued_at_ms - start.accrued_at_ms) / 1000
        expected["cooked"] = cooked + seconds * rates.dishes_per_second
        expected["accumulated"] = seconds * rates.stars_per_second
    else:
        expected |= {"cooked": cooked, "dishes": cooked, "xp": clicks * rates.click_xp, "money": 0.0}
    return expected


def _replayed(
    player: Player, entries: Sequence[Entry], catalogue: Catalogue, verdict: Verdict
) -> dict[str, object]:
    """Play the book through the rules, and hold each answer against what they say."""
    live = LiveSession.of(player.start, catalogue)
    for entry in entries:
        code, said = _play(live, entry)
        if code != entry.code:
            verdict.faults.append(f"{player.name}: {entry} should have been {code or 'done'}")
        if entry.code or entry.answered.get("duplicate"):
            continue
        for name, value in said.items():
            if entry.answered.get(name, value) != value:
                verdict.faults.append(f"{player.name}: {entry} should have said {name} {value}")
    return {name: getattr(live.session, name) for name in _REPLAYED}


def _play(live: LiveSession, entry: Entry) -> tuple[str, dict[str, float]]:
    """Do one request by the rules; return the refusal's code or "", and what the answer must say."""
    now_us = live.session.accrued_at_ms * 1000
    session, before = live.session, live.session.clicks
    try:
        match entry.request_type:
            case "cook":
                rules.cook(live, entry.count, now_us)
            case "sell":
                rules.sell(live, entry.count, now_us)
            case "upgrade_buy":
                rules.upgrade_buy(live, entry.asked["id"], now_us, _CAP_S)
            case "level_up":
                rules.level_up(live, now_us, _CAP_S)
                return "", {"current_rank": session.rank}
            case _:
                rules.session_reset(live, now_us, _CAP_S)
    except Refusal as refusal:
        return refusal.code, {}
    said = {"money": session.money, "dishes": session.dishes, "xp": session.xp / 100}
    if entry.request_type in ("cook", "sell"):
        said["applied"] = session.clicks - before
    return "", said
