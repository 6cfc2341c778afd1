"""A client of the game as one existed before this server: what it sends, what it reads, when it gives up."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import httpx
import orjson
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosedError

from tests.support.limits import LIMIT_S
from tests.support.players import PASSWORD

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from tests.support.game_server import GameServer

MAX_ERRORS: Final = 15
ERRORS_WITHIN_S: Final = 3.0
UNSENT_BYTES: Final = 2**24
CHANGES: Final = frozenset({"cook", "sell", "upgrade_buy", "level_up", "session_reset", "passive"})
KNOWN: Final = CHANGES | {"session", "upgrade_list", "level_check", "error"}


class LoggedOut(Exception):  # noqa: N818 - what it does to its player
    """The client has thrown its player out; the text says why."""


@dataclass(frozen=True, slots=True)
class _Asked:
    """A request without an answer, and the access token that it was sent with."""

    request_type: str
    data: dict[str, Any]
    token: str


@dataclass(slots=True)
class LegacyClient:
    """One tab of that client, without its pictures: what it shows is in its fields.

    It counts its requests from "1" on each connection, knows neither `client`, `seq`, `count` nor `version`,
    and asks for the level after every change. What meets `token invalid` is sent again after a refresh, but
    not a `session`. A field that it reads and does not find is a KeyError; a kind of message that it does not
    know, of which it would warn, fails the test.
    """

    server: GameServer
    email: str
    tokens: dict[str, str] = field(default_factory=dict)
    money: float = 0
    dishes: float = 0
    rank: int = 0
    xp: float = 0
    needed_xp: float | None = None
    stars: dict[str, float] = field(default_factory=dict)
    available: dict[int, dict[str, Any]] = field(default_factory=dict)
    current: dict[int, dict[str, Any]] = field(default_factory=dict)
    heard: list[dict[str, Any]] = field(default_factory=list)
    refreshes: int = 0
    errors_within_s: float = ERRORS_WITHIN_S
    _socket: ClientConnection | None = None
    _last_id: int = 0
    _waiting: dict[str, _Asked] = field(default_factory=dict)
    _error_moments: deque[float] = field(default_factory=deque)
    _news: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def enter(self, path: str) -> None:
        """Post the form of `/reg` or `/auth`, as browsers do it: multipart."""
        form = {"email": (None, self.email), "password": (None, PASSWORD)}
        async with httpx.AsyncClient() as http:
            answer = await http.post(f"{self.server.url}{path}", files=form, timeout=LIMIT_S)
        self._keep(answer)

    @contextlib.asynccontextmanager
    async def connected(self) -> AsyncIterator[ClientConnection]:
        """Open a connection and read it until the block ends; raises LoggedOut within a group.

        Requests without an answer are forgotten with their connection.
        """
        # A page never waits for its own sending.
        async with connect(
            self.server.websocket_url, open_timeout=LIMIT_S, ping_timeout=None, write_limit=UNSENT_BYTES
        ) as socket:
            self._socket, self._last_id, self._waiting = socket, 0, {}
            async with asyncio.TaskGroup() as tasks:
                reader = tasks.create_task(self._read(socket))
                yield socket
                reader.cancel()

    async def send(self, request_type: str, **data: object) -> None:
        """Send a request without waiting for its answer."""
        assert self._socket is not None
        self._last_id += 1
        token = self.tokens["access_token"]
        self._waiting[str(self._last_id)] = _Asked(request_type, data, token)
        message = {
            "message_type": "request",
            "request_id": str(self._last_id),
            "request_type": request_type,
            "data": {"token": token, **data},
        }
        await self._socket.send(orjson.dumps(message).decode())

    async def play(self, request_type: str, **data: object) -> None:
        """Send a request, and wait until it and what followed from it are answered."""
        await self.send(request_type, **data)
        await self.until(lambda: not self.busy)

    async def until(self, arrived: Callable[[], bool]) -> None:
        """Wait until what came has brought something about; raises TimeoutError."""
        async with asyncio.timeout(LIMIT_S), self._news:
            await self._news.wait_for(arrived)

    @property
    def busy(self) -> bool:
        """Whether a request has no answer yet."""
        return bool(self._waiting)

    def errors(self) -> list[str]:
        """Return the codes of all errors so far."""
        return [one["data"]["code"] for one in self.heard if one["request_type"] == "error"]

    async def _read(self, socket: ClientConnection) -> None:
        with contextlib.suppress(ConnectionClosedError):
            async for text in socket:
                await self._hear(orjson.loads(text))
                async with self._news:
                    self._news.notify_all()

    async def _hear(self, message: dict[str, Any]) -> None:
        self.heard.append(message)
        assert message["message_type"] == "response"
        request_id, kind, data = message["request_id"], message["request_type"], message["data"]
        assert kind in KNOWN
        asked = self._answered(request_id) if request_id else None
        if kind == "error":
            await self._take_error(data, asked)
            return
        assert asked is None or asked.request_type == kind
        self._take(kind, data)
        if kind in CHANGES:
            await self.send("level_check")

    def _answered(self, request_id: str) -> _Asked:
        assert next(iter(self._waiting)) == request_id, "answers come in the order of their requests"
        return self._waiting.pop(request_id)

    async def _take_error(self, data: dict[str, Any], asked: _Asked | None) -> None:
        now_s = asyncio.get_running_loop().time()
        self._error_moments.append(now_s)
        while self._error_moments[0] < now_s - self.errors_within_s:
            self._error_moments.popleft()
        if len(self._error_moments) >= MAX_ERRORS:
            raise LoggedOut(
                f"{MAX_ERRORS} errors within {self.errors_within_s} s: {self.errors()[-MAX_ERRORS:]}"
            )
        if data["message"] == "token invalid" and asked is not None:
            if asked.token == self.tokens["access_token"]:
                await self._refresh()
            if asked.request_type != "session":
                await self.send(asked.request_type, **asked.data)

    async def _refresh(self) -> None:
        headers = {"Authorization": f"Bearer {self.tokens['refresh_token']}"}
        async with httpx.AsyncClient() as http:
            answer = await http.post(
                f"{self.server.url}/refresh", headers=headers, content=b"undefined", timeout=LIMIT_S
            )
        self._keep(answer)
        self.refreshes += 1

    def _keep(self, answer: httpx.Response) -> None:
        body = answer.json()
        if body["status"] != 0:
            raise LoggedOut(body["message"])
        self.tokens = {name: body["tokens"][name] for name in ("access_token", "refresh_token")}

    def _take(self, kind: str, data: dict[str, Any]) -> None:
        match kind:
            case "session":
                session = data["session"]
                assert isinstance(session["user_id"], int)
                assert session["user_email"] == self.email
                self.money, self.dishes = session["money"], session["dishes"]
                self.rank, self.xp = session["level"]["rank"], session["level"]["xp"]
                self._take_stars(session["prestige"])
                self._take_upgrades(session["upgrades"])
            case "cook":
                self.dishes, self.xp = data["dishes"], data["xp"]
            case "sell":
                self.dishes, self.money, self.xp = data["dishes"], data["money"], data["xp"]
            case "upgrade_buy":
                self.money, self.xp = data["money"], data["xp"]
                bought = self.current.setdefault(data["id"], self.available[data["id"]])
                bought["times_bought"] = data["times_bought"]
            case "upgrade_list":
                self._take_upgrades(data)
            case "level_check":
                self.rank, self.xp = data["current_rank"], data["current_xp"]
                self.needed_xp = data.get("needed_xp")
            case "level_up":
                self.rank, self.xp = data["current_rank"], data["current_xp"]
                self.needed_xp = data.get("next_xp", self.needed_xp)
            case "session_reset":
                assert data["message"] == "success"
                self.money, self.dishes = data["money"], data["dishes"]
                self.rank, self.xp = data["level_rank"], data["level_xp"]
                self._take_stars(data["prestige"])
                self.current = {}
            case "passive":
                self.money, self.dishes = data["money"], data["dishes"]
                self.rank, self.xp = data["level_rank"], data["level_xp"]
                self.stars["accumulated_value"] = data["prestige_accumulated"]

    def _take_stars(self, prestige: dict[str, Any]) -> None:
        names = ("current_value", "current_boost_value", "accumulated_value")
        self.stars = {name: prestige[name] for name in names}

    def _take_upgrades(self, lists: dict[str, Any]) -> None:
        self.available, self.current = (
            {item["id"]: self._upgrade(item) for item in lists[name]} for name in ("available", "current")
        )

    def _upgrade(self, item: dict[str, Any]) -> dict[str, Any]:
        names = ("name", "icon_name", "upgrade_type", "price_factor", "price", "access_level", "times_bought")
        boost = {name: item["boost"][name] for name in ("id", "boost_type", "value")}
        return {"boost": boost, **{name: item[name] for name in names}}
