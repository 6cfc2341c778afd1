"""Players who click, lose their connections and send again what was not answered."""

from __future__ import annotations

import asyncio
import contextlib
import json
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import httpx
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake

if TYPE_CHECKING:
    import random
    from collections.abc import Awaitable, Callable

    from scripts.soak.stage import Stage

PASSWORD: Final = "correct horse"  # noqa: S105 - of accounts that live as long as the soak
SANDWICH: Final = 1
MOST_UNANSWERED: Final = 32
"""Half of what the server remembers of a client."""

_ANSWER_WITHIN_S: Final = 15.0
_LAST_WORDS_WITHIN_S: Final = 60.0
_MEAN_STAY_S: Final = 20.0
_MEAN_CLICK_S: Final = 0.4
_LAST_CLICKS: Final = 5
_PAUSE_S: Final = 0.5
_DOZES: Final = 0.02


@dataclass(slots=True)
class Tally:
    """What the players saw, over all of them."""

    answered: int = 0
    duplicates: int = 0
    copies: int = 0
    connections: int = 0
    refreshes: int = 0
    refused: dict[str, int] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)
    """What must never be: a change lost or counted twice, a version that goes backwards, an odd answer."""


class Player:
    """One account with one client. It cooks twice for each dish it sells, so what it must own is known."""

    def __init__(
        self, number: int, stage: Stage, tally: Tally, chance: random.Random, *, patience: float = 1
    ) -> None:
        self._answer_within_s = patience * _ANSWER_WITHIN_S
        self._last_words_within_s = patience * _LAST_WORDS_WITHIN_S
        self._name = f"player{number}"
        self._url = stage.url
        self._websocket_url = stage.websocket_url
        self._tally = tally
        self._chance = chance
        self._tokens: dict[str, str] = {}
        self._seq = 0
        self._unanswered: dict[int, str] = {}
        self._applied = {"cook": 0, "sell": 0}
        self._version = 0
        self._socket: ClientConnection | None = None

    async def play(self, http: httpx.AsyncClient, over: asyncio.Event) -> None:
        """Play until it is over, settle what is unanswered, and compare with what the server has."""
        await self._register(http)
        while not over.is_set():
            await self._connect(http, partial(self._click_until, over))
            await asyncio.sleep(self._chance.uniform(0, _PAUSE_S))
        try:
            async with asyncio.timeout(self._last_words_within_s):
                while self._unanswered:
                    await self._connect(http, self._settle)
                    await asyncio.sleep(_PAUSE_S)
                compared = False
                while not compared:
                    compared = await self._connect(http, self._compare)
                    await asyncio.sleep(0 if compared else _PAUSE_S)
        except TimeoutError:
            self._fault(f"could not settle {len(self._unanswered)} requests")

    async def look_on(self) -> None:
        """Be the player's second tab, until cancelled: hear what the first does, at times without reading."""
        while True:
            await asyncio.sleep(self._chance.uniform(0, _PAUSE_S))
            if not self._tokens:
                continue
            message = {"message_type": "request", "request_id": "ask", "request_type": "session"}
            stay_s = self._chance.expovariate(1 / _MEAN_STAY_S)
            with contextlib.suppress(ConnectionClosed, InvalidHandshake, OSError, TimeoutError):
                async with connect(self._websocket_url, compression=None, close_timeout=1) as socket:
                    data = {"token": self._tokens["access_token"]}
                    await socket.send(json.dumps({**message, "data": data}))
                    await self._hear(socket, stay_s)

    async def _hear(self, socket: ClientConnection, stay_s: float) -> None:
        version = 0
        async with asyncio.timeout(stay_s):
            while True:
                data = json.loads(await socket.recv())["data"]
                if data.get("version", version) < version:
                    self._fault(f"saw version {data['version']} after {version} in its second tab")
                version = data.get("version", version)
                self._tally.copies += 1
                if self._chance.random() < _DOZES:
                    await asyncio.sleep(_PAUSE_S * 4)

    async def _register(self, http: httpx.AsyncClient) -> None:
        body = {"email": f"{self._name}@example.com", "password": PASSWORD}
        while True:
            answer = await http.post(f"{self._url}/reg", json=body)
            if answer.status_code == httpx.codes.OK:
                self._tokens = answer.json()["tokens"]
                return
            await asyncio.sleep(_PAUSE_S)

    async def _refresh(self, http: httpx.AsyncClient) -> None:
        """Get the next pair; where a reply was lost the same token yields it once more."""
        bearer = {"Authorization": f"Bearer {self._tokens['refresh_token']}"}
        with contextlib.suppress(httpx.TransportError):
            answer = await http.post(f"{self._url}/refresh", headers=bearer)
            if answer.status_code == httpx.codes.OK:
                self._tokens = answer.json()["tokens"]
                self._tally.refreshes += 1
            elif answer.status_code == httpx.codes.UNAUTHORIZED:
                self._fault("its refresh token was refused")

    async def _connect(self, http: httpx.AsyncClient, work: Callable[[], Awaitable[None]]) -> bool:
        """Do something on a connection of its own; False where it did not come to its end."""
        self._version = 0
        try:
            async with connect(self._websocket_url, compression=None, close_timeout=1) as socket:
                self._socket = socket
                self._tally.connections += 1
                session = await self._ask("session", client=self._name)
                if session["request_type"] == "error":
                    if session["data"]["code"] == "token_invalid":
                        await self._refresh(http)
                    return False
                await work()
                if self._chance.random() < 0.5:  # noqa: PLR2004 - half of them leave like a lost network
                    socket.transport.abort()
                return True
        except (ConnectionClosed, InvalidHandshake, OSError, TimeoutError):
            return False

    async def _click_until(self, over: asyncio.Event) -> None:
        """Click for a while, or until all is over, and leave in the middle of a burst."""
        loop = asyncio.get_running_loop()
        end_s = loop.time() + self._chance.expovariate(1 / _MEAN_STAY_S)
        await self._send_again()
        while loop.time() < end_s and not over.is_set():
            await self._click()
            next_s = loop.time() + self._chance.expovariate(1 / _MEAN_CLICK_S)
            while loop.time() < next_s:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(max(0.0, next_s - loop.time())):
                        if not self._take(await self._receive()):
                            return
        for _ in range(_LAST_CLICKS):
            await self._click()  # whose answers nobody waits for

    async def _click(self) -> None:
        if len(self._unanswered) < MOST_UNANSWERED:
            self._seq += 1
            self._unanswered[self._seq] = "sell" if self._seq % 3 == 1 and self._seq > 1 else "cook"
            await self._send(self._seq)

    async def _settle(self) -> None:
        await self._send_again()
        while self._unanswered and self._take(await self._receive_in_time()):
            pass

    async def _compare(self) -> None:
        session = (await self._ask("session", client=self._name))["data"]["session"]
        cooked, sold = self._applied["cook"], self._applied["sell"]
        if (session["dishes"], session["money"]) != (cooked - sold, sold):
            found = f"{session['dishes']} dishes and {session['money']} money"
            self._fault(f"has {found} after {cooked} cooks and {sold} sells")

    async def _send_again(self) -> None:
        await self._ask("upgrade_buy", id=SANDWICH)
        for seq in sorted(self._unanswered):
            await self._send(seq)

    async def _send(self, seq: int) -> None:
        await self._say(f"s{seq}", self._unanswered[seq], client=self._name, seq=seq)

    async def _say(self, request_id: str, request_type: str, **data: object) -> None:
        data["token"] = self._tokens["access_token"]
        message = {"message_type": "request", "request_id": request_id, "request_type": request_type}
        if self._socket is not None:
            await self._socket.send(json.dumps({**message, "data": data}))

    async def _ask(self, request_type: str, **data: object) -> dict[str, Any]:
        await self._say("ask", request_type, **data)
        while True:
            message = await self._receive_in_time()
            if message["request_id"] == "ask":
                return message
            self._take(message)

    async def _receive_in_time(self) -> dict[str, Any]:
        async with asyncio.timeout(self._answer_within_s):
            return await self._receive()

    async def _receive(self) -> dict[str, Any]:
        if self._socket is None:
            raise ConnectionError
        message: dict[str, Any] = json.loads(await self._socket.recv())
        version = message["data"].get("version", self._version)
        if version < self._version:
            self._fault(f"saw version {version} after {self._version}")
        self._version = version
        return message

    def _take(self, message: dict[str, Any]) -> bool:
        """Count an answer; False where the connection should be left: to wait, or to refresh the token."""
        data = message["data"]
        if message["request_type"] == "error":
            code = data["code"]
            self._tally.refused[code] = self._tally.refused.get(code, 0) + 1
            if code not in ("token_invalid", "unavailable", "rate_limited"):
                self._fault(f"was answered {code}: {data['message']}")
            return False
        if message["request_id"].startswith("s"):
            kind = self._unanswered.pop(int(message["request_id"][1:]), None)
            if kind is not None:
                self._applied[kind] += 1
                self._tally.answered += 1
                self._tally.duplicates += data.get("duplicate", False)
        return True

    def _fault(self, what: str) -> None:
        self._tally.faults.append(f"{self._name} {what}")
