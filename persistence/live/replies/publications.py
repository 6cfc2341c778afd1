"""Publications on a player's channel: words joined by spaces, `origin kind version …`.

What follows the kind is what the reply of that command says, so both share a type; the kind stands in the
place of the status.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias

from persistence.live.replies.play import (
    Accrued,
    Bought,
    Change,
    Cooked,
    GoldenGuest,
    Income,
    RankRaised,
    Reset,
    Sold,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

ALL_FAMILIES: Final = "*"
"""In place of a family: every connection of the player must close."""


class FamilyRevoked(NamedTuple):
    """A `revoked` publication: the connections of `family` must close, or all (`ALL_FAMILIES`)."""

    status: bytes
    version: int
    family: bytes


class NewlyAchieved(NamedTuple):
    """An `achieved` publication: `newly` is `id,id,…`."""

    status: bytes
    version: int
    newly: bytes


class Reloaded(NamedTuple):
    """A `reloaded` publication: the session was replaced, so every connection needs a snapshot."""

    status: bytes
    version: int


Publication: TypeAlias = Change | FamilyRevoked | NewlyAchieved | Reloaded

PUBLICATION_SHAPES: Final[Mapping[bytes, type[Publication]]] = {
    b"cook": Cooked,
    b"sell": Sold,
    b"upgrade_buy": Bought,
    b"level_up": RankRaised,
    b"session_reset": Reset,
    b"passive": Income,
    b"revoked": FamilyRevoked,
    b"achieved": NewlyAchieved,
    b"reloaded": Reloaded,
}
"""By kind."""

KIND_OF_CHANGE: Final[Mapping[type[Change], str]] = {
    Cooked: "cook",
    Sold: "sell",
    Bought: "upgrade_buy",
    RankRaised: "level_up",
    Reset: "session_reset",
    Income: "passive",
    Accrued: "passive",
    GoldenGuest: "passive",
}
"""The `request_type` of the message that tells a player's other connections of a change."""


def publication_of(words: Sequence[bytes]) -> Publication | None:
    """Name a publication's words, without the origin; None for a kind that this release does not know.

    `version` and `passive` are integers as in a reply, amounts decimal text. Raises ValueError when the words
    don't fit the kind.
    """
    kind, version, *rest = words
    shape = PUBLICATION_SHAPES.get(kind)
    if shape is None:
        return None
    try:
        found = shape._make((kind, int(version), *rest))
    except TypeError as error:
        raise ValueError(f"a publication of {len(rest)} words after {kind!r} and its version") from error
    return found._replace(passive=int(found.passive)) if isinstance(found, Bought) else found


def revoked_text(origin: str, family: str) -> str:
    """Write the publication that closes a family's connections."""
    return f"{origin} revoked 0 {family}"
