"""The rows of the contract on `/ws`: requests, copies, numbers, refusals."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from scripts.conform.world import Row, holds, same

if TYPE_CHECKING:
    from scripts.conform.world import World

_DEAR: Final = 1_000
_BY_RANK: Final = 2
_READS: Final = (
    "session",
    "upgrade_list",
    "level_check",
    "passive",
    "achievements",
    "leaderboard",
    "golden_guest",
)


async def _game(world: World) -> None:
    async with world.socket() as player:
        opened = await player.ask("session")
        session = opened["session"]
        same(
            (0, 0, {"rank": 0, "xp": 0}),
            (session["money"], session["dishes"], session["level"]),
            "a beginning",
        )
        same([], session["upgrades"]["current"], "what is owned at first")
        bought = await player.ask("upgrade_buy", id=1)
        same((1, 1), (bought["id"], bought["times_bought"]), "the first dish")
        cooked = await player.ask("cook")
        same((1, 1), (cooked["dishes"], cooked["applied"]), "dishes and applied after a cook")
        sold = await player.ask("sell")
        same(
            (0, 1, 1), (sold["dishes"], sold["money"], sold["applied"]), "dishes, money, applied after a sale"
        )
        versions = [data["version"] for data in (opened, bought, cooked, sold)]
        holds(sorted(set(versions)) == versions, f"each change raises the version: {versions}")


async def _every_read(world: World) -> None:
    async with world.cook() as player:
        for kind in _READS:
            answer = await player.ask(kind)
            holds("code" not in answer, f"{kind} is answered: {answer}")
        risen = await player.ask("level_up")
        same(0, risen["current_rank"], "the rank without enough xp")


async def _counts(world: World) -> None:
    async with world.cook() as player:
        same((7, 7), _dishes(await player.ask("cook", count=7)), "seven cooks in one")
        same((0, 7), _dishes(await player.ask("sell", count=50)), "of fifty sales seven succeed")
        on_sale = (await player.ask("upgrade_list"))["available"]
        open_now = [one for one in on_sale if one["access_level"] == 0 and one["upgrade_type"] == "equipment"]
        cheap = min(open_now, key=lambda one: float(one["price"]))
        earned = round(3 * cheap["price"])
        await player.ask("cook", count=min(earned, 900))
        await player.ask("sell", count=min(earned, 900))
        bought = await player.ask("upgrade_buy", id=cheap["id"], count=50)
        holds(1 <= bought.get("applied", 0) < 50, f"of fifty purchases some succeed: {bought}")  # noqa: PLR2004
        same(bought["applied"], bought["times_bought"], "times_bought after purchases by count")


def _dishes(answer: dict[str, int]) -> tuple[int | None, int | None]:
    return answer.get("dishes"), answer.get("applied")


async def _order(world: World) -> None:
    async with world.cook() as player:
        sent = [await player.send("cook" if number % 2 else "level_check") for number in range(12)]
        same(sent, [(await player.answer())["request_id"] for _ in sent], "answers in the order of requests")
        await player.send("level_check", request_id="x" * 128)
        same("x" * 128, (await player.answer())["request_id"], "a request_id of 128 characters")


async def _copies(world: World) -> None:
    async with world.cook() as player, world.socket(player.token) as other:
        await other.ask("session")
        await player.ask("level_check")
        cooked = await player.ask("cook", count=3)
        same(cooked, await other.push("cook"), "the copy of a cook")
        sold = await player.ask("sell")
        same(sold, await other.push("sell"), "the copy of a sale")
        kinds = {message["request_type"] for message in [*player.pushes, *other.pushes]}
        holds(not kinds & {"cook", "sell", "level_check"}, f"reads and one's own changes come back: {kinds}")


async def _announcements(world: World) -> None:
    async with world.cook() as plain, world.socket(plain.token) as knowing:
        await knowing.ask("session", client="conform")
        await plain.ask("cook")
        announced = await knowing.push("achievement")
        await plain.ask("level_check")
        kinds = {message["request_type"] for message in plain.pushes}
        holds("achievement" not in kinds, "it is pushed to a connection that knows nothing of achievements")
        keys = {one["key"] for one in announced["achievements"] if one["done"]}
        listed = (await knowing.ask("achievements"))["achievements"]
        holds(keys, "the push names achievements that are done")
        holds(keys <= {one["key"] for one in listed if one["done"]}, "what was pushed is done in the list")


async def _once(world: World) -> None:
    async with world.cook() as player:
        tag = {"client": "conform", "seq": 5}
        same(3, (await player.ask("cook", count=3, **tag))["applied"], "applied")
        again = await player.ask("cook", count=3, **tag)
        same(
            (True, 3),
            (again.get("duplicate"), again.get("dishes")),
            "the same number again: duplicate, dishes",
        )
    async with world.socket(player.token) as player:
        same(
            5, (await player.ask("session", client="conform")).get("last_seq"), "last_seq on a new connection"
        )
        same(
            True, (await player.ask("cook", count=3, **tag)).get("duplicate"), "duplicate on a new connection"
        )
        same(0, (await player.ask("session", client="another")).get("last_seq"), "last_seq of a new client")


async def _gaps(world: World) -> None:
    async with world.cook() as player:
        await player.ask("cook", client="conform", seq=64)
        same(
            1,
            (await player.ask("cook", client="conform", seq=1)).get("applied"),
            "63 below the highest: applied",
        )
        await player.ask("cook", client="conform", seq=65)
        await player.refused("invalid_message", "cook", client="conform", seq=1)


async def _refused_numbers(world: World) -> None:
    async with world.cook() as player:
        tag = {"client": "conform", "seq": 1}
        await player.refused("no_dishes", "sell", **tag)
        await player.ask("cook")
        same(
            1,
            (await player.ask("sell", **tag)).get("applied"),
            "a number that was refused, when it comes again",
        )


async def _rules(world: World) -> None:
    async with world.socket() as player:
        opened = await player.ask("session")
        on_sale = opened["session"]["upgrades"]["available"]
        await player.refused("no_dish", "cook")
        await player.refused("no_dishes", "sell")
        await player.refused("no_golden_guest", "golden_guest", serve=1)
        await player.refused("upgrade_not_found", "upgrade_buy", id=2**31)
        await player.refused("not_enough_prestige", "session_reset")
        locked = next(one for one in on_sale if one["access_level"] >= _BY_RANK)
        refusal = await player.refused("upgrade_locked", "upgrade_buy", id=locked["id"])
        same(f"upgrade locked, needs level {locked['access_level']}", refusal["message"], "the message")
        dear = next(one for one in on_sale if one["access_level"] == 0 and one["price"] > 0)
        await player.refused("not_enough_money", "upgrade_buy", id=dear["id"])
        await player.ask("upgrade_buy", id=1)
        await player.refused("upgrade_not_found", "upgrade_buy", id=1)


async def _names(world: World) -> None:
    async with world.cook() as player, world.cook() as other:
        name = f"Cook {world.new_email()[8:20]}"
        same(name, (await player.ask("name_set", name=name)).get("name"), "the name that was set")
        await other.refused("name_taken", "name_set", name=name)
        await other.refused("name_invalid", "name_set", name="x")


ROWS: Final = tuple(
    Row("/ws", says, play)
    for says, play in (
        ("a new player buys, cooks and sells; versions rise", _game),
        ("every read is answered in its shape", _every_read),
        ("count applies as many as succeed", _counts),
        ("one answer for each request, in order, with its id", _order),
        ("changes are copied to the other connections alone", _copies),
        ("achievements are pushed to those who know of them alone", _announcements),
        ("a number that was applied is not applied again, on any connection", _once),
        ("numbers up to 63 below the highest count, 64 are too far", _gaps),
        ("a number that was refused is applied when it comes again", _refused_numbers),
        ("the rules refuse in their own words", _rules),
        ("names are set once in the world", _names),
    )
)
