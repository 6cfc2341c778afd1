"""Where the commands on sessions get what they do not have: the catalogue, and sessions that Redis lacks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from game.catalogue import Catalogue
    from persistence.live.session_ref import SessionRef


class ColdStore(Protocol):
    """Brings sessions that Redis lacks, or holds in an older state, from PostgreSQL."""

    async def load(self, ref: SessionRef, *, create: bool) -> bool:
        """Load a session, or create one; False when the player never had one. Raises StorageUnavailable."""

    async def verify(self, ref: SessionRef) -> None:
        """Replace the session in Redis where PostgreSQL has a newer one. Raises StorageUnavailable."""


class CatalogueSource(Protocol):
    """Knows the catalogue in force."""

    current: Catalogue

    async def reload(self) -> None:
        """Read the catalogue again, since a newer one was met. Raises StorageUnavailable."""
