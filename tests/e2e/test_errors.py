"""Each error code, pause and close code of the contract, over a real socket."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from typing import TYPE_CHECKING, Any

import jwt
import orjson
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.typing import Origin

from tests.support.game_server import GameServer, running_game
from tests.support.limits import LIMIT_S
from tests.support.players import EXTERNAL, player, register

if TYPE_CHECKING:
    from collections.abc import Iterator

    from websockets.asyncio.client import ClientConnection


INVALID = [
    ("not json", "", "not JSON"),
    ("[]", "", "not an object"),
    ("{}", "", "request_id"),
    ('{"request_id":7}', "", "request_id"),
    ('{"request_id":""}', "", "request_id"),
    ('{"request_id":"' + "x" * 129 + '"}', "", "request_id"),
    ('{"request_id":"a"}', "a", "message_type"),
    ('{"request_id":"a","message_type":"request"}', "a", "request_type"),
    ('{"request_id":"a","message_type":"request","request_type":"cook"}', "a", "data"),
    ('{"request_id":"a","message_type":"request","request_type":"cook","data":{"token":1}}', "a", "token"),
    ('{"request_id":"\\ud800","message_type":"request"}', "", "not JSON"),
    ("[" * 5000, "", "not JSON"),
    ('{"request_id":"a","message_type":"request","request_type":"cook","data":{"x":NaN}}', "", "not JSON"),
]
BAD_DATA: list[tuple[str, dict[str, Any], str]] = [
    ("cook", {"count": 0}, "count"),
    ("cook", {"count": 1001}, "count"),
    ("sell", {"count": 1.5}, "count"),
    ("cook", {"count": True}, "count"),
    ("cook", {"count": "1"}, "count"),
    ("cook", {"client": "a", "seq": 0}, "seq"),
    ("cook", {"client": "a", "seq": 2**53}, "seq"),
    ("cook", {"client": "a", "seq": 2**64}, "seq"),
    ("cook", {"client": "a"}, "together"),
    ("cook", {"seq": 1}, "together"),
    ("cook", {"client": "", "seq": 1}, "client"),
    ("cook", {"client": "x" * 65, "seq": 1}, "client"),
    ("cook", {"client": "\0", "seq": 1}, "client"),
    ("upgrade_buy", {}, "id"),
    ("upgrade_buy", {"id": "1"}, "id"),
    ("upgrade_buy", {"id": 1.0}, "id"),
    ("upgrade_buy", {"id": 2**70}, "id"),
    ("leaderboard", {"by": "email"}, "by"),
    ("name_set", {}, "name"),
    ("golden_guest", {"serve": 0}, "serve"),
    ("golden_guest", {"serve": "1"}, "serve"),
]


@pytest.mark.parametrize(("text", "request_id", "why"), INVALID)
async def test_what_is_no_request_is_answered_with_its_id_where_readable(
    game: GameServer, text: str, request_id: str, why: str
) -> None:
    """Each is an `invalid_message` that says why; the connection plays on."""
    async with player(game) as anna:
        await anna.socket.send(text)
        refused = await anna.receive()
        assert (refused["request_id"], refused["request_type"]) == (request_id, "error")
        assert refused["data"]["code"] == "invalid_message"
        assert refused["data"]["message"].startswith("invalid message: ")
        assert why in refused["data"]["message"]
        assert "session" in await anna.ask("session")


@pytest.mark.parametrize(("request_type", "data", "why"), BAD_DATA)
async def test_bad_data_is_refused_before_the_token_is_looked_at(
    game: GameServer, request_type: str, data: dict[str, Any], why: str
) -> None:
    """Shape comes first: even without a good token the answer is `invalid_message`."""
    async with player(game, "nonsense") as anna:
        refused = await anna.ask(request_type, **data)
        assert refused["code"] == "invalid_message"
        assert why in refused["message"]
        message = {"message_type": "request", "request_id": "x", "request_type": request_type, "data": data}
        await anna.socket.send(json.dumps(message))
        assert (await anna.receive())["data"] == refused


async def test_types_tokens_and_sessions_are_checked_in_this_order(game: GameServer) -> None:
    """Unknown type before the token, the token before the session, the session before the rules."""
    async with player(game) as anna:
        token, anna.token = anna.token, ""
        assert await anna.ask("dance") == {"code": "unknown_request", "message": "unknown request_type"}
        assert await anna.ask("cook") == {"code": "missing_token", "message": "missing token"}
        anna.token = "nonsense"
        assert await anna.ask("cook") == {"code": "token_invalid", "message": "token invalid"}
        anna.token = token
        required = {"code": "session_required", "message": "session required"}
        for request_type in ("cook", "level_check", "upgrade_list", "passive", "session_reset"):
            assert await anna.ask(request_type) == required
        await anna.ask("session")
        assert await anna.ask("cook") == {"code": "no_dish", "message": "can't perform this action"}


async def test_tokens_of_others_of_another_kind_and_expired_ones_are_invalid(game: GameServer) -> None:
    """A connection belongs to its first valid token's user; what is refused leaves it open."""
    invalid = {"code": "token_invalid", "message": "token invalid"}
    async with player(game) as anna:
        mine, tokens = anna.token, register(game)
        await anna.ask("session")
        claims = jwt.decode(mine, options={"verify_signature": False})
        past = {**claims, "exp": int(time.time()) - 1}
        expired = jwt.encode(past, EXTERNAL["ACCESS_TOKEN_SECRET"], algorithm="HS256")
        other_algorithm = jwt.encode(claims, EXTERNAL["ACCESS_TOKEN_SECRET"], algorithm="HS512")
        lacking = {name: value for name, value in claims.items() if name != "fam"}
        incomplete = jwt.encode(lacking, EXTERNAL["ACCESS_TOKEN_SECRET"], algorithm="HS256")
        for token in (tokens["access_token"], tokens["refresh_token"], expired, other_algorithm, incomplete):
            anna.token = token
            assert await anna.ask("level_check") == invalid
        anna.token = mine
        assert (await anna.ask("level_check"))["current_rank"] == 0


