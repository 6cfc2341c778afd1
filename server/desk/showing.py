"""A player, and what changed, as texts by name: commands print them, pages show them. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

from game.replacing import NUMBERS
from server.desk.amounts import SCALES, shown, title
from server.desk.importing import progress_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from game.catalogue import Catalogue
    from game.replacing import Progress
    from server.desk.changing import Made

_COUNTS: Final = ("clicks", "cooked", "earned", "purchases", "resets")
_NONE: Final = "—"


class Row(NamedTuple):
    """One thing of a session as Redis has it next to what PostgreSQL has."""

    name: str
    live: str
    saved: str


class Difference(NamedTuple):
    """One thing that changes, or would."""

    what: str
    before: str
    after: str


def session_rows(kept: Mapping[str, Any]) -> Iterator[Row]:
    """Show the numbers of a session of an export; nothing where there is none, or none can be read."""
    live, saved = readable(kept["live"]), readable(kept["saved"])
    if live is None and saved is None:
        return
    for name in (*SCALES, "rank", *_COUNTS, "version"):
        texts = (_NONE if part is None else shown(name, part.get(name)) for part in (live, saved))
        yield Row(name, *texts)


def readable(session: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
    """Return a session of an export; None where there is none, or it cannot be read."""
    return None if session is None or "unreadable" in session else session


def present(kept: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the newest session of an export; empty where there is none that can be read."""
    return readable(kept["live"]) or readable(kept["saved"]) or {}


def owned(kept: Mapping[str, Any], catalogue: Catalogue) -> dict[str, int]:
    """Name what the player owns, and how often."""
    bought: Mapping[str, int] = present(kept).get("bought", {})
    return {title(what, catalogue): times for what, times in bought.items()}


def last_used(family: Mapping[str, Any]) -> Any:
    """Say when a log-in of an export was last used."""
    return max((token["issued_at"] for token in family["refresh_tokens"]), default=family["created_at"])


def differences_of(made: Made, catalogue: Catalogue) -> list[Difference]:
    """Say what a change changed; empty where that is not known."""
    what = made.wish.what
    if made.wish.session is not None:
        return [] if made.found is None else replaced(made.found, progress_of(made.wish.session), catalogue)
    if made.before is None or made.after is None:
        return []
    return [Difference(title(what, catalogue), shown(what, made.before), shown(what, made.after))]


def replaced(found: Progress, given: Progress, catalogue: Catalogue) -> list[Difference]:
    """Say what an import changes; what stays the same is left out."""
    changed = [
        Difference(name, shown(name, getattr(found, name)), shown(name, getattr(given, name)))
        for name in NUMBERS
        if getattr(found, name) != getattr(given, name)
    ]
    for upgrade in sorted({*found.bought, *given.bought}):
        times = found.bought.get(upgrade, 0), given.bought.get(upgrade, 0)
        if len(set(times)) > 1:
            changed.append(Difference(title(str(upgrade), catalogue), *map(str, times)))
    if found.achieved != given.achieved:
        changed.append(Difference("achievements", str(len(found.achieved)), str(len(given.achieved))))
    return changed
