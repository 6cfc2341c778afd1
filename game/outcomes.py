"""What the rules answer, one class for each reply of a script; fields in the order of the reply.

`duplicate` marks a seq that was applied before: the answer shows the present state, nothing changed but for
income that was due; `paid` says whether that changed an amount.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from game.session import Offline


@dataclass(frozen=True, slots=True)
class Cooked:
    """After `cook`."""

    version: int
    dishes: float
    xp: float
    applied: int
    duplicate: bool = False
    paid: bool = False


@dataclass(frozen=True, slots=True)
class Sold:
    """After `sell`."""

    version: int
    dishes: float
    money: float
    xp: float
    applied: int
    duplicate: bool = False
    paid: bool = False


@dataclass(frozen=True, slots=True)
class Bought:
    """After `upgrade_buy`. `passive`: whether there is income without a click; `applied` were bought."""

    version: int
    money: float
    xp: float
    id: int
    times_bought: int
    passive: bool
    applied: int
    duplicate: bool = False
    paid: bool = False


@dataclass(frozen=True, slots=True)
class Risen:
    """After a `level_up` that raised the rank. `next_need`: xp for the rank after, 0 when none follows."""

    version: int
    rank: int
    xp: float
    next_need: float
    duplicate: bool = False
    paid: bool = False


@dataclass(frozen=True, slots=True)
class Unrisen:
    """After a `level_up` without enough xp, or at the last rank. `paid`: whether income changed an amount."""

    version: int
    rank: int
    xp: float
    paid: bool
    money: float
    dishes: float
    accumulated: float


@dataclass(frozen=True, slots=True)
class Reset:
    """After `session_reset`."""

    version: int
    money: float
    dishes: float
    rank: int
    xp: float
    stars: float
    boost: float
    accumulated: float
    duplicate: bool = False
    paid: bool = False


@dataclass(frozen=True, slots=True)
class Paid:
    """After `passive`. `changed`: whether income changed an amount."""

    version: int
    money: float
    dishes: float
    rank: int
    xp: float
    accumulated: float
    changed: bool


@dataclass(frozen=True, slots=True)
class Shown:
    """After `session`: what the session itself does not say.

    `offline`: what gaps of 10 s or more earned and nobody was shown yet.
    """

    version: int
    last_seq: int
    offline: Offline | None
    paid: bool
    passive: bool


@dataclass(frozen=True, slots=True)
class Refreshed:
    """After `refresh`. `pays`: whether there is income, or was until now."""

    version: int
    passive: bool
    pays: bool


@dataclass(frozen=True, slots=True)
class Achieved:
    """After `achieve`: ids newly reached, ascending."""

    version: int
    newly: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class GoldenGuest(Paid):
    """After `golden_guest`, which pays income first. `gain`: what the guest paid.

    `id` is the guest who waits or comes next: in `comes_in_ms`, 0 where the guest is here.
    """

    gain: float
    id: int
    comes_in_ms: int
    leaves_in_ms: int
    duplicate: bool = False
