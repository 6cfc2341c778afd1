"""What an order would change, shown before it is given. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from game.adjusting import RANK
from game.replacing import Progress
from server.desk.amounts import SCALES, in_units, shown, thing, title
from server.desk.changing import is_of_session
from server.desk.errors import NotBegun
from server.desk.importing import progress_in
from server.desk.showing import Difference, present, replaced

if TYPE_CHECKING:
    from collections.abc import Mapping

    from game.catalogue import Catalogue
    from server.desk.orders import Order


def preview(
    kept: Mapping[str, Any], order: Order, entry: Mapping[str, Any] | None, catalogue: Catalogue
) -> list[Difference]:
    """Say what an order would change of a player as `kept` says; `entry`: what it would take back.

    The player may play on meanwhile: what counts is what is there when the order is carried out. Raises
    NotBegun, as the order itself would.
    """
    match order.command:
        case "give" | "take":
            what = thing(order.what, catalogue)
            amount = in_units(what, order.amount)
            return [_amount(kept, what, -amount if order.command == "take" else amount, catalogue)]
        case "set-rank":
            return [Difference(RANK, shown(RANK, present(kept).get(RANK)), str(order.rank))]
        case "import" | "restore-from":
            own = kept["account"]["user_id"] if order.command == "restore-from" else None
            return replaced(_progress(kept), progress_in(order.export, only_of=own), catalogue)
        case "undo":
            return _undone(kept, entry, catalogue)
        case "rename":
            return [Difference("name", kept["account"]["display_name"] or "—", order.name)]
        case "delete":
            return [Difference("account", str(kept["account"]["user_id"]), "—")]
        case "log-out":
            return [Difference("log-ins", str(live_log_ins(kept)), "0")]
        case _:
            return [_access(kept, order)]


def live_log_ins(kept: Mapping[str, Any]) -> int:
    """Count the log-ins that have not ended."""
    return sum(family["revoked_at"] is None for family in kept["log_ins"])


def _amount(kept: Mapping[str, Any], what: str, by: float, catalogue: Catalogue) -> Difference:
    session = present(kept)
    if not session:
        raise NotBegun("the player has never played")
    of_field = what in SCALES
    before = float(session[what] if of_field else session["bought"].get(what, 0))
    return Difference(title(what, catalogue), shown(what, before), shown(what, before + by))


def _progress(kept: Mapping[str, Any]) -> Progress:
    session = present(kept)
    if not session:
        raise NotBegun("the player has never played")
    try:
        return Progress.read(session)
    except ValueError as error:
        raise NotBegun(f"the session that is there cannot be compared: {error}") from error


def _undone(
    kept: Mapping[str, Any], entry: Mapping[str, Any] | None, catalogue: Catalogue
) -> list[Difference]:
    if entry is None:
        raise NotBegun("there is no such change of this player")
    if entry["session_found"] is not None:
        return replaced(_progress(kept), Progress.read(entry["session_found"]), catalogue)
    what = str(entry["what"])
    if not is_of_session(what):
        raise NotBegun(f"change {entry['number']} cannot be taken back: {entry['outcome']} {what}")
    if what == RANK:
        return [Difference(RANK, shown(RANK, present(kept).get(RANK)), shown(RANK, entry["before"]))]
    return [_amount(kept, what, -float(entry["amount"]), catalogue)]


def _access(kept: Mapping[str, Any], order: Order) -> Difference:
    """Say what changes of the access; the page has words for what stands there."""
    if order.command == "reset-link":
        return Difference("link", "—", "30 min")
    suspended = "suspended" if kept["suspensions"] else "plays"
    if order.command == "unsuspend":
        return Difference("access", suspended, "plays")
    ends = "without end" if order.seconds is None else f"suspended {_span(order.seconds)}"
    return Difference("access", suspended, ends)


def _span(seconds: int) -> str:
    days, rest = divmod(seconds, 86_400)
    hours, rest = divmod(rest, 3600)
    parts = ((days, "d"), (hours, "h"), (rest // 60, "min"))
    return " ".join(f"{number} {unit}" for number, unit in parts if number)
