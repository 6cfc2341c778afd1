"""What a call replies in which several players click: words one after the other, so many for each player.

A list for each player, with a status, costs Redis a tenth of what a click takes there: Lua makes it, and
Redis asks whether it is an error, a map or something else before it writes it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

from persistence.live.replies.status import Status

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from persistence.live.replies.play import Amount

_OK: Final = Status.OK.value


class AppliedCook(NamedTuple):
    """A player's part of what `cooks` replies, where the cook was applied."""

    version: int
    dishes: Amount
    xp: Amount
    applied: Amount


class AppliedSell(NamedTuple):
    """A player's part of what `sells` replies, where the sell was applied."""

    version: int
    dishes: Amount
    money: Amount
    xp: Amount
    applied: Amount


class Clicks(NamedTuple):
    """What such a call replies: so many words for each player."""

    clicks: Sequence[Any]


CLICK_LISTS: Final[Mapping[str, Mapping[str, type[Clicks | AppliedCook | AppliedSell]]]] = {
    "cooks": {"": Clicks, "click": AppliedCook},
    "sells": {"": Clicks, "click": AppliedSell},
}
"""Replies that start with no status, by script."""


def _cooks(reply: Sequence[Any]) -> list[Any]:
    words = iter(reply)
    return [
        [_OK, version, dishes, xp, applied] if version.__class__ is int else version
        for version, dishes, xp, applied in zip(words, words, words, words, strict=True)
    ]


def _sells(reply: Sequence[Any]) -> list[Any]:
    words = iter(reply)
    return [
        [_OK, version, dishes, money, xp, applied] if version.__class__ is int else version
        for version, dishes, money, xp, applied in zip(words, words, words, words, words, strict=True)
    ]


REPLIES_OF_CLICKS: Final[Mapping[str, Callable[[Sequence[Any]], list[Any]]]] = {
    "cook": _cooks,
    "sell": _sells,
}
"""By kind: makes of such a reply what each player's own `cook` or `sell` would have replied, or its error.

Who was refused has that reply, or the error, in place of the version.
"""
