"""What a message says of a session: the fields of the rules, in the units of the rules."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

    from game.session import Session

Facts = dict[str, Any]
"""Field of a session to its value; `bought` has the counts that were named, `all_bought` every one."""

_AMOUNTS: Final = {"money": "money", "dishes": "dishes", "level_rank": "rank", "current_rank": "rank"}
_HUNDREDTHS: Final = ("xp", "level_xp", "current_xp")
LIFETIME: Final = ("clicks", "cooked", "earned", "purchases", "resets")
"""Totals of all that a player did: no rule reads them, no message says them, and no reset takes them back."""
_PRESTIGE: Final = {"current_value": "stars", "accumulated_value": "accumulated"}


def facts_of(request_type: str, data: Mapping[str, Any]) -> Facts:
    """Read a message; what says nothing of a session gives nothing."""
    if request_type == "error":
        return {}
    if request_type == "session":
        return _session(data["session"])
    facts: Facts = {field: float(data[name]) for name, field in _AMOUNTS.items() if name in data}
    for name in _HUNDREDTHS:
        if name in data:
            facts["xp"] = _scaled(data[name], 100)
    if request_type == "upgrade_buy" and "times_bought" in data:
        facts["bought"] = {data["id"]: data["times_bought"]}
    if request_type == "session_reset":
        facts |= _prestige(data["prestige"])
        if not data.get("duplicate"):
            facts["all_bought"] = {}
    if "prestige_accumulated" in data:
        facts["accumulated"] = _scaled(data["prestige_accumulated"], 10_000)
    return facts


def facts_of_session(session: Session) -> Facts:
    """Say all that can be compared of a session."""
    names = ("money", "dishes", "rank", "xp", "stars", "accumulated", "boost", *LIFETIME)
    return {name: float(getattr(session, name)) for name in names} | {"all_bought": dict(session.bought)}


def facts_in_play(session: Session) -> Facts:
    """Say what can be compared of a session, but for its totals."""
    return {name: value for name, value in facts_of_session(session).items() if name not in LIFETIME}


def totals_of(session: Session) -> tuple[float, ...]:
    """Return what LIFETIME names."""
    return tuple(getattr(session, name) for name in LIFETIME)


def set_totals(session: Session, totals: tuple[float, ...]) -> None:
    """Set what LIFETIME names."""
    for name, value in zip(LIFETIME, totals, strict=True):
        setattr(session, name, value)


def differences(session: Session, facts: Facts) -> list[str]:
    """Say where a session is not as it was said to be."""
    found = []
    for name, said in facts.items():
        if name == "all_bought":
            held: object = {key: times for key, times in session.bought.items() if times}
        elif name == "bought":
            held = {key: session.bought.get(key, 0) for key in said}
        else:
            held = float(getattr(session, name))
        if held != said:
            found.append(f"{name} {held} by the rules, said {said}")
    return found


def _session(said: Mapping[str, Any]) -> Facts:
    return {
        "money": float(said["money"]),
        "dishes": float(said["dishes"]),
        "rank": float(said["level"]["rank"]),
        "xp": _scaled(said["level"]["xp"], 100),
        **_prestige(said["prestige"]),
        "all_bought": {item["id"]: item["times_bought"] for item in said["upgrades"]["current"]},
    }


def _prestige(said: Mapping[str, Any]) -> Facts:
    facts = {field: _scaled(said[name], 10_000) for name, field in _PRESTIGE.items()}
    return facts | {"boost": _scaled(said["current_boost_value"], 10)}


def _scaled(value: float, scale: int) -> float:
    return float(round(value * scale))
