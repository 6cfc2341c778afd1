"""One client of the game: it keeps its connection, its log-in and its unanswered requests by itself.

Whatever happens to the connection, the servers or their databases, each request is answered in the end and is
applied once: what was not answered is sent again with the same number, in the same order.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import secrets
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Self

import orjson
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus

from scripts.clicker.failures import ClientClosedError, MisunderstoodError, RefusedError
from scripts.clicker.log_in import LogIn
from scripts.clicker.totals import Totals
from scripts.clicker.window import MOST_UNANSWERED, Answer, Pending, Window

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from scripts.clicker.accounts import Account, Tokens

GOING_AWAY: Final = 1001
POLICY: Final = 1008
TOO_BUSY: Final = 1013
SLOW_READER: Final = 4000
REVOKED: Final = 4001
TOO_MANY_CONNECTIONS: Final = 4002
OWN_FAULTS: Final = frozenset({1002, 1003, 1007, 1009})
"""Closed for what this program sent; sending it again cannot help."""

LATER: Final = frozenset({"rate_limited", "unavailable"})
TOKEN_FAULTS: Final = frozenset({"token_invalid", "missing_token"})
_MOST_POLICY_CLOSES: Final = 3
_SPREAD_S: Final = 1.0


@dataclass(frozen=True, slots=True)
class Habits:
    """How a client behaves.

    Attempts to connect are `retry_first_s` to `retry_most_s` apart, doubled each time and jittered. A server
    that is silent for `answer_timeout_s` while it owes an answer is left. At most `pipelined` requests are
    unanswered.
    """

    pipelined: int = MOST_UNANSWERED
    retry_first_s: float = 0.1
    retry_most_s: float = 10.0
    answer_timeout_s: float = 10.0
    ping_every_s: float = 20.0


@dataclass(slots=True)
class _Line:
    """One connection: what is still to be written to it, and when the server was last heard."""

    number: int
    socket: ClientConnection
    heard_s: float
    outgoing: deque[Pending] = field(default_factory=deque)
    wake: asyncio.Event = field(default_factory=asyncio.Event)
    version: int = 0

    def queue(self, pending: Pending) -> None:
        """Have the writer send it after what waits."""
        self.outgoing.append(pending)
        self.wake.set()


class Client:
    """A player's connection to the game, to be used as `async with Client(url, account) as client`.

    `request` sends and waits; `send` pipelines. `on_push` hears what the server says unasked: type and data.
    `on_settled` hears of each request with its final answer, before the task that waits for it.
    """

    def __init__(
        self,
        url: str,
        account: Account,
        habits: Habits | None = None,
        *,
        name: str | None = None,
        on_push: Callable[[str, dict[str, Any]], None] | None = None,
        on_settled: Callable[[Pending, Answer], None] | None = None,
        totals: Totals | None = None,
    ) -> None:
        self.name = name or f"clicker-{secrets.token_hex(8)}"
        self.totals = totals or Totals()
        self._url = url.rstrip("/").replace("http", "ws", 1) + "/ws"
        self._habits = habits or Habits()
        self._on_push = on_push
        self._on_settled = on_settled
        self._window = Window(self.name, min(self._habits.pipelined, MOST_UNANSWERED))
        self._log_in = LogIn(account)
        self._wants_token: list[Pending] = []
        self._line: _Line | None = None
        self._lines = 0
        self._room = asyncio.Event()
        self._held_until_s = 0.0
        self._applied_seq = 0
        self._policy_closes = 0
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._run(), name=f"client {self.name}")
        self._task.add_done_callback(self._ended)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    # What its owner calls.

    @property
    def unanswered(self) -> int:
        """How many requests have no answer yet."""
        return len(self._window)

    @property
    def tokens(self) -> Tokens | None:
        """The present log-in, None before the first."""
        return self._log_in.tokens

    async def request(self, request_type: str, **data: Any) -> dict[str, Any]:
        """Send a request and return the data of its answer, however long that takes.

        Raises RefusedError where the game refuses, or what ended the client.
        """
        answer = await (await self.send(request_type, **data))
        if answer.code:
            raise RefusedError(answer.code, answer.data)
        return answer.data

    async def send(self, request_type: str, **data: Any) -> asyncio.Future[Answer]:
        """Send a request as soon as there is room among the unanswered; what is returned brings its answer.

        Requests are applied in the order of sending, unless one was refused for the moment and had to be sent
        again: where the order matters, wait for the answer. Raises what ended the client.
        """
        while not self._may_send():
            self._room.clear()
            await self._room.wait()
        self._check()
        pending = self._window.add(request_type, data, _now_s())
        if self._line is not None:
            self._line.queue(pending)
        return pending.future

    async def drained(self) -> None:
        """Wait until everything that was sent is answered. Raises what ended the client."""
        while len(self._window):
            self._check()
            self._room.clear()
            await self._room.wait()

    def drop(self) -> None:
        """Break the connection, as a bad network does; the client connects again by itself."""
        if self._line is not None:
            self._line.socket.transport.abort()

    def _may_send(self) -> bool:
        if self._task is None or self._task.done():
            return True  # and get that answer
        return self._window.has_room and self._held_until_s <= _now_s()

    def _check(self) -> None:
        if self._task is None or self._task.done():
            error = None if self._task is None or self._task.cancelled() else self._task.exception()
            raise ClientClosedError("the client is closed") if error is None else error

    def _ended(self, task: asyncio.Task[None]) -> None:
        error = None if task.cancelled() else task.exception()
        for pending in self._window.unanswered():
            if not pending.future.done():
                pending.future.set_exception(error or ClientClosedError("closed before the answer came"))
                pending.future.exception()  # nobody may be waiting for it
        self._room.set()

    # Connecting, again and again.

    async def _run(self) -> None:
        failures = 0
        renewal = asyncio.create_task(self._log_in.keep(self._renewed), name=f"log-in of {self.name}")
        try:
            while True:
                if renewal.done():
                    await renewal
                await self._log_in.begin()
                heard = self._lines
                wait_s = await self._connection(renewal)
                failures = 0 if self._lines > heard else failures + 1
                delay_s = min(self._habits.retry_most_s, self._habits.retry_first_s * 2**failures)
                self.totals.reconnects += 1
                # Jitter keeps a thousand clients of one lost server from coming back in the same moment.
                await asyncio.sleep((wait_s + delay_s) * random.uniform(0.5, 1.0))  # noqa: S311 - as above
        finally:
            renewal.cancel()
            await asyncio.gather(renewal, return_exceptions=True)

    async def _connection(self, renewal: asyncio.Task[None]) -> float:
        """Live through one connection; return how long to stay away beyond the usual back-off, in seconds."""
        code = 0
        try:
            async with connect(
                self._url,
                compression=None,
                close_timeout=1,
                ping_interval=self._habits.ping_every_s,
                ping_timeout=self._habits.ping_every_s,
            ) as socket:
                try:
                    code = await self._talk(socket, renewal)
                except asyncio.CancelledError:
                    await socket.close()  # its owner is done with it; leaving the block now would say 1011
                    raise
        except InvalidStatus as error:
            if error.response.status_code in (400, 401, 403, 404):
                raise MisunderstoodError(f"the server refuses the handshake: {error}") from error
        except (OSError, TimeoutError, InvalidHandshake, ConnectionClosed):
            return 0.0
        return self._closed_with(code)

    def _closed_with(self, code: int) -> float:
        self.totals.closes[code] += 1
        if code in OWN_FAULTS:
            raise MisunderstoodError(f"the server closed with {code}: it does not understand this client")
        if code == POLICY:
            # Also what a server says that was too slow to look at our token, so not at once final.
            self._policy_closes += 1
            if self._policy_closes >= _MOST_POLICY_CLOSES:
                raise MisunderstoodError("the server closed with 1008 again and again")
        if code == REVOKED:
            self._log_in.revoked()
        if code == SLOW_READER:
            self._window.size = max(1, self._window.size // 2)
        if code in (TOO_BUSY, TOO_MANY_CONNECTIONS):
            return self._habits.retry_most_s / 2
        return _SPREAD_S if code == GOING_AWAY else 0.0

    async def _talk(self, socket: ClientConnection, renewal: asyncio.Task[None]) -> int:
        self._lines += 1
        line = _Line(self._lines, socket, _now_s())
        waiting = self._window.unanswered()
        if not any(pending.request_type == "session" for pending in waiting):
            # Joins the connection and says which numbers the server has.
            line.queue(self._window.add("session", {}, _now_s()))
        for pending in waiting:
            line.queue(pending)
        self._wants_token.clear()
        self._line = line
        tasks = [
            asyncio.create_task(self._write(line), name=f"writer of {self.name}"),
            asyncio.create_task(self._watch(line, renewal), name=f"watcher of {self.name}"),
        ]
        try:
            with contextlib.suppress(ConnectionClosed):
                while True:
                    self._take(line, orjson.loads(await socket.recv()))
        finally:
            self._line = None
            for task in tasks:
                task.cancel()
            for ended in await asyncio.gather(*tasks, return_exceptions=True):
                if isinstance(ended, Exception) and not isinstance(ended, ConnectionClosed):
                    raise ended
        return socket.close_code or 0

    async def _write(self, line: _Line) -> None:
        while True:
            while line.outgoing:
                pending = line.outgoing.popleft()
                if self._window.find(pending.request_id) is None:
                    continue
                pending.token, pending.connection = self._log_in.access, line.number
                pending.sent_s = _now_s()
                pending.times_sent += 1
                self.totals.sent += 1
                self.totals.resent += pending.times_sent > 1
                message = {
                    "message_type": "request",
                    "request_id": pending.request_id,
                    "request_type": pending.request_type,
                    "data": {"token": pending.token, **pending.data},
                }
                await line.socket.send(orjson.dumps(message), text=True)
            line.wake.clear()
            await line.wake.wait()

    async def _watch(self, line: _Line, renewal: asyncio.Task[None]) -> None:
        """Break a connection whose server owes an answer and says nothing: half of it may be gone."""
        limit_s = self._habits.answer_timeout_s
        while True:
            await asyncio.wait([renewal], timeout=limit_s / 8)
            if renewal.done():
                line.socket.transport.abort()
                return
            sent = [
                pending.sent_s for pending in self._window.unanswered() if pending.connection == line.number
            ]
            if sent and _now_s() - max(line.heard_s, min(sent)) > limit_s:
                self.totals.timeouts += 1
                line.socket.transport.abort()
                return

    # Answers.

    def _take(self, line: _Line, message: dict[str, Any]) -> None:
        line.heard_s = _now_s()
        data = message["data"]
        version = data.get("version", 0)
        if version:
            if version < line.version:
                kind = message["request_type"]
                self.totals.went_back.append(f"{self.name}: {kind} of {version} after {line.version}")
            line.version = max(line.version, version)
        pending = self._window.find(message["request_id"])
        if pending is None:
            if not message["request_id"] and self._on_push is not None:
                self._on_push(message["request_type"], data)
            return
        if message["request_type"] != "error":
            self._settle(pending, Answer(pending.request_type, data))
            return
        code = data["code"]
        self.totals.errors[code] += 1
        if code in LATER:
            self._hold(pending, data.get("retry_after_ms", 500) / 1000)
        elif code in TOKEN_FAULTS:
            if self._log_in.refused(pending.token):
                self._wants_token.append(pending)
            else:
                line.queue(pending)
        elif code == "session_required":
            line.queue(self._window.add("session", {}, _now_s()))
            line.queue(pending)
        else:
            self._settle(pending, Answer(pending.request_type, data, code))

    def _hold(self, pending: Pending, wait_s: float) -> None:
        """Send a request again when the server said; new ones wait too: they would only add to the load."""
        self._held_until_s = max(self._held_until_s, _now_s() + wait_s)
        loop = asyncio.get_running_loop()
        loop.call_later(wait_s, self._again, pending, pending.connection)
        loop.call_later(wait_s + 0.001, self._room.set)

    def _again(self, pending: Pending, connection: int) -> None:
        # On a newer connection it has been sent again already.
        if self._line is not None and connection == self._line.number:
            self._line.queue(pending)

    def _renewed(self) -> None:
        again, self._wants_token = self._wants_token, []
        for pending in again:
            self._again(pending, pending.connection)

    def _settle(self, pending: Pending, answer: Answer) -> None:
        self._window.settle(pending)
        self._policy_closes = 0
        if not answer.code:
            if pending.request_type != "level_up":  # one without enough xp changes nothing, so it is not kept
                self._applied_seq = max(self._applied_seq, pending.seq)
            if pending.request_type == "session" and "last_seq" in answer.data:
                self.totals.lost += max(0, self._applied_seq - answer.data["last_seq"])
        self.totals.settle(pending, answer, _now_s())
        if self._on_settled is not None:
            self._on_settled(pending, answer)
        if not pending.future.done():
            pending.future.set_result(answer)
        self._room.set()


def _now_s() -> float:
    return asyncio.get_running_loop().time()
