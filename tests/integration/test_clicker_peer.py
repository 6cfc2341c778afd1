"""The client against a scripted server: close codes, silence, answers that no real one gives."""

from __future__ import annotations

import asyncio
import base64
import itertools
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import orjson
import pytest
from websockets.asyncio.server import ServerConnection, serve

from scripts.clicker.accounts import Tokens
from scripts.clicker.client import Client, Habits
from scripts.clicker.failures import MisunderstoodError, RefusedError
from tests.support.limits import LIMIT_S

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    Act = Callable[[ServerConnection, int], Awaitable[None]]

HABITS = Habits(retry_first_s=0.01, retry_most_s=0.05, answer_timeout_s=0.4)


def token(number: int) -> str:
    """Write an access token as far as a client reads it."""
    claims = orjson.dumps({"id": "7", "exp": 4_000_000_000, "jti": number})
    return f"h.{base64.urlsafe_b64encode(claims).decode().rstrip('=')}.s"


class NumberedAccount:
    """Hands out tokens that can be told apart."""

    def __init__(self) -> None:
        self.log_ins = 0
        self.refreshes = 0
        self._numbers = itertools.count(1)

    async def log_in(self) -> Tokens:
        """Begin a family."""
        self.log_ins += 1
        return Tokens(token(next(self._numbers)), "r")

    async def refresh(self, tokens: Tokens) -> Tokens:
        """Go on with it."""
        self.refreshes += 1
        return Tokens(token(next(self._numbers)), tokens.refresh)


@asynccontextmanager
async def scripted(*acts: Act) -> AsyncIterator[str]:
    """Serve connections by `acts` in turn, the last one for all that follow; give the URL."""
    numbers = itertools.count()

    async def handle(socket: ServerConnection) -> None:
        number = next(numbers)
        await acts[min(number, len(acts) - 1)](socket, number)

    async with serve(handle, "127.0.0.1", 0) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        yield f"http://127.0.0.1:{port}"


async def receive(socket: ServerConnection) -> dict[str, Any]:
    """Return the next request."""
    request: dict[str, Any] = orjson.loads(await socket.recv())
    return request


async def reply(socket: ServerConnection, request: dict[str, Any], **data: object) -> None:
    """Answer a request; with a `code` as an error."""
    kind = "error" if "code" in data else request["request_type"]
    message = {
        "message_type": "response",
        "request_id": request["request_id"],
        "request_type": kind,
        "data": data,
    }
    await socket.send(orjson.dumps(message), text=True)


async def answer_all(socket: ServerConnection, _number: int) -> None:
    """Answer everything, as the game would."""
    async for text in socket:
        request = orjson.loads(text)
        await reply(socket, request, seq=request["data"].get("seq", 0), token=request["data"]["token"])


def close_with(code: int) -> Act:
    """Take one request, then close."""

    async def act(socket: ServerConnection, _number: int) -> None:
        await socket.recv()
        await socket.close(code)

    return act


async def test_a_client_that_is_done_closes_in_order() -> None:
    """Leaving the block ends the connection with 1000."""
    closed = asyncio.get_running_loop().create_future()

    async def act(socket: ServerConnection, number: int) -> None:
        try:
            await answer_all(socket, number)
        finally:
            closed.set_result(socket.close_code)

    async with scripted(act) as url:
        async with Client(url, NumberedAccount(), HABITS) as client, asyncio.timeout(LIMIT_S):
            await (await client.send("cook"))
        assert await asyncio.wait_for(closed, LIMIT_S) == 1000


@pytest.mark.parametrize("code", [1001, 1011, 1013, 4000, 4002])
async def test_closed_for_a_reason_that_passes_the_client_comes_back(code: int) -> None:
    """Its requests are answered on the next connection, with the numbers they had."""
    account = NumberedAccount()
    async with scripted(close_with(code), answer_all) as url, Client(url, account, HABITS) as client:
        async with asyncio.timeout(LIMIT_S):
            answers = await asyncio.gather(*[await client.send("cook") for _ in range(5)])
        assert [answer.data["seq"] for answer in answers] == [1, 2, 3, 4, 5]
        assert client.totals.closes[code] == 1
        assert account.log_ins == 1


async def test_a_revoked_log_in_is_not_refreshed() -> None:
    """After 4001 only e-mail and password help."""
    account = NumberedAccount()
    async with scripted(close_with(4001), answer_all) as url, Client(url, account, HABITS) as client:
        assert (await client.request("cook"))["token"] == token(2)
        assert (account.log_ins, account.refreshes) == (2, 0)


@pytest.mark.parametrize("code", [1002, 1003, 1007, 1009])
async def test_closed_for_its_own_fault_the_client_ends(code: int) -> None:
    """Sending the same again cannot help: the caller that waits gets the error."""
    async with scripted(close_with(code)) as url, Client(url, NumberedAccount(), HABITS) as client:
        with pytest.raises(MisunderstoodError, match=str(code)):
            await client.request("cook")
        with pytest.raises(MisunderstoodError):
            await client.request("cook")


