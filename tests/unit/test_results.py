"""What the server writes of the catalogue and of what a player owns."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson
import pytest

from game.catalogue import UpgradeId, UpgradeType
from game.session import Session, UserId
from persistence.live.hashes import fields_of
from persistence.live.snapshots import SNAPSHOT_FIELDS, snapshot_of
from seeds.files import read_catalogue
from server.protocol.results import cook_answer, sell_answer, snapshot, upgrades
from tests.support.game_catalogue import CATALOGUE, CHANGED

if TYPE_CHECKING:
    from game.catalogue import Catalogue


def lists(packed: bytes, catalogue: Catalogue = CATALOGUE) -> dict[str, list[dict[str, Any]]]:
    """Read back `available` and `current`."""
    found: dict[str, list[dict[str, Any]]] = orjson.loads(f"{{{upgrades(packed, catalogue)}}}")
    return found


def test_an_upgrade_is_written_with_all_its_names() -> None:
    """The sandwich of the seeds, bought once, field by field; `name` follows the server's language."""
    sandwich = {
        "id": 1,
        "name": "Sandwich",
        "names": {"ru": "Сэндвич", "en": "Sandwich"},
        "icon_name": "sandwich",
        "upgrade_type": "dish",
        "price_factor": 1,
        "price": 0,
        "access_level": 0,
        "boost": {"id": 1, "boost_type": "mPc", "value": 1},
        "times_bought": 1,
    }
    assert [sandwich] == lists(b"1:1", read_catalogue("en"))["current"]
    assert [{**sandwich, "name": "Сэндвич"}] == lists(b"1:1", read_catalogue("ru"))["current"]


@pytest.mark.parametrize("packed", [b"", b"1:1,3:12", b"2:1,16:1,999:4"])
def test_what_is_owned_and_what_is_on_sale(packed: bytes) -> None:
    """Owned dishes are on sale no more, all else is, in the catalogue's order; unknown ids are left out."""
    owned = {int(one.split(b":")[0]): int(one.split(b":")[1]) for one in packed.split(b",") if one}
    shown = lists(packed)
    for which, expected in (
        ("current", [one for one in CATALOGUE.upgrades if one.id in owned]),
        (
            "available",
            [
                one
                for one in CATALOGUE.upgrades
                if one.id not in owned or one.upgrade_type is not UpgradeType.DISH
            ],
        ),
    ):
        assert [(one.id, owned.get(one.id, 0)) for one in expected] == [
            (one["id"], one["times_bought"]) for one in shown[which]
        ]


def test_a_new_catalogue_is_written_at_once() -> None:
    """What was kept of one catalogue is never told of another, whichever was written last."""
    for catalogue in (CATALOGUE, CHANGED, CATALOGUE):
        fifth = next(one for one in lists(b"", catalogue)["available"] if one["id"] == 5)
        assert catalogue.by_id[UpgradeId(5)].boost.value_hundredths / 100 == fifth["boost"]["value"]


@pytest.mark.parametrize(
    ("stored", "shown"), [("a@b.c", "a@b.c"), ("", ""), ("None", "")], ids=["account", "guest", "older"]
)
def test_a_guest_has_no_e_mail(stored: str, shown: str) -> None:
    """What no address can be is none: a release without guests writes a word there."""
    words = iter(fields_of(Session(UserId(7), version=1, accrued_at_ms=0), stored))
    fields = {name.decode(): value for name, value in zip(words, words, strict=True)}
    read = snapshot_of([fields.get(name) for name in SNAPSHOT_FIELDS])
    assert read is not None
    assert shown == orjson.loads(snapshot(7, read, CATALOGUE))["session"]["user_email"]


@pytest.mark.parametrize("xp", [0, 5, 10, 20, 100, 123_450, 10**17 + 1, 100 * 2**53 - 1, 100 * 2**53, 2**62])
@pytest.mark.parametrize("dishes", [0, 2**53 + 1, 2**62])
def test_a_click_is_written_in_the_same_way_whatever_its_amounts_came_as(xp: int, dishes: int) -> None:
    """Redis replies an amount as an integer or as text; also where hundredths are no longer exact."""

    def text(amount: int) -> bytes:
        return b"%d" % amount

    cook = cook_answer('"5"', 7, dishes, xp, 3)
    assert cook == cook_answer('"5"', 7, text(dishes), text(xp), text(3))
    assert orjson.loads(cook) == {
        "message_type": "response",
        "request_id": "5",
        "request_type": "cook",
        "data": {"dishes": dishes, "xp": xp / 100, "applied": 3, "version": 7},
    }
    sell = sell_answer('"5"', 7, dishes, 2**61, xp, 3)
    assert sell == sell_answer('"5"', 7, text(dishes), text(2**61), text(xp), text(3))
    assert orjson.loads(sell) == {
        "message_type": "response",
        "request_id": "5",
        "request_type": "sell",
        "data": {"dishes": dishes, "money": 2**61, "xp": xp / 100, "applied": 3, "version": 7},
    }
