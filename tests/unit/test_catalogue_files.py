"""The catalogue of this release as the rules want it, and what is said about a data file that breaks them."""

from __future__ import annotations

import json
import re
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest

from game.catalogue import BoostType, UpgradeType
from seeds.files import LEVELS, UPGRADES, SeedFileError, read_catalogue, read_levels, read_upgrades

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

# As the rules list them: the icons that existing clients ship.
ICONS = {
    "dish": """
        sandwich cola french_fries nuggets hamburger potato_wedges hot_dog cheeseburger
        strawberry_milkshake taco panini waffle burrito ham_baguette donate ice_cream tiramisu
        vanilla_milkshake croissants cheesecake juice cupcakes pancakes coffee tea cappuccino
        omelette macaroni spaghetti pizza ramen tom_yam sushi_set shrimp_roll dragon_roll fish_mix
        sea_salad steak grilled_halibut lobster beef_carpaccio duck_confit chili_con_carne
        truffle_burger strawberry_smoothie mojito aperol_spritz wine matcha_boba_ice
        blue_matcha_boba_ice caramel_souffle tropical_surf_set french_set michelin_set
        signature_dish chef_special imperial_foie_gras heavenly_tasting_menu sea_plate matcha_latte
        supreme_maestro_dish dessert_set jiggly_cat
    """,
    "equipment": "new_stove gas_burner new_cashier pro_oven auto_cashier next_gen_grill",
    "global": "promo_dishes price_increase auto_sales auto_cash express_delivery staff_quality",
    "staff": "chef waiter",
    "point": "food_truck small_cafe family_restaurant gastro_restaurant",
}
BOOSTS = {
    "new_cashier": "sPs",
    "pro_oven": "dPs",
    "auto_cashier": "mPs",
    "chef": "dPs",
    "waiter": "sPs",
    "food_truck": "mPs",
    "small_cafe": "mPs",
    "family_restaurant": "mPs",
    "gastro_restaurant": "mPs",
}


def test_one_upgrade_for_each_icon() -> None:
    """There are 81 upgrades, one for each icon of the clients, under its type."""
    expected = {(icon, kind) for kind, icons in ICONS.items() for icon in icons.split()}
    entries = read_upgrades()
    assert len(expected) == 81
    assert len(entries) == 81
    assert {(entry.icon_name, entry.upgrade_type) for entry in entries} == expected


def test_fixed_ids() -> None:
    """The sandwich is 1, free at rank 0; the places are 45 to 48."""
    catalogue = read_catalogue()
    sandwich = catalogue.upgrades[0]
    assert (sandwich.id, sandwich.icon_name, sandwich.price, sandwich.access_level) == (1, "sandwich", 0, 0)
    places = {
        upgrade.id: upgrade.icon_name
        for upgrade in catalogue.upgrades
        if upgrade.upgrade_type is UpgradeType.POINT
    }
    expected = {45: "food_truck", 46: "small_cafe", 47: "family_restaurant", 48: "gastro_restaurant"}
    assert places == expected


def test_boosts_are_those_of_the_rules() -> None:
    """Dishes raise mPc and are bought once; the rest raises what the rules say, all nine kinds of it."""
    catalogue = read_catalogue()
    for upgrade in catalogue.upgrades:
        if upgrade.upgrade_type is UpgradeType.DISH:
            assert (upgrade.boost.boost_type, upgrade.price_factor) == (BoostType.MONEY_PER_CLICK, 1)
        if upgrade.upgrade_type is UpgradeType.GLOBAL:
            assert upgrade.boost.boost_type in {"dM", "mM", "dpM", "mpM"}
        assert upgrade.boost.boost_type == BOOSTS.get(upgrade.icon_name, upgrade.boost.boost_type)
        assert upgrade.boost.id == upgrade.id
    assert {upgrade.boost.boost_type for upgrade in catalogue.upgrades} == set(BoostType)


def test_the_cheapest_of_a_type_opens_its_shelf() -> None:
    """Clients lock a whole tab by its first entry, so the cheapest of each type needs the lowest rank."""
    catalogue = read_catalogue()
    for kind in UpgradeType:
        shelf = [upgrade for upgrade in catalogue.upgrades if upgrade.upgrade_type is kind]
        assert shelf[0].price == min(upgrade.price for upgrade in shelf)
        assert shelf[0].access_level == min(upgrade.access_level for upgrade in shelf)


