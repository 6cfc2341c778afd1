"""The rules as documented: each example is what the model computes."""

from __future__ import annotations

from typing import Final, cast

import pytest

from game import golden, rules
from game.catalogue import Boost, BoostType, Names, Upgrade, UpgradeId, UpgradeType
from game.live_session import LiveSession
from game.rates import Rates, click_xp_of, cook_gain_of, need_of, price_of
from game.session import Session, UserId
from tests.support.doc_examples import Block, blocks
from tests.support.game_catalogue import CATALOGUE

NOW_MS: Final = 1_800_000_000_000
OFFLINE_CAP_S: Final = 28_800
SCALES: Final = {"xp": 100, "stars": 10_000, "accumulated": 10_000, "boost": 10}
BLOCKS: Final = blocks("rules.md")


def _title(block: Block) -> str:
    return f"line {block.line}"


def _player(example: dict[str, object], seconds: int) -> LiveSession:
    """Make a player as an example describes: sums of boosts as given, income paid up to `seconds` ago."""
    before = cast("dict[str, float]", example["before"])
    session = Session(UserId(1), version=1, accrued_at_ms=NOW_MS - 1000 * seconds)
    for name, value in before.items():
        kind = int if name == "rank" else float
        setattr(session, name, kind(round(value * SCALES.get(name, 1))))
    boosts = cast("dict[str, float]", example["boosts"])
    sums = {kind: float(round(100 * boosts.get(kind, 0))) for kind in BoostType}
    need = need_of(session.rank, CATALOGUE)
    gain = cook_gain_of(sums)
    return LiveSession(session, CATALOGUE, Rates(sums, gain, click_xp_of(session.stars, need), need))


@pytest.mark.parametrize("block", [one for one in BLOCKS if one.mark == "rule"], ids=_title)
def test_a_documented_rule_is_what_the_model_does(block: Block) -> None:
    """After the request the player has exactly what the document says."""
    example = block.frame
    player = _player(example, cast("int", example.get("seconds", 0)))
    count = cast("int", example.get("count", 1))
    match example["request"]:
        case "cook":
            rules.cook(player, count, 1000 * NOW_MS)
        case "sell":
            rules.sell(player, count, 1000 * NOW_MS)
        case "passive":
            rules.passive(player, 1000 * NOW_MS, OFFLINE_CAP_S)
        case "session_reset":
            rules.session_reset(player, 1000 * NOW_MS, OFFLINE_CAP_S)
        case "golden_guest":
            number = NOW_MS // golden.EVERY_MS
            player.session.accrued_at_ms = at_ms = golden.comes_ms(player.session.user_id, number)
            golden.golden_guest(player, 1000 * at_ms, OFFLINE_CAP_S, number)
        case other:
            pytest.fail(f"no such request: {other}")
    after = cast("dict[str, float]", example["after"])
    assert after == {name: getattr(player.session, name) / SCALES.get(name, 1) for name in after}


@pytest.mark.parametrize("block", [one for one in BLOCKS if one.mark == "price"], ids=_title)
def test_a_documented_price_is_what_the_model_computes(block: Block) -> None:
    """The next purchase costs what the document says."""
    example = cast("dict[str, float]", block.frame)
    upgrade = Upgrade(
        id=UpgradeId(1),
        name="печь",
        names=Names(ru="печь", en="stove"),
        icon_name="new_stove",
        upgrade_type=UpgradeType.EQUIPMENT,
        price_factor=example["price_factor"],
        price=example["price"],
        access_level=0,
        boost=Boost(1, BoostType.DISHES_PER_CLICK, 100),
    )
    assert example["costs"] == price_of(upgrade, int(example["times_bought"]))


def test_every_rule_has_an_example() -> None:
    """Cooking, selling, prestige, passive income, golden guests and prices are each shown."""
    shown = {str(block.frame.get("request", block.mark)) for block in BLOCKS}
    assert {"cook", "sell", "session_reset", "passive", "golden_guest", "price"} == shown
