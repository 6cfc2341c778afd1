"""The catalogue as the scripts take it: packed into a few texts. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from game.catalogue import UpgradeType

if TYPE_CHECKING:
    from game.catalogue import Catalogue


def packed_boosts(catalogue: Catalogue) -> str:
    """Pack what each upgrade raises for `refresh`: `id:boost_type:value_hundredths:is_dish,…`."""
    return ",".join(
        f"{u.id}:{u.boost.boost_type}:{u.boost.value_hundredths}:{int(u.upgrade_type is UpgradeType.DISH)}"
        for u in catalogue.upgrades
    )


def packed_levels(catalogue: Catalogue) -> str:
    """Pack the xp of ranks 1 to the last, comma-separated."""
    _, *needed = catalogue.level_xp
    return ",".join(map(str, needed))


def packed_changes(catalogue: Catalogue) -> str:
    """Pack since when generations hold: `generation:ms,…`."""
    return ",".join(f"{generation}:{since_ms}" for generation, since_ms in catalogue.changes)
