"""From a message to its handler, and from a reply to the one response that each request gets.

The order of checks is the contract's: shape, request type, token, session, rules. What needs more than one
exchange with
Redis (a first token, a cold load, a moved slot) runs in a task of its own while the connection waits.
"""

from __future__ import annotations

import asyncio
import itertools
import random
import time
from typing import TYPE_CHECKING, Final

import structlog

from game import errors
from persistence.errors import NoSession, Unavailable
from persistence.live.lane_contract import LaneError
from runtime.logs import Sparingly
from server.auth.tokens import TokenInvalid
from server.protocol.close_codes import CloseCode
from server.protocol.conversation import Verdict
from server.protocol.fields import request_shapes
from server.protocol.messages import Refused, error, parse
from server.ws.exchange import Exchange

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from server.observability.metrics import RequestMetrics
    from server.protocol.messages import Request
    from server.ws.connection import Connection
    from server.ws.handlers import Start
    from server.ws.hub import Hub
    from server.ws.identity import Identity

_log = structlog.get_logger(__name__)

PAUSE_S: Final = 0.25
"""How long nothing is answered after `rate_limited` or `unavailable`: clients give up at 15 errors in 3 s."""

RETRY_AFTER_MS: Final = 500
"""When a client may ask again for what was unavailable."""

FIRST_TOKEN_WITHIN_S: Final = 10.0
_LOOK_AT_STRANGERS_EVERY_S: Final = 0.25
_LOCAL_ANSWERS_PER_PASS: Final = 32
_CROWD: Final = 50
"""So many connections are sent away over the whole time of a drain, fewer over less of it."""


