"""The Python library's I/O against a scripted server: it does what the core decides, and says what it did."""

from __future__ import annotations

import asyncio
import base64
import itertools
import json
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest
from websockets.asyncio.server import ServerConnection, serve

from clients.python.clickcook import (
    Account,
    Changed,
    Client,
    Drop,
    Ended,
    Joined,
    LoggedOut,
    MemoryStore,
    NoDish,
    NotSent,
    Options,
    Push,
    Settle,
    StatusChanged,
    Tokens,
    Unreachable,
    connect,
)
from scripts.ports import free_port
from tests.support.limits import LIMIT_S

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    Act = Callable[[ServerConnection, int], Awaitable[None]]

OPTIONS = Options(retry_first_ms=10, retry_most_ms=50, crowded_ms=10)
SESSION = {
    "user_id": 7,
    "user_email": "a@example.com",
    "money": 3,
    "dishes": 2,
    "level": {"rank": 0, "xp": 0},
    "prestige": {"current_value": 0, "current_boost_value": 0, "accumulated_value": 0},
    "upgrades": {"available": [], "current": []},
}


def token(number: int) -> str:
    """Write an access token as far as a client reads it."""
    claims = json.dumps({"id": "7", "iat": 0, "exp": 900, "jti": number}).encode()
    return f"h.{base64.urlsafe_b64encode(claims).decode().rstrip('=')}.s"


class NumberedAccount(Account):
    """Hands out tokens that can be told apart, without a server."""

    def __init__(self, url: str) -> None:
        super().__init__(url, MemoryStore(Tokens(token(0), "r")))
        self.renewals = 0

    async def renewed(self, refused: str | None) -> Tokens:
        """Give the stored pair, and another one where that was refused."""
        tokens = self.store.load()
        if tokens is None or tokens.access == refused:
            self.renewals += 1
            tokens = Tokens(token(self.renewals), "r")
            self.store.save(tokens)
        return tokens


def client_of(url: str, options: Options = OPTIONS) -> Client:
    """Make a client that has a log-in."""
    return Client(NumberedAccount(url), options=options)


@asynccontextmanager
async def scripted(*acts: Act) -> AsyncIterator[str]:
    """Serve connections by `acts` in turn, the last one for all that follow; give the URL."""
    numbers = itertools.count()

    async def handle(socket: ServerConnection) -> None:
        number = next(numbers)
        await acts[min(number, len(acts) - 1)](socket, number)

    async with serve(handle, "127.0.0.1", 0) as server:
        yield f"http://127.0.0.1:{next(iter(server.sockets)).getsockname()[1]}"


async def receive(socket: ServerConnection) -> dict[str, Any]:
    """Return the next request."""
    request: dict[str, Any] = json.loads(await socket.recv())
    return request


async def reply(socket: ServerConnection, request: dict[str, Any], **data: object) -> None:
    """Answer a request; with a `code` as an error."""
    if request["request_type"] == "session":
        data = {"session": SESSION, "version": 1, "last_seq": 0, **data}
    message = {
        "message_type": "response",
        "request_id": request["request_id"],
        "request_type": "error" if "code" in data else request["request_type"],
        "data": data,
    }
    await socket.send(json.dumps(message))


async def answer_all(socket: ServerConnection, _number: int) -> None:
    """Answer everything, as the game would."""
    async for text in socket:
        request = json.loads(text)
        await reply(socket, request, seq=request["data"].get("seq", 0), token=request["data"]["token"])


def close_with(code: int) -> Act:
    """Take one request, then close."""

    async def act(socket: ServerConnection, _number: int) -> None:
        await socket.recv()
        await socket.close(code)

    return act


async def test_a_client_that_is_done_closes_in_order() -> None:
    """Leaving the block ends the connection with 1000, once everything is answered."""
    closed = asyncio.get_running_loop().create_future()

    async def act(socket: ServerConnection, number: int) -> None:
        try:
            await answer_all(socket, number)
        finally:
            closed.set_result(socket.close_code)

    async with scripted(act) as url:
        async with asyncio.timeout(LIMIT_S), client_of(url) as client:
            future = await client.send("cook")
        assert future.result().data["seq"] == 1
        assert await asyncio.wait_for(closed, LIMIT_S) == 1000


@pytest.mark.parametrize("code", [1001, 1013, 4000, 4001, 4002])
async def test_closed_for_a_reason_that_passes_the_client_comes_back(code: int) -> None:
    """Its requests are answered on the next connection with their numbers, after 4001 by another token."""
    async with scripted(close_with(code), answer_all) as url, client_of(url) as client:
        async with asyncio.timeout(LIMIT_S):
            answers = await asyncio.gather(*[client.request("cook") for _ in range(5)])
        assert [answer["seq"] for answer in answers] == [1, 2, 3, 4, 5]
        assert {answer["token"] for answer in answers} == {token(1 if code == 4001 else 0)}


async def test_closed_for_its_own_fault_the_client_ends() -> None:
    """Those who wait hear that the conversation ended; later calls hear why."""
    async with scripted(close_with(1009)) as url, client_of(url) as client:
        with pytest.raises(NotSent, match="client_fault") as error:
            await client.cook()
        assert not error.value.maybe_applied
        with pytest.raises(Ended, match="client_fault"):
            await client.cook()


async def test_a_silent_server_is_left() -> None:
    """Half a connection may be gone without a sign: past the limit for an answer another one is made."""
    seen = []

    async def say_nothing(socket: ServerConnection, _number: int) -> None:
        await socket.wait_closed()

    options = Options(retry_first_ms=10, answer_timeout_ms=300)
    async with scripted(say_nothing, answer_all) as url, client_of(url, options) as client:
        client.subscribe(lambda event: seen.append(event) if isinstance(event, Drop) else None)
        async with asyncio.timeout(LIMIT_S):
            assert (await client.request("cook"))["seq"] == 1
        assert len(seen) >= 1


