"""Each request of the contract, over a real socket, against the server as a process."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.support.players import player

if TYPE_CHECKING:
    from tests.support.game_server import GameServer

STOVE = 68


async def test_a_new_player_cooks_sells_and_buys(game: GameServer) -> None:
    """The sandwich costs nothing; a cook and a sell change dishes, money and xp as the rules say."""
    async with player(game) as anna:
        opened = await anna.ask("session")
        assert opened["session"]["money"] == 0
        assert opened["session"]["level"] == {"rank": 0, "xp": 0}
        assert opened["session"]["prestige"] == {
            "current_value": 0,
            "current_boost_value": 0,
            "accumulated_value": 0,
        }
        assert len(opened["session"]["upgrades"]["available"]) == 81
        assert opened["session"]["upgrades"]["current"] == []
        bought = await anna.ask("upgrade_buy", id=1)
        assert (bought["money"], bought["id"], bought["times_bought"]) == (0, 1, 1)
        cooked = await anna.ask("cook")
        assert (cooked["dishes"], cooked["applied"]) == (1, 1)
        assert cooked["xp"] == bought["xp"] + 1
        assert cooked["version"] > bought["version"] > opened["version"]
        sold = await anna.ask("sell")
        assert (sold["dishes"], sold["applied"]) == (0, 1)
        assert sold["money"] > 0


async def test_count_applies_as_many_as_succeed(game: GameServer) -> None:
    """`sell` with a count stops where the dishes run out and says how many were applied."""
    async with player(game) as anna:
        await anna.ask("session")
        await anna.ask("upgrade_buy", id=1)
        cooked = await anna.ask("cook", count=1000)
        assert (cooked["dishes"], cooked["applied"]) == (1000, 1000)
        await anna.ask("sell", count=990)
        sold = await anna.ask("sell", count=1000)
        assert (sold["dishes"], sold["applied"]) == (0, 10)


async def test_count_buys_as_many_as_the_money_lasts(game: GameServer) -> None:
    """`upgrade_buy` with a count is one change: each at its own price, a dish once; a number counts once."""
    async with player(game) as anna, player(game, anna.token) as tablet:
        await anna.ask("session")
        await tablet.ask("session")
        assert (await anna.ask("upgrade_buy", id=1, count=1000))["applied"] == 1
        await anna.ask("cook", count=100)
        await anna.ask("sell", count=100)
        bought = await anna.ask("upgrade_buy", id=STOVE, count=1000, client="tab", seq=1)
        assert (bought["applied"], bought["times_bought"], bought["money"]) == (2, 2, 100 - 25 - 35)
        while (copy := await tablet.push("upgrade_buy"))["id"] != STOVE:
            pass
        assert copy == bought
        again = await anna.ask("upgrade_buy", id=STOVE, count=1000, client="tab", seq=1)
        assert (again["applied"], again["times_bought"], again["duplicate"]) == (0, 2, True)
        assert (await anna.ask("upgrade_buy", id=STOVE, count=10))["code"] == "not_enough_money"
        for count in (0, 1001, "10", 1.5):
            assert (await anna.ask("upgrade_buy", id=STOVE, count=count))["code"] == "invalid_message"


async def test_reads_answer_the_sender_alone(game: GameServer) -> None:
    """`upgrade_list` and `level_check` carry the version; others are sent the next change only."""
    async with player(game) as anna, player(game, anna.token) as tablet:
        await anna.ask("session")
        await tablet.ask("session")
        listed = await anna.ask("upgrade_list")
        assert listed["available"][0]["id"] == 1
        checked = await anna.ask("level_check")
        assert (checked["current_rank"], checked["current_xp"]) == (0, 0)
        assert checked["needed_xp"] > 0
        bought = await anna.ask("upgrade_buy", id=1)
        assert await tablet.push("upgrade_buy") == bought
        assert tablet.pushes == []


async def test_level_up_spends_the_xp_of_the_next_rank(game: GameServer) -> None:
    """Without enough xp the rank stays and nothing follows; with enough it rises, and `next_xp` is sent."""
    async with player(game) as anna:
        await anna.ask("session")
        await anna.ask("upgrade_buy", id=1)
        unchanged = await anna.ask("level_up")
        assert unchanged["current_rank"] == 0
        assert "next_xp" not in unchanged
        needed = (await anna.ask("level_check"))["needed_xp"]
        before = await anna.ask("cook", count=1000)
        raised = await anna.ask("level_up")
        assert raised["current_rank"] == 1
        assert raised["current_xp"] == before["xp"] - needed
        assert raised["next_xp"] > 0


async def test_a_reset_needs_a_star(game: GameServer) -> None:
    """`session_reset` below one accumulated star is refused and changes nothing."""
    async with player(game) as anna:
        version = (await anna.ask("session"))["version"]
        refused = await anna.request("session_reset")
        assert refused["request_type"] == "error"
        assert refused["data"] == {"code": "not_enough_prestige", "message": "not enough prestige points"}
        assert (await anna.ask("level_check"))["version"] == version


async def test_passive_answers_the_present_state(game: GameServer) -> None:
    """`passive` without passive income shows the state and changes nothing."""
    async with player(game) as anna:
        version = (await anna.ask("session"))["version"]
        shown = await anna.ask("passive")
        assert shown == {
            "money": 0,
            "dishes": 0,
            "level_rank": 0,
            "level_xp": 0,
            "prestige_accumulated": 0,
            "version": version,
        }


async def test_a_resent_number_is_applied_once(game: GameServer) -> None:
    """An applied `seq` is answered with the present state and `duplicate`; `last_seq` is the highest."""
    async with player(game) as anna:
        await anna.ask("session", client="tab-1")
        await anna.ask("upgrade_buy", id=1)
        first = await anna.ask("cook", client="tab-1", seq=1)
        again = await anna.ask("cook", client="tab-1", seq=1)
        # An achievement of the first may have changed the version since.
        assert again == {**first, "applied": 0, "duplicate": True, "version": again["version"]}
        assert again["version"] >= first["version"]
        assert (await anna.ask("session", client="tab-1"))["last_seq"] == 1
        assert (await anna.ask("session", client="tab-2"))["last_seq"] == 0
        assert "last_seq" not in await anna.ask("session")


async def test_every_state_change_reaches_the_other_connections_in_order(game: GameServer) -> None:
    """Copies carry an empty request id and the same data; versions grow on each connection."""
    async with player(game) as anna, player(game, anna.token) as tablet:
        await anna.ask("session")
        await tablet.ask("session")
        told = [await anna.ask("upgrade_buy", id=1)]
        told += [await anna.ask("cook", count=2) for _ in range(5)]
        told.append(await anna.ask("sell"))
        copies: list[dict[str, Any]] = []
        while len(copies) < len(told):
            copy = await tablet.receive()
            if (
                copy["request_type"] != "achievement"
            ):  # that comes a moment later, among the copies or after them
                copies.append(copy)
        assert [copy["data"] for copy in copies] == told
        assert {copy["request_id"] for copy in copies} == {""}


async def test_achievements_are_announced_once_to_all_connections(game: GameServer) -> None:
    """The first dish is announced within a second or so, and then stands in the list.

    It goes to every connection that has sent `client` or a request of ours, and never to one that has not.
    """
    async with (
        player(game) as anna,
        player(game, anna.token) as tablet,
        player(game, anna.token) as looker,
        player(game, anna.token) as old,
    ):
        await anna.ask("session", client="tab-1")
        await looker.ask("achievements")
        for connection in (tablet, old):
            await connection.ask("session")
        await anna.ask("upgrade_buy", id=1)
        await tablet.ask("cook", client="tablet", seq=1)
        for connection in (anna, tablet, looker):
            reached: list[str] = []
            while "first_dish" not in reached:
                reached += [item["key"] for item in (await connection.push("achievement"))["achievements"]]
            assert len(reached) == len(set(reached))
        await old.ask("sell")
        assert [push["request_type"] for push in old.pushes] == ["upgrade_buy", "cook"]
        listed = await anna.ask("achievements")
        assert "first_dish" in [item["key"] for item in listed["achievements"] if item["done"]]


async def test_players_appear_under_the_name_they_chose(game: GameServer) -> None:
    """A name is taken once, whatever its case; a bad one is refused; the board shows no e-mail."""
    async with player(game) as anna, player(game) as boris:
        await anna.ask("session")
        assert await anna.ask("name_set", name=" Anna ") == {"name": "Anna"}
        taken = await boris.request("name_set", name="ANNA")
        assert taken["data"] == {"code": "name_taken", "message": "this name is taken"}
        refused = await boris.request("name_set", name="a@b")
        assert refused["data"]["code"] == "name_invalid"
        board = await anna.ask("leaderboard", by="stars")
        assert board["by"] == "stars"
        assert board["me"]["name"] == "Anna"
        assert "@" not in str(board)