class Dispatch:
    """Receives the messages of all connections of this process."""

    def __init__(
        self,
        hub: Hub,
        start: Start,
        identity: Identity,
        metrics: RequestMetrics,
        max_count: int,
    ) -> None:
        self._hub = hub
        self._start = start
        self._identity = identity
        self._metrics = metrics
        self._shapes = request_shapes(max_count)
        self._loop = asyncio.get_running_loop()
        self._tasks: set[asyncio.Task[None]] = set()
        self._strangers: dict[Exchange, float] = {}
        self._numbers = 0
        self._draining = False
        self._unavailable_lines = Sparingly()
        self.exchanges: set[Exchange] = set()

    # Connections.

    def opened(self, connection: Connection, address: str, on_lost: Callable[[], None]) -> None:
        """Take a connection whose handshake is done; `on_lost` is called once when it is gone."""
        self._numbers += 1
        now_s = self._loop.time()
        exchange = Exchange(connection, self._numbers, address, now_s, on_lost)
        connection.state = exchange
        self.exchanges.add(exchange)
        if self._draining:
            # A handshake that was under way; those before it are sent away in their turn.
            self._loop.call_soon(self.send_away, exchange)
        self._strangers[exchange] = now_s + FIRST_TOKEN_WITHIN_S

    def connection_closed(self, connection: Connection) -> None:
        """Let go of a connection; what is in flight is finished for nobody."""
        exchange = connection.state
        if not isinstance(exchange, Exchange):
            return
        self.exchanges.discard(exchange)
        self._strangers.pop(exchange, None)
        self._hub.detach(exchange)
        exchange.inbox = exchange.on_reply = None
        connection.state = None
        exchange.on_lost()
        self._metrics.count_close(connection.close_code)
        _log.info(
            "connection_closed",
            conn=exchange.number,
            user=exchange.user_id,
            code=connection.close_code,
            seconds=round(self._loop.time() - exchange.opened_s, 1),
            messages_in=connection.messages_in,
            messages_out=connection.messages_out,
            bytes_in=connection.bytes_in,
            bytes_out=connection.bytes_out,
        )

    async def watch_strangers(self) -> None:
        """Close connections that show no token of ours in time, until cancelled."""
        while True:
            await asyncio.sleep(_LOOK_AT_STRANGERS_EVERY_S)
            self.close_strangers()

    def close_strangers(self) -> None:
        """Close connections that showed no token of ours in time."""
        now_s = self._loop.time()
        due = list(itertools.takewhile(lambda one: one[1] <= now_s, self._strangers.items()))
        for exchange, _ in due:
            del self._strangers[exchange]
            if not exchange.has_shown_token:
                exchange.connection.close(CloseCode.POLICY, "no token in time")

    # Messages.

    def message_received(self, connection: Connection, payload: bytes) -> None:
        """Handle a message, or keep it until those before it are answered."""
        exchange = connection.state
        if exchange.__class__ is not Exchange:
            return
        if exchange.busy or exchange.inbox:
            if not exchange.leaving:
                exchange.enqueue(payload)
        else:
            self._handle(exchange, payload)

    def _handle(self, exchange: Exchange, payload: bytes) -> None:
        """Answer a message at once, or leave the exchange busy with it."""
        try:
            request = parse(payload, self._shapes)
        except Refused as fault:
            self._refuse_message(exchange, fault)
            return
        exchange.invalid_in_a_row = 0
        exchange.request = request
        verdict = exchange.judge(request.token, time.time())
        if verdict is Verdict.KNOWN:
            exchange.started_s = time.monotonic()
            exchange.busy = True
            try:
                self._start(self, exchange, request)
            except LaneError as fault:
                self._unavailable(exchange, _why(fault))
        elif verdict is Verdict.UNKNOWN:
            exchange.started_s = time.monotonic()
            exchange.busy = True
            self.spawn(exchange, self._identify(exchange, request))
        elif verdict is Verdict.MISSING:
            self.refuse(exchange, errors.MissingToken())
        else:
            self.refuse(exchange, errors.TokenInvalid())

    def _refuse_message(self, exchange: Exchange, fault: Refused) -> None:
        """Answer what is no request; a peer that sends nothing else is closed."""
        self._metrics.count(fault.request_type, fault.refusal.code)
        exchange.connection.send(error(fault.request_id_json, fault.refusal))
        if not isinstance(fault.refusal, errors.InvalidMessage):
            exchange.invalid_in_a_row = 0
        elif exchange.heard_nonsense():
            exchange.connection.close(CloseCode.POLICY, "too many invalid messages")

    async def _identify(self, exchange: Exchange, request: Request) -> None:
        """Check a token that this connection has not shown before, then go on with its request.

        The connection hears its player's channel before it asks whether the family was revoked, on the same
        lane: a revocation comes with the answer or after it, and is never missed.
        """
        try:
            claims = self._identity.verify(request.token)
        except TokenInvalid as fault:
            exchange.has_shown_token = exchange.has_shown_token or fault.expired
            self.refuse(exchange, errors.TokenInvalid())
            return
        first = exchange.user_id is None
        if not exchange.bind(request.token, claims.user_id, claims.family, claims.expires_at_s):
            self.refuse(exchange, errors.TokenInvalid())
            return
        if exchange not in self.exchanges:
            return
        if exchange.player is None and self._hub.attach(exchange, claims.user_id) is None:
            exchange.connection.close(CloseCode.TOO_MANY_CONNECTIONS, "too many connections")
            return
        try:
            revoked = await self._identity.is_revoked(claims.user_id, claims.family)
        except Unavailable:
            # Not known to be good: the next message asks again.
            exchange.token = ""
            raise
        if revoked:
            exchange.token = ""
            if first:
                # Only a valid token binds a connection to its user.
                self._hub.detach(exchange)
                exchange.player = exchange.user_id = None
            self.refuse(exchange, errors.TokenInvalid())
            return
        self._start(self, exchange, request)

    def spawn(self, exchange: Exchange, work: Coroutine[None, None, None]) -> None:
        """Run what takes several steps for a busy exchange; whatever happens, its request is answered."""
        task = self._loop.create_task(self._run(exchange, work))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _run(self, exchange: Exchange, work: Coroutine[None, None, None]) -> None:
        try:
            await work
        except Unavailable as fault:
            self._unavailable(exchange, fault)
        except LaneError as fault:
            self._unavailable(exchange, _why(fault))
        except NoSession:
            self.refuse(exchange, errors.SessionRequired())
        except Exception:  # noqa: BLE001 - a task's top
            self.failed(exchange)

    # Answers.

    def answer(self, exchange: Exchange, payload: bytes, result: str) -> None:
        """Send the one response to the request in flight, then go on with what waits."""
        request = exchange.request
        if request is None:
            return
        exchange.request = None
        self._metrics.observe(request.request_type, result, time.monotonic() - exchange.started_s)
        exchange.connection.send(payload)
        self.finish(exchange)

    def refuse(self, exchange: Exchange, refusal: errors.Refusal) -> None:
        """Answer the request with an error; after those that clients should slow down for, pause."""
        request = exchange.request
        if request is None:
            return
        exchange.request = None
        self._metrics.count(request.request_type, refusal.code)
        exchange.connection.send(error(request.request_id_json, refusal))
        if isinstance(refusal, errors.InvalidMessage) and exchange.heard_nonsense():
            exchange.connection.close(CloseCode.POLICY, "too many invalid messages")
        if refusal.retryable:
            exchange.busy = True
            self._loop.call_later(PAUSE_S, self.finish, exchange)
        elif exchange.busy:
            self.finish(exchange)

    def failed(self, exchange: Exchange) -> None:
        """Answer a request that our own fault broke; called while its exception is handled."""
        request = exchange.request
        _log.exception("request_failed", conn=exchange.number, user=exchange.user_id, request=_id_of(request))
        self.refuse(exchange, errors.Unavailable(RETRY_AFTER_MS, maybe_applied=True))

    def _unavailable(self, exchange: Exchange, fault: Unavailable) -> None:
        # Without Redis everybody is told four times a second.
        left_out = self._unavailable_lines.left_out(self._loop.time())
        if left_out is not None:
            _log.warning(
                "request_not_served",
                conn=exchange.number,
                user=exchange.user_id,
                request=_id_of(exchange.request),
                why=str(fault),
                left_out=left_out,
            )
        self.refuse(exchange, errors.Unavailable(RETRY_AFTER_MS, maybe_applied=fault.maybe_applied))

    def finish(self, exchange: Exchange) -> None:
        """Take what waits, until a message keeps the exchange busy."""
        exchange.busy = False
        if exchange.leaving:
            self.send_away(exchange)
            return
        if exchange.inbox:
            self._take_waiting(exchange)

    def _take_waiting(self, exchange: Exchange) -> None:
        """Handle waiting messages in order; a few a pass, so that no connection holds up the loop."""
        for _ in range(_LOCAL_ANSWERS_PER_PASS):
            if exchange.busy:
                return
            payload = exchange.next_payload()
            if payload is None:
                return
            self._handle(exchange, payload)
        if exchange.inbox and not exchange.busy:
            self._loop.call_soon(self.resume, exchange)

    def resume(self, exchange: Exchange) -> None:
        """Go on with what waits, in a later pass."""
        if not exchange.busy:
            self._take_waiting(exchange)

    # Shutdown.

    def send_away(self, exchange: Exchange) -> None:
        """Close a connection with 1001 once its request in flight is answered; what waits is not begun."""
        exchange.leaving = True
        exchange.inbox = None
        if exchange.request is None:
            exchange.connection.close(CloseCode.GOING_AWAY, "server is going away")

    async def drain(self, spread_s: float) -> None:
        """Send every connection away, spread over a time so that clients don't return all at once."""
        self._draining = True
        leaving = list(self.exchanges)
        random.shuffle(leaving)
        # A few are no storm: they need not wait for each other.
        spread_s *= min(1.0, len(leaving) / _CROWD)
        moments = sorted(random.uniform(0, spread_s) for _ in leaving)  # noqa: S311 - jitter, not a secret
        start_s = self._loop.time()
        for moment_s, exchange in zip(moments, leaving, strict=True):
            wait_s = start_s + moment_s - self._loop.time()
            if wait_s > 0:
                await asyncio.sleep(wait_s)
            self.send_away(exchange)

    async def emptied(self, timeout_s: float) -> bool:
        """Wait until no connection is left; False when some are after `timeout_s`."""
        deadline = self._loop.time() + timeout_s
        while self.exchanges:
            if self._loop.time() > deadline:
                return False
            await asyncio.sleep(0.01)
        return True

    async def stop(self) -> None:
        """End the tasks that still run; their connections are gone."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


def _id_of(request: Request | None) -> str:
    return request.request_id_json[1:-1] if request is not None else ""


def _why(fault: LaneError) -> Unavailable:
    return Unavailable(f"{type(fault).__name__}: {fault}")