async def test_an_address_that_takes_no_connection_is_left() -> None:
    """A server that accepts and never answers the handshake: the attempt ends and another one is made."""
    accepted = asyncio.Semaphore(0)

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        accepted.release()
        await reader.read()
        writer.close()

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    async with server, client_of(url, Options(retry_first_ms=10, answer_timeout_ms=200)) as client:
        async with asyncio.timeout(LIMIT_S):
            await accepted.acquire()
            await accepted.acquire()
        assert client.status.name in ("connecting", "waiting")
        await client.close(within_s=0)


async def test_refusals_are_typed() -> None:
    """They carry the contract's code and data."""

    async def refuse(socket: ServerConnection, _number: int) -> None:
        await reply(socket, await receive(socket))
        async for text in socket:
            await reply(socket, json.loads(text), code="no_dish", message="can't perform this action")

    async with scripted(refuse) as url, client_of(url) as client, asyncio.timeout(LIMIT_S):
        with pytest.raises(NoDish, match="can't perform this action") as refused:
            await client.cook()
        assert refused.value.code == "no_dish"


async def test_a_refused_token_is_renewed() -> None:
    """The request is sent again with the new one, and its caller notices nothing."""

    async def refuse_the_first(socket: ServerConnection, _number: int) -> None:
        async for text in socket:
            request = json.loads(text)
            is_old = request["data"]["token"] == token(0)
            refusal = {"code": "token_invalid", "message": "token invalid"}
            await reply(socket, request, **(refusal if is_old else {"token": request["data"]["token"]}))

    async with scripted(refuse_the_first) as url, client_of(url) as client, asyncio.timeout(LIMIT_S):
        assert (await client.request("cook"))["token"] == token(1)


async def test_what_could_not_be_sent_is_named_at_the_end() -> None:
    """A server that answers the session alone: the end names the request that may have counted."""

    async def answer_session(socket: ServerConnection, _number: int) -> None:
        await reply(socket, await receive(socket))
        await socket.wait_closed()

    async with scripted(answer_session) as url, client_of(url) as client:
        joined = asyncio.Event()
        client.subscribe(lambda event: joined.set() if isinstance(event, Joined) else None)
        future = await client.send("sell", count=2)
        async with asyncio.timeout(LIMIT_S):
            await joined.wait()
        (unsent,) = await client.close(within_s=0)
        assert (unsent.request_type, unsent.data, unsent.seq) == ("sell", {"count": 2}, 1)
        assert unsent.maybe_applied
        with pytest.raises(NotSent, match="stopped") as error:
            await future
        assert error.value.maybe_applied


async def test_subscribers_hear_everything_in_order_and_until_they_leave() -> None:
    """Of pushes, of changes of state and of the status."""
    heard: list[object] = []
    changed = asyncio.Event()

    async def push(socket: ServerConnection, number: int) -> None:
        request = await receive(socket)
        await reply(socket, request)
        data = {"dishes": 9, "xp": 1, "applied": 1, "version": 2}
        message = {"message_type": "response", "request_id": "", "request_type": "cook", "data": data}
        await socket.send(json.dumps(message))
        await answer_all(socket, number)

    async with scripted(push) as url, client_of(url) as client, asyncio.timeout(LIMIT_S):

        def hear(event: object) -> None:
            heard.append(event)
            if isinstance(event, Changed) and event.game is not None and event.game.dishes == 9:
                changed.set()

        leave = client.subscribe(hear)
        await changed.wait()
        assert any(isinstance(event, Push) for event in heard)
        assert [event.status.name for event in heard if isinstance(event, StatusChanged)][-1] == "joined"
        assert [event.game.dishes for event in heard if isinstance(event, Changed) and event.game] == [2, 9]
        leave()
        count = len(heard)
        await client.request("level_check")
        assert len(heard) == count


async def test_a_subscriber_that_fails_ends_nothing_and_is_not_hidden(loop_errors: list[str]) -> None:
    """Its exception reaches the loop's handler; the others hear on, and requests are answered."""
    heard: list[object] = []

    def fail(event: object) -> None:
        raise RuntimeError(f"a subscriber's fault at {event}")

    async with scripted(answer_all) as url, client_of(url) as client, asyncio.timeout(LIMIT_S):
        client.subscribe(fail)
        client.subscribe(heard.append)
        assert (await client.request("cook"))["seq"] == 1
        assert any(isinstance(event, Settle) for event in heard)
    assert any("a subscriber's fault" in error for error in loop_errors)
    loop_errors.clear()


async def test_an_answer_against_the_contract_ends_the_conversation(loop_errors: list[str]) -> None:
    """A session without its parts: nobody waits for ever, and the fault is not hidden."""

    async def answer_nonsense(socket: ServerConnection, _number: int) -> None:
        await reply(socket, await receive(socket), session={"money": 1})
        await socket.wait_closed()

    async with scripted(answer_nonsense) as url, client_of(url) as client, asyncio.timeout(LIMIT_S):
        with pytest.raises(NotSent):
            await client.cook()
    assert any("KeyError" in error for error in loop_errors)
    loop_errors.clear()


async def test_without_a_log_in_nothing_can_be_asked() -> None:
    """And an address where nobody answers says so at the first request over HTTP."""
    async with connect(f"http://127.0.0.1:{free_port()}") as client:
        with pytest.raises(LoggedOut, match="log in first"):
            await client.cook()
        with pytest.raises(Unreachable, match="nobody answers"):
            await client.guest()
