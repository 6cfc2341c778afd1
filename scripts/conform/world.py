"""What the rows play with: a server known by its address alone, players and raw connections."""

from __future__ import annotations

import asyncio
import contextlib
import json
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import httpx
import yaml
from jsonschema import Draft202012Validator
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    Play = Callable[["World"], Awaitable[None]]

ANSWER_WITHIN_S: Final = 20.0
PASSWORD: Final = "correct horse 7 battery"  # noqa: S105 - of accounts that live as long as the run
_SCHEMAS: Final = Path(__file__).parents[2] / "docs" / "asyncapi.yaml"
_MOST_WAITS: Final = 5


class BrokenError(Exception):
    """The server does not do what the contract says; the text says how."""


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the contract, and what plays it; `play` raises BrokenError where the server breaks it."""

    area: str
    says: str
    play: Play


def same(expected: object, found: object, what: str) -> None:
    """Raise BrokenError unless a value is the expected one."""
    if expected != found or isinstance(expected, bool) != isinstance(found, bool):
        raise BrokenError(f"{what}: {str(found)[:200]!r} in place of {expected!r}")


def holds(true: object, what: str) -> None:
    """Raise BrokenError unless something is true."""
    if not true:
        raise BrokenError(what)


@dataclass(frozen=True, slots=True)
class Pair:
    """The tokens of a log-in."""

    access: str
    refresh: str


class Socket:
    """A raw connection: what is sent and heard is the row's own business."""

    def __init__(self, world: World, socket: ClientConnection, token: str) -> None:
        self.raw = socket
        self.token = token
        self.pushes: list[dict[str, Any]] = []
        self._world = world
        self._last_id = 0

    async def send(self, request_type: str, request_id: str = "", **data: Any) -> str:
        """Send a request with the token, or with another one in `data`; return its id."""
        self._last_id += 1
        request_id = request_id or str(self._last_id)
        message = {"message_type": "request", "request_id": request_id, "request_type": request_type}
        await self.raw.send(json.dumps({**message, "data": {"token": self.token, **data}}))
        return request_id

    async def receive(self) -> dict[str, Any]:
        """Return the next message, after its shape was held against asyncapi.yaml."""
        message: dict[str, Any] = json.loads(await self.raw.recv())
        self._world.check_shape(message)
        return message

    async def answer(self) -> dict[str, Any]:
        """Return the next message that is an answer; pushes are kept."""
        while True:
            message = await self.receive()
            if message["request_id"] or message["request_type"] == "error":
                return message
            self.pushes.append(message)

    async def ask(self, request_type: str, **data: Any) -> dict[str, Any]:
        """Send a request and return the data of its answer, which may be an error's."""
        request_id = await self.send(request_type, **data)
        message = await self.answer()
        same(request_id, message["request_id"], f"the request_id of the answer to {request_type}")
        answer: dict[str, Any] = message["data"]
        return answer

    async def refused(self, code: str, request_type: str, **data: Any) -> dict[str, Any]:
        """Send a request that must be refused with a code."""
        answer = await self.ask(request_type, **data)
        same(code, answer.get("code"), f"the answer to {request_type} with {data}")
        return answer

    async def push(self, request_type: str) -> dict[str, Any]:
        """Return the data of the next push of a kind."""
        while True:
            for message in self.pushes:
                if message["request_type"] == request_type:
                    self.pushes.remove(message)
                    data: dict[str, Any] = message["data"]
                    return data
            self.pushes.append(await self.receive())

    async def close_code(self) -> int:
        """Read to the end and return the close code."""
        with contextlib.suppress(ConnectionClosed):
            while True:
                await self.raw.recv()
        return self.raw.close_code or 0


class World:
    """A server at `url`."""

    def __init__(self, url: str, http: httpx.AsyncClient) -> None:
        self.url = url.rstrip("/")
        self.http = http
        document = yaml.safe_load(_SCHEMAS.read_text(encoding="utf-8"))
        components = document["components"]
        self._shapes = {
            name: Draft202012Validator({"components": components, "$ref": f"#/components/schemas/{name}"})
            for name in components["schemas"]
        }

    def check_shape(self, message: dict[str, Any]) -> None:
        """Raise BrokenError where a message is not as asyncapi.yaml describes its kind."""
        kind = message.get("request_type", "")
        name = "".join(part.title() for part in kind.split("_"))
        name += "" if kind == "error" else "Push" if message.get("request_id") == "" else "Response"
        holds(name in self._shapes, f"a message of a kind that nobody knows: {str(message)[:200]}")
        fault = next(self._shapes[name].iter_errors(message), None)
        holds(fault is None, f"{name} is not as described: {fault and fault.message[:200]}")

    async def post(
        self, path: str, body: object = None, bearer: str = "", method: str = "POST", **more: Any
    ) -> httpx.Response:
        """Send a request; where the server says that it is busy, again when it said."""
        headers = {"Authorization": f"Bearer {bearer}"} if bearer else {}
        headers |= more.pop("headers", {})
        if body is not None:
            more["json"] = body
        for _ in range(_MOST_WAITS):
            answer = await self.http.request(method, self.url + path, headers=headers, **more)
            if answer.status_code != httpx.codes.TOO_MANY_REQUESTS:
                return answer
            await asyncio.sleep(min(float(answer.headers.get("Retry-After", 1)), ANSWER_WITHIN_S / 4))
        return answer

    async def refusal(self, expected: tuple[int, int], path: str, *args: Any, **more: Any) -> str:
        """Send a request that must be refused with an HTTP status and the contract's; return the message."""
        answer = await self.post(path, *args, **more)
        body = answer.json()
        same(expected, (answer.status_code, body.get("status")), f"the answer of {path}")
        message: str = body["message"]
        return message

    @staticmethod
    def new_email() -> str:
        """Make an address that nobody has."""
        return f"conform-{secrets.token_hex(8)}@example.com"

    async def pair(self, path: str, body: object = None, bearer: str = "") -> Pair:
        """Send a request that must bring a pair of tokens."""
        answer = await self.post(path, body, bearer)
        same(200, answer.status_code, f"the status of {path} ({answer.text[:200]})")
        same(0, answer.json()["status"], f"the status in the body of {path}")
        tokens = answer.json()["tokens"]
        return Pair(tokens["access_token"], tokens["refresh_token"])

    async def register(self, email: str = "") -> Pair:
        """Open an account."""
        return await self.pair("/reg", {"email": email or self.new_email(), "password": PASSWORD})

    @contextlib.asynccontextmanager
    async def socket(self, token: str = "") -> AsyncIterator[Socket]:
        """Connect, with the token of a new player where none is given; nothing is sent."""
        token = token or (await self.register()).access
        url = "ws" + self.url.removeprefix("http") + "/ws"
        async with connect(url, compression=None, close_timeout=1, max_size=2**24) as raw:
            yield Socket(self, raw, token)

    @contextlib.asynccontextmanager
    async def cook(self, token: str = "") -> AsyncIterator[Socket]:
        """Connect as a player who has a session and the first dish."""
        async with self.socket(token) as player:
            await player.ask("session")
            await player.ask("upgrade_buy", id=1)
            yield player
