"""Players who talk to a server of the game over real sockets."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import httpx
import jwt
import orjson
from websockets.asyncio.client import ClientConnection, connect

from game.session import UserId
from tests.support.limits import LIMIT_S

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Mapping

    from tests.support.game_server import GameServer

PASSWORD = "correct horse"

EXTERNAL = {
    "ACCESS_TOKEN_SECRET": "a" * 64,
    "REFRESH_TOKEN_SECRET": "b" * 64,
    "AUTH_RATE": "0",
    "CLICK_RATE": "0",
    "MAX_CONNECTIONS_PER_IP": "0",
    "FLUSH_INTERVAL_MS": "200",
}
"""Settings of a server over external databases whose limits stop no test."""

_emails = itertools.count(1)


def register(server: GameServer, email: str | None = None) -> dict[str, str]:
    """Open an account, with an e-mail of its own where none is given; return its tokens."""
    body = {"email": email or f"player{next(_emails)}@example.com", "password": PASSWORD}
    answer = httpx.post(f"{server.url}/reg", json=body, timeout=LIMIT_S)
    answer.raise_for_status()
    tokens: dict[str, str] = answer.json()["tokens"]
    return tokens


def user_of(tokens: Mapping[str, str]) -> UserId:
    """Read whose tokens these are."""
    claims = jwt.decode(tokens["access_token"], options={"verify_signature": False})
    return UserId(int(claims["id"]))


@dataclass(slots=True)
class Player:
    """One WebSocket of a player. Answers are matched by request id; everything else is in `pushes`."""

    socket: ClientConnection
    token: str
    pushes: list[dict[str, Any]] = field(default_factory=list)
    _ids: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    async def send(self, request_type: str, **data: object) -> str:
        """Send a request with the token; return its id."""
        request_id = str(next(self._ids))
        message = {
            "message_type": "request",
            "request_id": request_id,
            "request_type": request_type,
            "data": {"token": self.token, **data},
        }
        await self.socket.send(json.dumps(message))
        return request_id

    async def receive(self) -> dict[str, Any]:
        """Return the next message, whatever it is; raises TimeoutError, or ConnectionClosed."""
        async with asyncio.timeout(LIMIT_S):
            message: dict[str, Any] = orjson.loads(await self.socket.recv())
            return message

    async def answer(self, request_id: str) -> dict[str, Any]:
        """Return the response with this id; keep what comes before it in `pushes`."""
        while True:
            message = await self.receive()
            if message["request_id"] == request_id:
                return message
            self.pushes.append(message)

    async def request(self, request_type: str, **data: object) -> dict[str, Any]:
        """Send a request and return its whole response."""
        return await self.answer(await self.send(request_type, **data))

    async def ask(self, request_type: str, **data: object) -> dict[str, Any]:
        """Send a request and return the data of its response."""
        answer: dict[str, Any] = (await self.request(request_type, **data))["data"]
        return answer

    async def push(self, request_type: str) -> dict[str, Any]:
        """Return the data of the next push of a type, among those kept first. Raises TimeoutError."""
        async with asyncio.timeout(LIMIT_S):
            while True:
                for index, message in enumerate(self.pushes):
                    if message["request_type"] == request_type:
                        data: dict[str, Any] = self.pushes.pop(index)["data"]
                        return data
                self.pushes.append(await self.receive())


async def joined(stack: contextlib.AsyncExitStack, server: GameServer, token: str) -> Player:
    """Connect one of many; the token is shown at once, as ten seconds may pass until all are connected."""
    each = await stack.enter_async_context(player(server, token))
    await each.ask("session")
    return each


@contextlib.asynccontextmanager
async def player(server: GameServer, token: str | None = None) -> AsyncIterator[Player]:
    """Connect a player, with an account of its own where no access token is given."""
    access = token or (await asyncio.to_thread(register, server))["access_token"]
    async with connect(
        server.websocket_url, open_timeout=LIMIT_S, ping_timeout=None, compression=None, max_size=None
    ) as socket:
        yield Player(socket, access)


async def click_until(each: Player, done: asyncio.Event, first_seq: int) -> int:
    """Cook with numbers until told to stop; none is refused. Return the last number."""
    seq = first_seq
    while not done.is_set():
        assert "code" not in await each.ask("cook", client="tab", seq=seq)
        seq += 1
    return seq - 1