def test_ranks_grow_smoothly() -> None:
    """100 ranks need from 100 xp to 100,000, each more than the one before by an ever greater step."""
    xps = read_levels()
    steps = [later - earlier for earlier, later in pairwise(xps)]
    assert (len(xps), xps[0], xps[-1]) == (100, 100, 100_000)
    assert all(step > 0 for step in steps)
    assert all(later >= earlier for earlier, later in pairwise(steps))


def test_names_in_two_languages() -> None:
    """Names follow the language: Cyrillic in Russian, none of it in English, and no name twice."""
    for language, cyrillic in (("ru", True), ("en", False)):
        names = [upgrade.name for upgrade in read_catalogue(language).upgrades]
        assert len(set(names)) == 81
        assert all((re.search("[\u0430-\u044f]", name) is not None) is cyrillic for name in names)
        assert names == [getattr(upgrade.names, language) for upgrade in read_catalogue().upgrades]


def test_wire_order() -> None:
    """Upgrades stand by type, then price, then id."""
    upgrades = read_catalogue().upgrades
    kinds = list(UpgradeType)
    keys = [(kinds.index(upgrade.upgrade_type), upgrade.price, upgrade.id) for upgrade in upgrades]
    assert keys == sorted(keys)


def _change(**changes: Any) -> Callable[[list[Any]], None]:
    """Change entry 12 (id 12, ice_cream)."""
    return lambda entries: entries[11].update(changes)


def _change_icon(icon_name: str, **changes: Any) -> Callable[[list[Any]], None]:
    def change(entries: list[Any]) -> None:
        next(entry for entry in entries if entry["icon_name"] == icon_name).update(changes)

    return change


DEAR_WAITER = (
    "id 80 (waiter): the cheapest staff needs rank 50, another one 10: clients lock the whole shelf by it"
)
FAULTS: list[tuple[Callable[[list[Any]], None], str]] = [
    (lambda entries: entries.pop(11), "no upgrade has the icon ice_cream"),
    (lambda entries: entries[11].pop("price"), "entry 12: price is missing"),
    (lambda entries: entries.insert(11, 5), "entry 12: is not an object"),
    (_change(colour="red"), "entry 12: unknown field colour"),
    (_change(value_hundredths=5), "entry 12: unknown field value_hundredths"),
    (_change(id=11), "id 11 stands there 2 times"),
    (_change(id=True), "entry 12: id True is not a number from 1 to 2147483647"),
    (_change(icon_name="taco"), "icon_name taco stands there 2 times"),
    (_change(icon_name="borsch"), "id 12: clients have no icon borsch"),
    (_change(name_en="Cheeseburger"), "name_en Cheeseburger stands there 2 times"),
    (_change(name_ru=" "), "entry 12: name_ru ' ' is not a text without blanks around it"),
    (_change(upgrade_type="drink"), "entry 12: 'drink' is not a valid UpgradeType"),
    (_change(upgrade_type="point"), "id 12 (ice_cream): is a point, clients draw a dish"),
    (_change(boost_type="xPs"), "entry 12: 'xPs' is not a valid BoostType"),
    (_change(boost_type="dPc"), "id 12 (ice_cream): a dish raises dPc: dishes, and only they, raise mPc"),
    (_change(price=1.5), "entry 12: price 1.5 is not whole"),
    (_change(price=-1), "entry 12: price -1 is not a number from 0 to 1000000000000000"),
    (_change(price="5"), "entry 12: price 5 is not a number from 0 to 1000000000000000"),
    (_change(price=float("nan")), "entry 12: price nan is not a number from 0 to 1000000000000000"),
    (_change(price_factor=1.1), "id 12 (ice_cream): price_factor is 1.1, a dish has 1"),
    (_change(price_factor=0.5), "entry 12: price_factor 0.5 is not a number from 1 to 1000"),
    (_change(access_level=101), "entry 12: access_level 101 is not a number from 0 to 100"),
    (_change(value=0.125), "entry 12: value 0.125 has more than two decimals"),
    (_change(value=0), "entry 12: value 0 is not a number from 0.01 to 1000000000"),
    (_change_icon("waiter", value=1.5), "id 80 (waiter): sPs is whole"),
    (
        _change_icon("price_increase", value=0.9),
        "id 75 (price_increase): a multiplier is at least 1, or its first purchase would lower income",
    ),
    (
        _change_icon("sandwich", price=1),
        "id 1 (sandwich): the first dish is free at rank 0, or nobody can cook",
    ),
    (_change_icon("waiter", access_level=50), DEAR_WAITER),
    (
        _change_icon("new_stove", boost_type="dPs"),
        "at rank 0 nothing but the first dish is on sale without passive income",
    ),
]


