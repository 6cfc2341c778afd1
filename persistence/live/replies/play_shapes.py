"""Of which type a reply to a player's request or a tick is: by the script and the reply's first word."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, TypeAlias

from persistence.live.replies.play import (
    Accrued,
    Achieved,
    Adjusted,
    AdjustedBefore,
    Bought,
    Cooked,
    GoldenGuest,
    NotAllowed,
    OutOfRange,
    RankRaised,
    RankUnchanged,
    Refreshed,
    Replaced,
    Reset,
    SessionShown,
    Sold,
)
from persistence.live.replies.refusals import (
    Behind,
    Missing,
    NotEnoughMoney,
    NotExecuted,
    RateLimited,
    RefusalReply,
    Refused,
    SeqTooOld,
    Stale,
    UpgradeLocked,
)
from persistence.live.replies.status import Status

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

PlayReply: TypeAlias = (
    Cooked
    | Sold
    | Bought
    | RankRaised
    | RankUnchanged
    | Reset
    | Accrued
    | GoldenGuest
    | SessionShown
    | Achieved
    | Adjusted
    | AdjustedBefore
    | OutOfRange
    | Replaced
    | NotAllowed
    | Refreshed
    | NotExecuted
    | Behind
    | RefusalReply
)

Shapes: TypeAlias = "Mapping[bytes, type[PlayReply]]"
"""The type of a script's reply by its status."""

_MISSING_OR_STALE: Final[Mapping[bytes, type[PlayReply]]] = {Status.MISSING: Missing, Status.STALE: Stale}

_UNAPPLIED_COOK: Final[Mapping[bytes, type[PlayReply]]] = {
    Status.DUPLICATE: Cooked,
    Status.SEQ_TOO_OLD: SeqTooOld,
    Status.NO_DISH: Refused,
    Status.RATE_LIMITED: RateLimited,
    **_MISSING_OR_STALE,
}
_UNAPPLIED_SELL: Final[Mapping[bytes, type[PlayReply]]] = {
    Status.DUPLICATE: Sold,
    Status.SEQ_TOO_OLD: SeqTooOld,
    Status.NO_DISHES: Refused,
    Status.RATE_LIMITED: RateLimited,
    **_MISSING_OR_STALE,
}

PLAY_SHAPES: Final[Mapping[str, Shapes]] = {
    "cook": {Status.OK: Cooked, **_UNAPPLIED_COOK},
    "cooks": _UNAPPLIED_COOK,
    "sell": {Status.OK: Sold, **_UNAPPLIED_SELL},
    "sells": _UNAPPLIED_SELL,
    "upgrade_buy": {
        Status.OK: Bought,
        Status.DUPLICATE: Bought,
        Status.SEQ_TOO_OLD: SeqTooOld,
        Status.UPGRADE_NOT_FOUND: Refused,
        Status.UPGRADE_LOCKED: UpgradeLocked,
        Status.NOT_ENOUGH_MONEY: NotEnoughMoney,
        **_MISSING_OR_STALE,
    },
    "level_up": {
        Status.OK: RankRaised,
        Status.DUPLICATE: RankRaised,
        Status.UNCHANGED: RankUnchanged,
        Status.SEQ_TOO_OLD: SeqTooOld,
        **_MISSING_OR_STALE,
    },
    "session_reset": {
        Status.OK: Reset,
        Status.DUPLICATE: Reset,
        Status.SEQ_TOO_OLD: SeqTooOld,
        Status.NOT_ENOUGH_PRESTIGE: Refused,
        **_MISSING_OR_STALE,
    },
    "passive": {Status.OK: Accrued, **_MISSING_OR_STALE},
    "golden_guest": {
        Status.OK: GoldenGuest,
        Status.DUPLICATE: GoldenGuest,
        Status.NO_GOLDEN_GUEST: Refused,
        Status.NO_DISH: Refused,
        **_MISSING_OR_STALE,
    },
    "session": {Status.OK: SessionShown, **_MISSING_OR_STALE},
    "achieve": {Status.OK: Achieved, **_MISSING_OR_STALE},
    "adjust": {
        Status.OK: Adjusted,
        Status.DUPLICATE: AdjustedBefore,
        Status.OUT_OF_RANGE: OutOfRange,
        Status.UPGRADE_NOT_FOUND: Refused,
        Status.SEQ_TOO_OLD: SeqTooOld,
        **_MISSING_OR_STALE,
    },
    "replace": {
        Status.OK: Replaced,
        Status.DUPLICATE: AdjustedBefore,
        Status.OUT_OF_RANGE: NotAllowed,
        Status.SEQ_TOO_OLD: SeqTooOld,
        **_MISSING_OR_STALE,
    },
    "refresh": {Status.OK: Refreshed, Status.MISSING: Missing, Status.BEHIND: Behind},
}
"""By script."""

_new = tuple.__new__


def play_reply(shapes: Shapes, reply: Sequence[Any]) -> PlayReply:
    """Name what a script replied, by the shapes of `PLAY_SHAPES`.

    Lengths are not compared: a script is called by its SHA, so its head, held against its body, is right.
    Raises KeyError for a status that the script does not have.
    """
    # By number: it is the status that names all others, and unpacking it would copy the reply of each click.
    return _new(shapes[reply[0]], reply)
