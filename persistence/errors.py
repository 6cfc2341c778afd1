"""What callers of the persistence layer have to expect besides a reply."""

from __future__ import annotations


class Unavailable(Exception):  # noqa: N818 - named after its wire code
    """Redis or the cold load failed: answer `unavailable`. `maybe_applied`: sent, and its reply was lost."""

    def __init__(self, why: str, *, maybe_applied: bool = False) -> None:
        super().__init__(why)
        self.maybe_applied = maybe_applied


class NoSession(Exception):  # noqa: N818 - named after its wire code
    """The player never had a session: answer `session required`."""
