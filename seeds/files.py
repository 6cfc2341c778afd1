"""The data files of the catalogue: read, and checked against the rules before anything is written."""

from __future__ import annotations

import json
from collections import Counter
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from game.catalogue import BoostType, Catalogue, UpgradeType
from persistence.durable.catalogue import UpgradeEntry, catalogue_of_entries

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_FOLDER: Final = Path(__file__).parent
UPGRADES: Final = _FOLDER / "upgrades.json"
LEVELS: Final = _FOLDER / "levels.json"
_ICONS: Final = _FOLDER / "icons.json"

RANKS: Final = 100
_MAX_PRICE: Final = 10**15  # a price and its first multiples stay exact doubles
_MAX_PRICE_FACTOR: Final = 1000
_MAX_BOOST_VALUE: Final = 10**9
_ONE: Final = 100  # in hundredths
_MULTIPLIERS: Final = frozenset(
    {
        BoostType.DISH_MULTIPLIER,
        BoostType.MONEY_MULTIPLIER,
        BoostType.PASSIVE_DISH_MULTIPLIER,
        BoostType.PASSIVE_MONEY_MULTIPLIER,
    }
)
_PASSIVE: Final = frozenset({BoostType.DISHES_PER_SECOND, BoostType.MONEY_PER_SECOND})
# Existing clients draw the places of business by these ids, and their tutorial buys the sandwich first.
_FIXED_ICONS: Final = {
    1: "sandwich",
    45: "food_truck",
    46: "small_cafe",
    47: "family_restaurant",
    48: "gastro_restaurant",
}


class SeedFileError(Exception):
    """A data file cannot be used; `faults` says why, a line each. Correct the file and run again."""

    def __init__(self, path: Path, faults: Sequence[str]) -> None:
        super().__init__("; ".join(faults))
        self.faults = tuple(f"{path.name}: {fault}" for fault in faults)


def read_upgrades(path: Path = UPGRADES) -> tuple[UpgradeEntry, ...]:
    """Read and check all upgrades of a file, in its order; raises SeedFileError with every fault found."""
    entries: list[UpgradeEntry] = []
    faults: list[str] = []
    for number, values in enumerate(_read_list(path), start=1):
        try:
            entries.append(_entry(values))
        except ValueError as error:
            faults.append(f"entry {number}: {error}")
    if not faults:
        faults.extend(_faults_of_upgrades(entries))
    if faults:
        raise SeedFileError(path, faults)
    return tuple(entries)


def read_levels(path: Path = LEVELS) -> tuple[int, ...]:
    """Read and check the xp of ranks 1 to 100, in order; raises SeedFileError with every fault found."""
    xps: list[int] = []
    faults: list[str] = []
    for number, values in enumerate(_read_list(path), start=1):
        try:
            rank, xp = _whole(values, "rank", 1, RANKS), _whole(values, "xp", 1, 10**9)
        except ValueError as error:
            faults.append(f"entry {number}: {error}")
            continue
        if rank != number:
            faults.append(f"entry {number}: rank is {rank}, ranks stand in order and each once")
        elif xps and xp <= xps[-1]:
            faults.append(f"rank {rank}: xp {xp} is not more than the {xps[-1]} of the rank before")
        xps.append(xp)
    if not faults and len(xps) != RANKS:
        faults.append(f"{len(xps)} ranks, there are {RANKS}")
    if faults:
        raise SeedFileError(path, faults)
    return tuple(xps)


def read_catalogue(language: str = "ru", upgrades: Path = UPGRADES, levels: Path = LEVELS) -> Catalogue:
    """Read both files as a catalogue of generation 0, without a database; raises SeedFileError."""
    return catalogue_of_entries(read_upgrades(upgrades), read_levels(levels), language, generation=0)


def _read_list(path: Path) -> list[Any]:
    try:
        values = json.loads(path.read_text(encoding="utf-8"), parse_float=Decimal)
    except OSError as error:
        raise SeedFileError(path, [f"cannot be read: {error.strerror}"]) from error
    except ValueError as error:
        raise SeedFileError(path, [f"is not JSON: {error}"]) from error
    if not isinstance(values, list):
        raise SeedFileError(path, ["is not a list of entries"])
    return values


def _entry(values: Any) -> UpgradeEntry:
    upgrade_type = UpgradeType(_text(values, "upgrade_type"))
    boost_type = BoostType(_text(values, "boost_type"))
    value_hundredths = _number(values, "value", Decimal("0.01"), _MAX_BOOST_VALUE) * 100
    if value_hundredths != int(value_hundredths):
        raise ValueError(f"value {values['value']} has more than two decimals")
    if (
        unknown := values.keys() - {*UpgradeEntry.__dataclass_fields__, "value"}
        or {"value_hundredths"} & values.keys()
    ):
        raise ValueError(f"unknown field {min(unknown)}")
    return UpgradeEntry(
        id=_whole(values, "id", 1, 2**31 - 1),
        icon_name=_text(values, "icon_name"),
        name_ru=_text(values, "name_ru"),
        name_en=_text(values, "name_en"),
        upgrade_type=upgrade_type,
        price_factor=float(_number(values, "price_factor", 1, _MAX_PRICE_FACTOR)),
        price=float(_whole(values, "price", 0, _MAX_PRICE)),
        access_level=_whole(values, "access_level", 0, RANKS),
        boost_type=boost_type,
        value_hundredths=int(value_hundredths),
    )


