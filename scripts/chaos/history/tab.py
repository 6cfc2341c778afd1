"""One tab of a recorded player: a connection at a time, and what is written down of it."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import orjson
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake

from scripts.chaos.history.events import Closed, Opened, Sent
from scripts.chaos.history.timeline import CHANGING, UNDECIDED

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from scripts.chaos.history.log_ins import Family
    from scripts.chaos.history.recorder import Recorder

LOST: Final = 1006
LEFT: Final = 1000
REVOKED: Final = 4001
MOST_IN_FLIGHT: Final = 3
_OPEN_WITHIN_S: Final = 30.0
_AGAIN_AFTER_S: Final = 0.5


@dataclass(frozen=True, slots=True)
class Wish:
    """A request as it is wanted: sent again until it is answered where it has a `seq`."""

    request_type: str
    asked: dict[str, Any]


@dataclass(slots=True)
class Tab:
    """Connects, sends and listens. `owed` are tagged requests without a final answer, by client and number.

    `last_answer_s` is the sending time of the youngest request that was accepted.
    """

    name: str
    player: str
    recorder: Recorder
    owed: dict[tuple[str, int], Wish] = field(default_factory=dict)
    in_flight: dict[int, Wish] = field(default_factory=dict)
    last_accepted_s: float = 0.0
    is_refused: bool = False
    """Whether its token was refused: log in again."""

    _socket: ClientConnection | None = None
    _connection: int = 0
    _token: str = ""
    _sent_s: dict[int, float] = field(default_factory=dict)
    _moved: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def is_open(self) -> bool:
        """Whether something can be sent now."""
        return self._socket is not None

    async def live(self, server: str, url: str, family: Family, play: Callable[[], Awaitable[None]]) -> int:
        """Connect, play until `play` returns or the connection ends; return the close code.

        LEFT where `play` returned: the player left.
        """
        try:
            socket = await connect(
                url.replace("http", "ws", 1) + "/ws",
                open_timeout=_OPEN_WITHIN_S,
                ping_interval=None,
                compression=None,
                max_size=None,
                close_timeout=1,
            )
        except (OSError, TimeoutError, InvalidHandshake, EOFError, ConnectionClosed):
            await asyncio.sleep(_AGAIN_AFTER_S)
            return LOST
        self._connection = next(self.recorder.connections)
        self._socket, self._token, self.is_refused = socket, family.access, False
        self.recorder.add(
            Opened(self.recorder.now_s, self._connection, self.player, self.name, server, family.name)
        )
        code = LEFT
        playing = asyncio.create_task(self._play(play), name=f"{self.name} plays")
        listening = asyncio.create_task(self._listen(socket), name=f"{self.name} listens")
        try:
            await asyncio.wait([playing, listening], return_when=asyncio.FIRST_COMPLETED)
            if listening.done():
                code = socket.close_code or LOST
        finally:
            self._socket = None
            # What is still heard while both sides close counts no more.
            playing.cancel()
            listening.cancel()
            ended = await asyncio.gather(playing, listening, return_exceptions=True)
            self.recorder.add(Closed(self.recorder.now_s, self._connection, code))
            self.in_flight.clear()
            self._moved.set()
            with contextlib.suppress(Exception):
                await asyncio.wait_for(socket.close(), 2)
        for error in ended:
            if isinstance(error, Exception):
                raise error
        return code

    async def _play(self, play: Callable[[], Awaitable[None]]) -> None:
        self.send(Wish("session", {"client": self.name}))
        for wish in list(self.owed.values()):
            await self.room()
            self.send(wish)
        await play()

    def send(self, wish: Wish) -> None:
        """Send a request, where the tab is connected; wait for `room` before."""
        socket = self._socket
        if socket is None:
            return
        number = next(self.recorder.requests)
        self.in_flight[number] = wish
        key = _key(wish)
        if key is not None:
            self.owed[key] = wish
        message = {
            "message_type": "request",
            "request_id": str(number),
            "request_type": wish.request_type,
            "data": {"token": self._token, **wish.asked},
        }
        self._sent_s[number] = self.recorder.now_s
        self.recorder.add(Sent(self.recorder.now_s, self._connection, number, wish.request_type, wish.asked))
        task = asyncio.ensure_future(_write(socket, orjson.dumps(message)))
        task.add_done_callback(_nothing)

    async def room(self, most: int = MOST_IN_FLIGHT) -> None:
        """Wait until fewer than `most` requests have no answer."""
        while len(self.in_flight) >= most and self.is_open:
            self._moved.clear()
            await self._moved.wait()

    async def _listen(self, socket: ClientConnection) -> None:
        with contextlib.suppress(ConnectionClosed):
            while True:
                message = orjson.loads(await socket.recv())
                request = int(message["request_id"] or 0)
                kind, data = message["request_type"], message["data"]
                self.recorder.heard(self._connection, request, kind, data)
                if request:
                    self._answered(request, kind, data)

    def _answered(self, request: int, kind: str, data: dict[str, Any]) -> None:
        wish = self.in_flight.pop(request, None)
        self._moved.set()
        sent_s = self._sent_s.pop(request, 0.0)
        if wish is None:
            return
        if kind != "error":
            self.last_accepted_s = max(self.last_accepted_s, sent_s)
        code = data.get("code", "") if kind == "error" else ""
        if code in ("token_invalid", "missing_token"):
            self.is_refused = True
        elif code in UNDECIDED and wish.request_type in CHANGING:
            asyncio.get_running_loop().call_later(_AGAIN_AFTER_S, self._again, wish)
        elif (key := _key(wish)) is not None:
            self.owed.pop(key, None)

    def _again(self, wish: Wish) -> None:
        """Send again what was refused for the moment and has a number."""
        if _key(wish) in self.owed and wish not in self.in_flight.values():
            self.send(wish)


def _key(wish: Wish) -> tuple[str, int] | None:
    asked = wish.asked
    return (asked["client"], asked["seq"]) if "seq" in asked else None


async def _write(socket: ClientConnection, payload: bytes) -> None:
    with contextlib.suppress(ConnectionClosed):
        await socket.send(payload, text=True)


def _nothing(task: asyncio.Future[None]) -> None:
    """Take the outcome of a sending: what failed shows on the connection."""
    if not task.cancelled():
        task.exception()
