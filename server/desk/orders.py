"""What an operator may order, as a value: of commands and of the pages alike."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from server.desk.errors import NotUnderstood

if TYPE_CHECKING:
    from persistence.durable.find_player import Found
    from persistence.durable.operator_log import Outcome
    from server.desk.changing import Made

ORDERS: Final = (
    "give",
    "take",
    "set-rank",
    "undo",
    "suspend",
    "unsuspend",
    "log-out",
    "rename",
    "reset-link",
    "import",
    "restore-from",
    "delete",
)
"""Every order that changes something."""

_UNITS_S: Final = {"m": 60, "h": 3600, "d": 86_400}
_LONGEST_S: Final = 36_500 * 86_400
_MOST_REASON: Final = 500


@dataclass(frozen=True, slots=True)
class Order:
    """One order: who gives it and why, and what it needs besides.

    `what` and `amount`: of give and take. `seconds`: of suspend, None: without an end. `export`: of import
    and restore-from, an export as it was read. `again`: also where the very same was done before.
    """

    command: str
    operator: str
    reason: str
    again: bool = False
    what: str = ""
    amount: str = ""
    rank: int = 0
    number: int = 0
    seconds: int | None = None
    name: str = ""
    export: Any = None


@dataclass(frozen=True, slots=True)
class Result:
    """What came of an order: its number in the log, and whether it was done.

    `why`: what refused it. `made`: of a change of the session, with before and after; `settled`: what others
    had begun, and was made first. `link`: of reset-link.
    """

    number: int
    outcome: Outcome
    why: str = ""
    made: Made | None = None
    settled: list[Made] = field(default_factory=list)
    link: str = ""


def checked_reason(text: str) -> str:
    """Take a reason that says something in one line; raises NotUnderstood."""
    reason = text.strip()
    if not reason or not reason.isprintable() or len(reason) > _MOST_REASON:
        raise NotUnderstood(f"a reason says why, in one line of at most {_MOST_REASON} characters")
    return reason


def refuse_naming(reason: str, found: Found) -> None:
    """Refuse a reason that names the player: the log must not, since it outlives the account."""
    if "@" in reason or (found.name and found.name.casefold() in reason.casefold()):
        raise NotUnderstood("a reason names no player and no e-mail: the log outlives the account")


def duration(text: str) -> int:
    """Read `90m`, `12h` or `3d` as seconds; raises NotUnderstood."""
    match = re.fullmatch(r"(?P<number>[1-9]\d{0,8})(?P<unit>[mhd])", text, re.ASCII)
    seconds = int(match["number"]) * _UNITS_S[match["unit"]] if match else 0
    if not 0 < seconds <= _LONGEST_S:
        raise NotUnderstood(f"{text!r} is not like 90m, 12h or 3d")
    return seconds
