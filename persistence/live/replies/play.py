"""Replies of the scripts that players' requests call.

Each type is a tuple that starts with the reply's status, so that hiredis' list becomes one without being cut
or copied twice: `tuple.__new__` took 0.4 µs where a frozen dataclass took 2.1. Amounts are integers below
2^53 and decimal text beyond; in a publication they are text.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeAlias

from persistence.live.replies.status import Status

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

Amount: TypeAlias = int | bytes
"""A whole number, or a fixed-point amount as whole parts: an integer, or decimal text."""


class Cooked(NamedTuple):
    """`cook` was applied, or is a duplicate (`applied` is 0 then)."""

    status: bytes
    version: int
    dishes: Amount
    xp: Amount
    applied: Amount


class Sold(NamedTuple):
    """`sell` was applied, or is a duplicate (`applied` is 0 then)."""

    status: bytes
    version: int
    dishes: Amount
    money: Amount
    xp: Amount
    applied: Amount


class Bought(NamedTuple):
    """`upgrade_buy` was applied, or is a duplicate (`applied` is 0 then).

    `passive`: 1 when the player has passive income now.
    """

    status: bytes
    version: int
    money: Amount
    xp: Amount
    id: Amount
    times_bought: Amount
    passive: int
    applied: Amount


class RankRaised(NamedTuple):
    """`level_up` raised the rank, or is a duplicate. `next`: xp of the rank after, 0: none follows."""

    status: bytes
    version: int
    rank: Amount
    xp: Amount
    next: Amount


class RankUnchanged(NamedTuple):
    """`level_up` found too little xp. `paid`: 1 when income was paid first, as `income` tells it."""

    status: bytes
    version: int
    rank: Amount
    xp: Amount
    paid: int
    money: Amount
    dishes: Amount
    accumulated: Amount

    @property
    def income(self) -> Income:
        """What the player's other connections are sent when income was paid."""
        return Income(
            self.status, self.version, self.money, self.dishes, self.rank, self.xp, self.accumulated
        )


class Reset(NamedTuple):
    """`session_reset` was applied, or is a duplicate."""

    status: bytes
    version: int
    money: Amount
    dishes: Amount
    rank: Amount
    xp: Amount
    stars: Amount
    boost: Amount
    accumulated: Amount


class Income(NamedTuple):
    """What passive income leaves: a `passive` publication, or a part of a reply that paid income."""

    status: bytes
    version: int
    money: Amount
    dishes: Amount
    rank: Amount
    xp: Amount
    accumulated: Amount

    @property
    def amounts(self) -> tuple[float, ...]:
        """What income changes, as numbers."""
        return float(self.money), float(self.dishes), float(self.xp), float(self.accumulated)


def _income_of(paid: Accrued | GoldenGuest) -> Income:
    return Income(paid.status, paid.version, paid.money, paid.dishes, paid.rank, paid.xp, paid.accumulated)


class Accrued(NamedTuple):
    """`passive` paid income up to now. `changed`: 1 when an amount changed."""

    status: bytes
    version: int
    money: Amount
    dishes: Amount
    rank: Amount
    xp: Amount
    accumulated: Amount
    changed: int

    @property
    def income(self) -> Income:
        """What the player's other connections are sent when an amount changed."""
        return _income_of(self)


class GoldenGuest(NamedTuple):
    """`golden_guest` served a guest for a `gain`, or was only asked, or is a duplicate (`gain` is 0 then).

    `changed`: 1 when an amount changed. `id` is who waits or comes next: in `comes_in_ms`, 0 where the guest
    is here.
    """

    status: bytes
    version: int
    money: Amount
    dishes: Amount
    rank: Amount
    xp: Amount
    accumulated: Amount
    changed: int
    gain: Amount
    id: int
    comes_in_ms: int
    leaves_in_ms: int

    @property
    def income(self) -> Income:
        """What the player's other connections are sent when an amount changed."""
        return _income_of(self)


class SessionShown(NamedTuple):
    """`session` read the whole session, with income paid first.

    `off_seconds`, `off_money`, `off_dishes`, `off_xp` and `off_stars` were earned in long gaps, of
    `off_away_seconds` in all, and are shown once; all are 0 where there is nothing to show. `paid`: 1 when
    income was paid, as `income` tells it. `passive`: 1 when the player has passive income.
    """

    status: bytes
    version: int
    saved: int
    email: bytes
    money: Amount
    dishes: Amount
    rank: Amount
    xp: Amount
    stars: Amount
    boost: Amount
    accumulated: Amount
    bought: bytes
    last_seq: Amount
    off_seconds: Amount
    off_money: Amount
    off_dishes: Amount
    off_xp: Amount
    off_away_seconds: Amount
    off_stars: Amount
    paid: int
    passive: int

    @property
    def income(self) -> Income:
        """What the player's other connections are sent when income was paid."""
        return Income(
            self.status, self.version, self.money, self.dishes, self.rank, self.xp, self.accumulated
        )


class Achieved(NamedTuple):
    """`achieve` recorded what was `newly` reached: `id,id,…`, empty when nothing was."""

    status: bytes
    version: int
    newly: bytes


class Adjusted(NamedTuple):
    """`adjust` changed one thing for an operator, from `before` to `after`."""

    status: bytes
    version: int
    before: Amount
    after: Amount


class AdjustedBefore(NamedTuple):
    """`adjust` or `replace` made the change of this number earlier; the session is at `version` by now."""

    status: bytes
    version: int


class OutOfRange(NamedTuple):
    """`adjust` refused: the rules don't allow what would become of `before`."""

    status: bytes
    before: Amount


class Replaced(NamedTuple):
    """`replace` put progress in the place of what it `found`: a text of `persistence.live.progress_text`."""

    status: bytes
    version: int
    found: bytes


class NotAllowed(NamedTuple):
    """`replace` refused: the rules allow no such `what`, a number's name or the id of an upgrade."""

    status: bytes
    what: bytes


class Refreshed(NamedTuple):
    """`refresh` derived the rates again. `passive`: 1 when the player has passive income."""

    status: bytes
    version: int
    passive: int


class Missing(NamedTuple):
    """Redis has no such session: load it and call again."""

    status: bytes


class Stale(NamedTuple):
    """The session holds under another `stamp` than the caller's: refresh it and call again."""

    status: bytes
    stamp: bytes


class Behind(NamedTuple):
    """`refresh` was called with an older catalogue than the session's `stamp`: reload it and call again."""

    status: bytes
    stamp: bytes


class Refused(NamedTuple):
    """The rules refuse the command, and the status says all: no_dish, no_dishes, upgrade_not_found, …."""

    status: bytes


class SeqTooOld(NamedTuple):
    """The client's number is 64 or more below its `highest`."""

    status: bytes
    highest: int


class RateLimited(NamedTuple):
    """No click may pass for `retry_after_ms`."""

    status: bytes
    retry_after_ms: int


class UpgradeLocked(NamedTuple):
    """The upgrade needs rank `level`."""

    status: bytes
    level: int


class NotEnoughMoney(NamedTuple):
    """The player has `have`, the upgrade costs `need`."""

    status: bytes
    have: Amount
    need: Amount


Change: TypeAlias = Cooked | Sold | Bought | RankRaised | Reset | Income | Accrued | GoldenGuest
"""A change of state that is sent to the player's other connections."""

NotExecuted: TypeAlias = Missing | Stale
"""The command was not executed: recover, then send it again."""

RefusalReply: TypeAlias = Refused | SeqTooOld | RateLimited | UpgradeLocked | NotEnoughMoney
"""The command changed nothing: answer with an error of the game."""

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
