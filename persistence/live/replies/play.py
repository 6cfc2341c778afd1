"""Replies of the scripts that players' requests call.

Each type is a tuple that starts with the reply's status, so that hiredis' list becomes one without being cut
or copied twice: `tuple.__new__` took 0.4 µs where a frozen dataclass took 2.1. Amounts are integers below
2^53 and decimal text beyond; in a publication they are text.
"""

from __future__ import annotations

from typing import NamedTuple, TypeAlias

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


Change: TypeAlias = Cooked | Sold | Bought | RankRaised | Reset | Income | Accrued | GoldenGuest
"""A change of state that is sent to the player's other connections."""
