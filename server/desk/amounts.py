"""Amounts as an operator writes and reads them, and the units in which a session keeps them."""

from __future__ import annotations

import math
import re
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Final

from game.adjusting import RANK
from game.catalogue import UpgradeId
from server.desk.errors import NotUnderstood

if TYPE_CHECKING:
    from collections.abc import Mapping

    from game.catalogue import Catalogue

SCALES: Final[Mapping[str, int]] = {
    "money": 1,
    "dishes": 1,
    "xp": 100,
    "stars": 10_000,
    "accumulated": 10_000,
    "boost": 10,
}
"""How many of a session's units make one that people read, by the field's name."""


def in_units(what: str, text: str) -> float:
    """Read an amount into the unit of its field; raises NotUnderstood for what is none, or is too fine."""
    # Decimal would also take "1_000", spaces around it, and the digits of other scripts.
    if re.fullmatch(r"[0-9.]{1,400}([eE][+-]?[0-9]{1,3})?", text) is None:
        raise NotUnderstood(f"{text!r} is no amount")
    try:
        amount = Decimal(text) * SCALES.get(what, 1)
        units = float(amount)
    except (InvalidOperation, OverflowError) as error:
        raise NotUnderstood(f"{text!r} is no amount") from error
    if not math.isfinite(units) or amount <= 0 or amount != amount.to_integral_value():
        scale = SCALES.get(what, 1)
        finest = "whole" if scale == 1 else f"a multiple of {Decimal(1) / scale}"
        raise NotUnderstood(f"an amount of {what} is above 0 and {finest}, not {text!r}")
    return units


def shown(what: str, units: float | None) -> str:
    """Write what a session keeps as people read it."""
    if units is None:
        return "not known"
    scale = SCALES.get(what, 1)
    return format(Decimal(repr(float(units))) / scale, "f" if units < 2**53 else "g").removesuffix(".0")


def thing(word: str, catalogue: Catalogue) -> str:
    """Find a field of SCALES, or an upgrade by its id or icon name; raises NotUnderstood."""
    if word in SCALES:
        return word
    for upgrade in catalogue.upgrades:
        if word in (str(upgrade.id), upgrade.icon_name):
            return str(upgrade.id)
    raise NotUnderstood(f"{word!r} is none of {', '.join(SCALES)}, and no id or icon name of an upgrade")


def title(what: str, catalogue: Catalogue) -> str:
    """Name a thing for people."""
    if what in SCALES or what == RANK or not what.isdecimal():
        return what
    upgrade = catalogue.by_id.get(UpgradeId(int(what)))
    return f"upgrade {what}" if upgrade is None else f"{upgrade.icon_name} (upgrade {what})"
