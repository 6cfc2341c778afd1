"""Why an operator's order was not begun."""

from __future__ import annotations


class NotBegun(Exception):  # noqa: N818 - what became of the order
    """Nothing was begun, and nothing is in the log; the text is one line that says why, for the operator."""


class NotUnderstood(NotBegun):
    """An operator's words name nothing; the text says what may stand there."""


class NoPlayer(NotBegun):
    """There is no such player, or no longer."""