@pytest.mark.parametrize(("change", "expected"), FAULTS, ids=[fault for _, fault in FAULTS])
def test_a_fault_of_the_upgrades_is_one_clear_line(
    tmp_path: Path, change: Callable[[list[Any]], None], expected: str
) -> None:
    """Each broken rule is reported in one line that names the file and the entry."""
    entries = json.loads(UPGRADES.read_text(encoding="utf-8"))
    change(entries)
    path = tmp_path / "mine.json"
    path.write_text(json.dumps(entries), encoding="utf-8")
    with pytest.raises(SeedFileError) as caught:
        read_upgrades(path)
    assert f"mine.json: {expected}" in caught.value.faults


def test_ids_of_places_are_fixed(tmp_path: Path) -> None:
    """Two entries that swap ids 45 and 46 are both reported with what clients know there."""
    entries = json.loads(UPGRADES.read_text(encoding="utf-8"))
    entries[44]["id"], entries[45]["id"] = 46, 45
    path = tmp_path / "mine.json"
    path.write_text(json.dumps(entries), encoding="utf-8")
    with pytest.raises(SeedFileError) as caught:
        read_upgrades(path)
    assert caught.value.faults == (
        "mine.json: id 46 (food_truck): clients know this id as small_cafe",
        "mine.json: id 45 (small_cafe): clients know this id as food_truck",
    )


def test_all_faults_are_told_at_once(tmp_path: Path) -> None:
    """Two broken entries are two lines."""
    entries = json.loads(UPGRADES.read_text(encoding="utf-8"))
    entries[1]["price"] = entries[2]["price"] = None
    path = tmp_path / "mine.json"
    path.write_text(json.dumps(entries), encoding="utf-8")
    with pytest.raises(SeedFileError) as caught:
        read_upgrades(path)
    assert [fault.split(":")[1] for fault in caught.value.faults] == [" entry 2", " entry 3"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{", "is not JSON"),
        ("{}", "is not a list of entries"),
        (None, "cannot be read: No such file or directory"),
    ],
)
def test_a_file_that_is_none(tmp_path: Path, text: str | None, expected: str) -> None:
    """A file that is missing, no JSON or no list is one line too."""
    path = tmp_path / "mine.json"
    if text is not None:
        path.write_text(text)
    for read in (read_upgrades, read_levels):
        with pytest.raises(SeedFileError) as caught:
            read(path)
        assert len(caught.value.faults) == 1
        assert caught.value.faults[0].startswith(f"mine.json: {expected}")


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda levels: levels.pop(), "99 ranks, there are 100"),
        (lambda levels: levels.pop(0), "entry 1: rank is 2, ranks stand in order and each once"),
        (
            lambda levels: levels[1].update(xp=100),
            "rank 2: xp 100 is not more than the 100 of the rank before",
        ),
        (lambda levels: levels[1].update(xp=0), "entry 2: xp 0 is not a number from 1 to 1000000000"),
        (lambda levels: levels[1].pop("xp"), "entry 2: xp is missing"),
    ],
)
def test_a_fault_of_the_levels_is_one_clear_line(
    tmp_path: Path, change: Callable[[list[Any]], None], expected: str
) -> None:
    """Ranks stand in order, each needs more xp than the one before, and there are 100."""
    levels = json.loads(LEVELS.read_text(encoding="utf-8"))
    change(levels)
    path = tmp_path / "mine.json"
    path.write_text(json.dumps(levels), encoding="utf-8")
    with pytest.raises(SeedFileError) as caught:
        read_levels(path)
    assert f"mine.json: {expected}" in caught.value.faults
