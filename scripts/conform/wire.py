"""The rows of the contract about what is no proper request, tokens, and the ends of connections."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus
from websockets.typing import Origin

from scripts.conform.world import BrokenError, Row, holds, same

if TYPE_CHECKING:
    from scripts.conform.world import World

_MOST_BYTES: Final = 10_000
_INVALID_IN_A_ROW: Final = 20
_NO_REQUESTS: Final = (
    ("nonsense", ""),
    ("[]", ""),
    ("{}", ""),
    ('{"request_id":7}', ""),
    ('{"request_id":"a"}', "a"),
    ('{"request_id":"a","message_type":"request","request_type":"cook"}', "a"),
    ('{"request_id":"a","message_type":"request","request_type":"cook","data":{"token":1}}', "a"),
    ('{"request_id":"a","message_type":"request","request_type":"cook","data":{"x":NaN}}', ""),
)
_BAD_DATA: Final[tuple[tuple[str, dict[str, Any]], ...]] = (
    ("cook", {"count": 0}),
    ("cook", {"count": 1001}),
    ("sell", {"count": 1.5}),
    ("cook", {"count": True}),
    ("cook", {"client": "a", "seq": 0}),
    ("cook", {"client": "a", "seq": 2**53}),
    ("cook", {"client": "x" * 65, "seq": 1}),
    ("upgrade_buy", {}),
    ("upgrade_buy", {"id": "1"}),
)


async def _no_requests(world: World) -> None:
    async with world.cook() as player:
        for text, request_id in _NO_REQUESTS:
            await player.raw.send(text)
            message = await player.answer()
            same("invalid_message", message["data"].get("code"), f"the answer to {text}")
            same(request_id, message["request_id"], f"the request_id of the answer to {text}")
        for kind, data in _BAD_DATA:
            await player.refused("invalid_message", kind, **data)
            await player.ask("level_check")


async def _checks_in_order(world: World) -> None:
    async with world.socket() as player:
        await player.refused("invalid_message", "cook", token="", count=0)
        await player.refused("unknown_request", "dance", token="")
        await player.refused("missing_token", "cook", token="")
        await player.refused("token_invalid", "cook", token="x.y.z")  # noqa: S106 - no secret
        await player.refused("session_required", "cook")
        await player.ask("session")
        await player.refused("no_dish", "cook")


async def _tokens(world: World) -> None:
    pair, other = await world.register(), await world.register()
    async with world.socket(pair.access) as player:
        await player.refused("token_invalid", "session", token=pair.refresh)
        await player.ask("session")
        await player.refused("token_invalid", "session", token=other.access)
        holds("session" in await player.ask("session"), "after a refused token the connection plays on")


async def _closes(world: World) -> None:
    pair = await world.register()
    for sent, is_text, code in (
        (b"binary", False, 1003),
        (b"x" * (_MOST_BYTES + 1), True, 1009),
        (b"\xff\xfe", True, 1007),
    ):
        async with world.socket(pair.access) as player:
            await player.ask("session")
            await player.raw.send(sent, text=is_text)
            same(code, await player.close_code(), f"the close code after {sent[:10]!r}")
    async with world.socket(pair.access) as player:
        await player.ask("session")
        padding = "x" * (_MOST_BYTES - len(json.dumps({"request_id": ""})))
        await player.raw.send(json.dumps({"request_id": padding}))
        same("invalid_message", (await player.answer())["data"]["code"], "the answer to 10,000 bytes")


async def _nonsense_in_a_row(world: World) -> None:
    async with world.cook() as player:
        for _ in range(_INVALID_IN_A_ROW):
            await player.raw.send("nonsense")
        same(1008, await player.close_code(), "the close code after 20 invalid messages in a row")


async def _silence(world: World) -> None:
    async with world.socket((await world.register()).access) as player:
        same(1008, await player.close_code(), "the close code without a token")


async def _origins(world: World) -> None:
    url = "ws" + world.url.removeprefix("http") + "/ws"
    try:
        async with connect(url, origin=Origin("https://elsewhere.example")):
            pass
    except InvalidStatus as error:
        same(403, error.response.status_code, "the status for a foreign origin")
    else:
        raise BrokenError("a foreign origin is not refused")
    async with connect(url, origin=Origin(world.url)):
        pass


ROWS: Final = tuple(
    Row("/ws", says, play)
    for says, play in (
        ("what is no request is invalid_message, with its id where readable", _no_requests),
        ("checked in order: shape, type, token, session, rules", _checks_in_order),
        ("tokens of another kind and of another player are refused, and play goes on", _tokens),
        ("binary closes with 1003, over 10,000 bytes with 1009, no UTF-8 with 1007", _closes),
        ("20 invalid messages in a row close with 1008", _nonsense_in_a_row),
        ("no token within 10 s closes with 1008", _silence),
        ("foreign origins are refused, the page's own may connect", _origins),
    )
)