async def test_the_rules_refuse_in_their_own_words(game: GameServer) -> None:
    """Each refusal of the rules has its code and message, and changes nothing."""
    async with player(game) as anna:
        await anna.ask("session")
        await anna.ask("upgrade_buy", id=1)
        before = (await anna.ask("session"))["session"]
        assert await anna.ask("sell") == {"code": "no_dishes", "message": "not enough dishes"}
        unknown = {"code": "upgrade_not_found", "message": "upgrade not found"}
        for upgrade_id in (1, 0, -1, 82, 2**53):
            assert await anna.ask("upgrade_buy", id=upgrade_id) == unknown
        listed = (await anna.ask("upgrade_list"))["available"]
        locked = next(item for item in listed if item["access_level"] > 0)
        level = locked["access_level"]
        assert await anna.ask("upgrade_buy", id=locked["id"]) == {
            "code": "upgrade_locked",
            "message": f"upgrade locked, needs level {level}",
        }
        dear = next(item for item in listed if item["access_level"] == 0 and item["price"] > 0)
        assert await anna.ask("upgrade_buy", id=dear["id"]) == {
            "code": "not_enough_money",
            "message": f"not enough money, you have: 0, you need: {dear['price']}",
        }
        assert (await anna.ask("session"))["session"] == before


async def test_a_seq_too_far_back_is_an_invalid_message(game: GameServer) -> None:
    """63 below the highest is remembered, 64 below is refused."""
    async with player(game) as anna:
        await anna.ask("session")
        await anna.ask("upgrade_buy", id=1)
        await anna.ask("cook", client="tab", seq=100)
        assert (await anna.ask("cook", client="tab", seq=37))["applied"] == 1
        refused = await anna.ask("cook", client="tab", seq=36)
        assert refused["code"] == "invalid_message"


async def test_twenty_invalid_messages_in_a_row_close_the_connection(game: GameServer) -> None:
    """Nineteen and a good one are forgiven; twenty in a row close with 1008."""
    async with player(game) as anna:
        for _ in range(19):
            await anna.socket.send("nonsense")
            await anna.receive()
        await anna.ask("session")
        for _ in range(20):
            await anna.socket.send("nonsense")
        assert await close_code(anna.socket) == 1008


async def test_binary_long_and_broken_messages_close_the_connection(game: GameServer) -> None:
    """Binary is 1003, over 10,000 bytes 1009, text that is not UTF-8 1007."""
    async with player(game) as anna:
        await anna.socket.send(b"binary")
        assert await close_code(anna.socket) == 1003
    async with player(game) as anna:
        fits = orjson.dumps({"request_id": "x" * (10_000 - 17)})
        assert len(fits) == 10_000
        await anna.socket.send(fits.decode())
        assert (await anna.receive())["data"]["code"] == "invalid_message"
        await anna.socket.send("x" * 10_001)
        assert await close_code(anna.socket) == 1009
    async with player(game) as anna:
        await anna.socket.send(b"\xff\xfe", text=True)
        assert await close_code(anna.socket) == 1007


