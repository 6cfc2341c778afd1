"""The first word of a script's reply: how the call ended."""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


class Status(bytes, Enum):
    """Every status that a script replies; equal to the word as hiredis gives it."""

    # The commands of players.
    OK = b"ok"
    DUPLICATE = b"duplicate"
    UNCHANGED = b"unchanged"
    # Not executed: the session must be loaded or refreshed first.
    MISSING = b"missing"
    STALE = b"stale"
    BEHIND = b"behind"
    # Refused: nothing was written.
    SEQ_TOO_OLD = b"seq_too_old"
    RATE_LIMITED = b"rate_limited"
    NO_DISH = b"no_dish"
    NO_DISHES = b"no_dishes"
    UPGRADE_NOT_FOUND = b"upgrade_not_found"
    UPGRADE_LOCKED = b"upgrade_locked"
    NOT_ENOUGH_MONEY = b"not_enough_money"
    NOT_ENOUGH_PRESTIGE = b"not_enough_prestige"
    NO_GOLDEN_GUEST = b"no_golden_guest"
    OUT_OF_RANGE = b"out_of_range"
    # What became of a session, a mark or an attempt.
    LOADED = b"loaded"
    EXISTS = b"exists"
    UNCLAIMED = b"unclaimed"
    CLEAN = b"clean"
    DIRTY = b"dirty"
    GONE = b"gone"
    DELETED = b"deleted"
    CHANGED = b"changed"
    AHEAD = b"ahead"
    SUSPECTED = b"suspected"
    MARKED = b"marked"
    REVOKED = b"revoked"
    COUNTED = b"counted"
    REFUSED = b"refused"
    UNREADABLE = b"unreadable"


_BY_WORD: Final[Mapping[bytes, Status]] = {status.value: status for status in Status}


def statuses_of(words: Sequence[bytes]) -> list[Status]:
    """Read a reply that is a list of statuses; raises ValueError for a word that no script replies."""
    try:
        return [_BY_WORD[word] for word in words]
    except KeyError as error:
        (word,) = error.args
        raise ValueError(f"no script replies {word!r}") from error
