"""What the clicker makes of what its client knows."""

from __future__ import annotations

from typing import Any

from clients.python.clickcook.state import merge
from scripts.clicker.view import View


def upgrade(upgrade_id: int, kind: str, boost_type: str, value: float, times_bought: int) -> dict[str, Any]:
    """Write an upgrade as the server does."""
    return {
        "id": upgrade_id,
        "name": "x",
        "names": {"ru": "x", "en": "y"},
        "icon_name": "x",
        "upgrade_type": kind,
        "price_factor": 1.5,
        "price": 10,
        "access_level": 0,
        "boost": {"id": upgrade_id, "boost_type": boost_type, "value": value},
        "times_bought": times_bought,
    }


def session(version: int, rank: int = 4) -> dict[str, Any]:
    """Write the data of a `session` of someone with a dish and two stoves."""
    stove = upgrade(3, "equipment", "dPc", 1.5, 2)
    return {
        "session": {
            "user_id": 4,
            "user_email": "a@b.c",
            "money": 9,
            "dishes": 2,
            "level": {"rank": rank, "xp": 11.5},
            "prestige": {"current_value": 1.5, "current_boost_value": 1.1, "accumulated_value": 0.25},
            "upgrades": {"available": [stove], "current": [upgrade(1, "dish", "mPc", 1, 1), stove]},
        },
        "version": version,
    }


def test_a_session_is_held_in_the_units_of_the_rules() -> None:
    """Xp in hundredths, stars in ten-thousandths, boost in tenths, and the gain of a cook follows."""
    view = View()
    view.take(None)
    assert view.session.version == 0
    view.take(merge(None, "session", session(17)))
    held = view.session
    assert (held.money, held.dishes, held.rank, held.xp) == (9, 2, 4, 1150)
    assert (held.stars, held.boost, held.accumulated) == (15_000, 11, 2500)
    assert held.bought == {1: 1, 3: 2}
    assert view.rates.cook_gain == 4


def test_the_xp_of_the_next_rank_is_followed() -> None:
    """What is not known has to be asked; the last rank needs none."""
    view, game = View(), merge(None, "session", session(17))
    view.take(game)
    assert not view.need_is_known
    game = merge(
        game, "level_check", {"current_rank": 4, "current_xp": 11.5, "needed_xp": 800, "version": 17}
    )
    view.take(game)
    assert (view.need_is_known, view.rates.need) == (True, 800)
    view.take(merge(game, "level_up", {"current_rank": 5, "current_xp": 0, "version": 18}))
    assert (view.session.rank, view.rates.need) == (5, 0)


def test_a_purchase_and_a_reset_change_what_is_owned() -> None:
    """A third stove cooks more; after a reset there is no dish, and the next rank's xp is not known."""
    view, game = View(), merge(None, "session", session(17))
    bought = {"id": 3, "times_bought": 3, "money": 0, "xp": 20, "version": 18}
    game = merge(game, "upgrade_buy", bought)
    view.take(game)
    assert view.rates.cook_gain == 6
    prestige = {"current_value": 2, "current_boost_value": 2, "accumulated_value": 0}
    reset = {"money": 0, "dishes": 0, "level_rank": 0, "level_xp": 0, "prestige": prestige, "version": 19}
    view.take(merge(game, "session_reset", reset))
    assert view.rates.cook_gain == 0
    assert (view.session.bought, view.session.rank, view.session.stars) == ({}, 0, 20_000)
    assert not view.need_is_known