async def test_policy_closes_are_final_when_they_repeat() -> None:
    """1008 is also what a slow server says to a token that came late, so the third in a row counts."""
    async with scripted(close_with(1008)) as url, Client(url, NumberedAccount(), HABITS) as client:
        with pytest.raises(MisunderstoodError, match="1008"):
            await client.request("cook")
        assert client.totals.closes[1008] == 3


async def test_a_silent_server_is_left() -> None:
    """Half a connection may be gone without a sign: past the limit for an answer another one is made."""

    async def say_nothing(socket: ServerConnection, _number: int) -> None:
        await socket.wait_closed()

    async with scripted(say_nothing, answer_all) as url, Client(url, NumberedAccount(), HABITS) as client:
        async with asyncio.timeout(LIMIT_S):
            assert (await client.request("cook"))["seq"] == 1
        assert client.totals.timeouts == 1


async def test_what_was_unanswered_is_sent_again_in_order() -> None:
    """Answered requests are not sent again; the others keep order and numbers, behind the `session`."""
    seen: list[list[tuple[str, int]]] = []

    async def answer_two(socket: ServerConnection, _number: int) -> None:
        requests = [await receive(socket) for _ in range(6)]
        seen.append([(each["request_type"], each["data"].get("seq", 0)) for each in requests])
        for request in requests[:3]:
            await reply(socket, request)
        await socket.close(1011)

    async def watch(socket: ServerConnection, _number: int) -> None:
        requests = [await receive(socket) for _ in range(4)]
        seen.append([(each["request_type"], each["data"].get("seq", 0)) for each in requests])
        for request in requests:
            await reply(socket, request)
        await socket.wait_closed()

    async with scripted(answer_two, watch) as url, Client(url, NumberedAccount(), HABITS) as client:
        async with asyncio.timeout(LIMIT_S):
            await asyncio.gather(*[await client.send("cook") for _ in range(5)])
    assert seen == [
        [("session", 0), ("cook", 1), ("cook", 2), ("cook", 3), ("cook", 4), ("cook", 5)],
        [("session", 0), ("cook", 3), ("cook", 4), ("cook", 5)],
    ]


@pytest.mark.parametrize("code", ["rate_limited", "unavailable"])
async def test_refused_for_the_moment_a_request_waits_as_long_as_it_is_told(code: str) -> None:
    """It comes again with its number after `retry_after_ms`; new ones wait too."""
    moments: list[float] = []

    async def refuse_once(socket: ServerConnection, _number: int) -> None:
        await reply(socket, await receive(socket))
        for data in ({"code": code, "retry_after_ms": 200, "maybe_applied": True}, {}):
            request = await receive(socket)
            moments.append(asyncio.get_running_loop().time())
            await reply(socket, request, seq=request["data"]["seq"], **data)
        await socket.wait_closed()

    async with scripted(refuse_once) as url, Client(url, NumberedAccount(), HABITS) as client:
        assert (await client.request("cook"))["seq"] == 1
    assert moments[1] - moments[0] >= 0.2


async def test_other_refusals_are_the_callers() -> None:
    """They carry the contract's code and data."""

    async def refuse(socket: ServerConnection, _number: int) -> None:
        async for text in socket:
            await reply(socket, orjson.loads(text), code="no_dish", message="can't perform this action")

    async with scripted(refuse) as url, Client(url, NumberedAccount(), HABITS) as client:
        with pytest.raises(RefusedError, match="can't perform this action") as refused:
            await client.request("cook")
        assert refused.value.code == "no_dish"


async def test_an_applied_number_that_the_server_forgot_is_counted_as_lost() -> None:
    """`last_seq` below what was answered: Redis lost its last seconds."""

    async def know_nothing(socket: ServerConnection, number: int) -> None:
        async for text in socket:
            request = orjson.loads(text)
            await reply(socket, request, **({"last_seq": 0} if request["request_type"] == "session" else {}))
            if number == 0 and request["data"].get("seq") == 2:
                await socket.close(1011)

    async with scripted(know_nothing) as url, Client(url, NumberedAccount(), HABITS) as client:
        await client.request("cook")
        await client.request("cook")
        async with asyncio.timeout(LIMIT_S):
            await client.request("level_check")
            while client.totals.lost == 0:
                await client.request("session")
        assert client.totals.lost >= 2


async def test_versions_that_go_backwards_are_named() -> None:
    """On one connection they may only grow."""

    async def go_back(socket: ServerConnection, _number: int) -> None:
        await reply(socket, await receive(socket), version=5)
        await reply(socket, await receive(socket), version=4)
        await socket.wait_closed()

    async with scripted(go_back) as url, Client(url, NumberedAccount(), HABITS, name="tab") as client:
        await client.request("cook")
        assert client.totals.went_back == ["tab: cook of 4 after 5"]
