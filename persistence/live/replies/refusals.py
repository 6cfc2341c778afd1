"""Replies of the same scripts as in `play`, where a command changed nothing: refused, or not executed."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, TypeAlias

if TYPE_CHECKING:
    from persistence.live.replies.play import Amount


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


NotExecuted: TypeAlias = Missing | Stale
"""The command was not executed: recover, then send it again."""

RefusalReply: TypeAlias = Refused | SeqTooOld | RateLimited | UpgradeLocked | NotEnoughMoney
"""The command changed nothing: answer with an error of the game."""