def _field(values: Any, name: str) -> Any:
    if not isinstance(values, dict):
        raise ValueError("is not an object")  # noqa: TRY004 - the caller turns each fault of the file into a line
    if name not in values:
        raise ValueError(f"{name} is missing")
    return values[name]


def _text(values: Any, name: str) -> str:
    value = _field(values, name)
    if not isinstance(value, str) or not value.strip() or value != value.strip():
        raise ValueError(f"{name} {value!r} is not a text without blanks around it")
    return value


def _number(values: Any, name: str, low: Decimal | int, high: int) -> Decimal:
    value = _field(values, name)
    if isinstance(value, bool) or not isinstance(value, int | Decimal) or not low <= value <= high:
        raise ValueError(f"{name} {value} is not a number from {low} to {high}")
    return Decimal(value)


def _whole(values: Any, name: str, low: int, high: int) -> int:
    value = _number(values, name, low, high)
    if value != int(value):
        raise ValueError(f"{name} {value} is not whole")
    return int(value)


def _faults_of_upgrades(entries: list[UpgradeEntry]) -> Iterator[str]:
    for field_name in ("id", "icon_name", "name_ru", "name_en"):
        for value, times in Counter(getattr(entry, field_name) for entry in entries).items():
            if times > 1:
                yield f"{field_name} {value} stands there {times} times"
    yield from _faults_of_icons(entries)
    for entry in entries:
        for fault in _faults_of_entry(entry):
            yield f"id {entry.id} ({entry.icon_name}): {fault}"
    yield from _faults_of_access(entries)


def _faults_of_icons(entries: list[UpgradeEntry]) -> Iterator[str]:
    icons: dict[str, list[str]] = json.loads(_ICONS.read_text(encoding="utf-8"))
    type_of = {icon: upgrade_type for upgrade_type, names in icons.items() for icon in names}
    for icon in sorted(type_of.keys() - {entry.icon_name for entry in entries}):
        yield f"no upgrade has the icon {icon}"
    for entry in entries:
        known = type_of.get(entry.icon_name)
        if known is None:
            yield f"id {entry.id}: clients have no icon {entry.icon_name}"
        elif known != entry.upgrade_type:
            yield f"id {entry.id} ({entry.icon_name}): is a {entry.upgrade_type}, clients draw a {known}"


def _faults_of_entry(entry: UpgradeEntry) -> Iterator[str]:
    if _FIXED_ICONS.get(entry.id, entry.icon_name) != entry.icon_name:
        yield f"clients know this id as {_FIXED_ICONS[entry.id]}"
    if (entry.upgrade_type is UpgradeType.DISH) != (entry.boost_type is BoostType.MONEY_PER_CLICK):
        yield f"a {entry.upgrade_type} raises {entry.boost_type}: dishes, and only they, raise mPc"
    if entry.upgrade_type is UpgradeType.DISH and entry.price_factor != 1:
        yield f"price_factor is {entry.price_factor}, a dish has 1"
    if entry.id == 1 and (entry.price, entry.access_level) != (0, 0):
        yield "the first dish is free at rank 0, or nobody can cook"
    if entry.boost_type is BoostType.SALES_PER_SELL and entry.value_hundredths % _ONE:
        yield "sPs is whole"
    if entry.boost_type in _MULTIPLIERS and entry.value_hundredths < _ONE:
        yield "a multiplier is at least 1, or its first purchase would lower income"


def _faults_of_access(entries: list[UpgradeEntry]) -> Iterator[str]:
    for upgrade_type in UpgradeType:
        shelf = [entry for entry in entries if entry.upgrade_type is upgrade_type]
        if shelf:
            cheapest = min(shelf, key=lambda entry: (entry.price, entry.id))
            lowest = min(entry.access_level for entry in shelf)
            if cheapest.access_level > lowest:
                yield (
                    f"id {cheapest.id} ({cheapest.icon_name}): the cheapest {upgrade_type} needs rank "
                    f"{cheapest.access_level}, another one {lowest}: clients lock the whole shelf by it"
                )
    if not any(
        entry.access_level == 0 and entry.price > 0 and entry.boost_type not in _PASSIVE for entry in entries
    ):
        yield "at rank 0 nothing but the first dish is on sale without passive income"