async def test_who_shows_no_token_is_closed_and_who_shows_an_expired_one_is_not(game: GameServer) -> None:
    """Silence and nonsense for 10 s close with 1008; an expired token of ours counts as shown."""
    tokens = register(game)
    claims = jwt.decode(tokens["access_token"], options={"verify_signature": False})
    past = {**claims, "exp": int(time.time()) - 1}
    expired = jwt.encode(past, EXTERNAL["ACCESS_TOKEN_SECRET"], algorithm="HS256")
    began_s = time.monotonic()
    async with (
        player(game, "nonsense") as outsider,
        player(game, "nonsense") as silent,
        player(game, expired) as late,
    ):
        await outsider.ask("session")
        await late.ask("session")
        assert await close_code(outsider.socket) == 1008
        assert await close_code(silent.socket) == 1008
        assert time.monotonic() - began_s >= 10
        assert (await late.ask("session"))["code"] == "token_invalid"


async def test_foreign_origins_are_refused_and_native_clients_are_not(game: GameServer) -> None:
    """A browser's foreign origin gets 403; the page's own origin and none at all may connect."""
    with pytest.raises(InvalidStatus) as refused:
        await connect(game.websocket_url, origin=Origin("https://evil.example"), open_timeout=LIMIT_S)
    assert refused.value.response.status_code == 403
    async with connect(game.websocket_url, origin=Origin(game.url), open_timeout=LIMIT_S):
        pass


@pytest.fixture(scope="module")
def limited(module_databases: dict[str, str]) -> Iterator[GameServer]:
    """A server with small limits: 2 clicks a second, 5 at once; 2 connections a user, 6 an address."""
    limits = {"CLICK_RATE": "2", "CLICK_BURST": "5", "MAX_CONNECTIONS_PER_USER": "2"}
    with running_game({**EXTERNAL, **module_databases, **limits, "MAX_CONNECTIONS_PER_IP": "6"}) as server:
        yield server


async def test_clicks_beyond_the_rate_are_refused_and_followed_by_a_pause(limited: GameServer) -> None:
    """The burst passes, more are `rate_limited`; then nothing is answered for 250 ms, in order still."""
    async with player(limited) as anna:
        await anna.ask("session")
        await anna.ask("upgrade_buy", id=1)
        began_s = time.monotonic()
        assert (await anna.ask("cook", count=5))["applied"] == 5
        asked_s = time.monotonic()
        # On a busy machine there may be new clicks before the next request.
        while "code" not in (refused := await anna.ask("cook", count=5)):
            assert refused["applied"] <= 2 * (time.monotonic() - began_s) + 1
            asked_s = time.monotonic()
        assert (refused["code"], refused["message"]) == ("rate_limited", "too many requests")
        assert 0 < refused["retry_after_ms"] <= 500
        checked = await anna.ask("level_check")
        assert time.monotonic() - asked_s >= 0.25
        assert checked["current_rank"] == 0
        assert (await anna.ask("cook", count=6))["code"] == "invalid_message"
        await asyncio.sleep(refused["retry_after_ms"] / 1000)
        applied = (await anna.ask("cook", count=5))["applied"]
        assert 1 <= applied <= 2 * (time.monotonic() - asked_s) + 1


async def test_too_many_connections_are_closed_by_their_codes(limited: GameServer) -> None:
    """The third of a user is closed with 4002, the seventh of an address with 1013; the others play on."""
    async with player(limited) as anna, player(limited, anna.token) as tablet:
        await anna.ask("session")
        await tablet.ask("session")
        async with player(limited, anna.token) as third:
            await third.send("session")
            assert await close_code(third.socket) == 4002
        async with contextlib.AsyncExitStack() as outsiders:
            for _ in range(4):
                await outsiders.enter_async_context(player(limited, "x"))
            seventh = await outsiders.enter_async_context(player(limited, "x"))
            assert await close_code(seventh.socket) == 1013
        assert "session" in await tablet.ask("session")


async def close_code(socket: ClientConnection) -> int | None:
    """Read until the server closes the connection; return its code, None where it just vanished."""
    async with asyncio.timeout(LIMIT_S):
        try:
            while True:
                await socket.recv()
        except ConnectionClosed as closed:
            return closed.rcvd.code if closed.rcvd is not None else None
