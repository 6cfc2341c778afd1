"""From a message to its handler: one request of each connection at a time.

The order of checks is the contract's: shape, request type, token, session, rules. What needs more than one
exchange with Redis (a first token, a cold load, a moved slot) runs in a task of its own while the connection
waits.
"""

from __future__ import annotations

import asyncio
import random
import time
from functools import partial
from typing import TYPE_CHECKING, Final

import structlog

from persistence.errors import StorageUnavailable
from persistence.live.retries import RETRY_FOR_S
from runtime.log_limits import LogLimiter
from server.auth.tokens import TokenInvalid
from server.protocol import errors
from server.protocol.close_codes import CloseCode
from server.protocol.conversation import Verdict
from server.protocol.fields import request_shapes
from server.protocol.messages import Refused, error, parse
from server.ws.exchange import Exchange
from server.ws.responder import Answering, Responder

if TYPE_CHECKING:
    from collections.abc import Callable

    from runtime.turns import Turns
    from server.auth.tokens import AccessClaims
    from server.observability.metrics import RequestMetrics
    from server.protocol.messages import Request
    from server.ws.connection import Connection
    from server.ws.exchange import Player
    from server.ws.hub import Hub
    from server.ws.identity import Identity
    from server.ws.responder import Start

_log = structlog.get_logger(__name__)

FIRST_TOKEN_WITHIN_S: Final = 10.0
_CLOSE_UNAUTHENTICATED_EVERY_S: Final = 0.25
_LOCAL_ANSWERS_PER_PASS: Final = 32
_HEARS_AGAIN_S: Final = 0.05
_CLICKS: Final = frozenset({"cook", "sell"})
_CROWD: Final = 50
"""So many connections are sent away over the whole time of a drain, fewer over less of it."""


class Dispatch:
    """Receives the messages of all connections; `start` begins a request whose token is good."""

    def __init__(
        self,
        hub: Hub,
        start: Start,
        identity: Identity,
        metrics: RequestMetrics,
        *,
        turns: Turns,
        max_count: int,
    ) -> None:
        self._hub = hub
        self._start = start
        self._identity = identity
        self._metrics = metrics
        self._shapes = request_shapes(max_count)
        self._loop = asyncio.get_running_loop()
        self._turns = turns
        self._answering = Answering(metrics, turns, self._finish)
        self._unauthenticated: dict[Exchange, float] = {}
        self._tokenless_lines = LogLimiter()
        self._numbers = 0
        self._draining = False
        self.exchanges: set[Exchange] = set()

    # Connections.

    def opened(self, connection: Connection, on_lost: Callable[[], None]) -> None:
        """Take a connection whose handshake is done; `on_lost` is called once when it is gone."""
        self._numbers += 1
        now_s = self._loop.time()
        exchange = Exchange(connection, self._numbers, now_s, on_lost)
        connection.state = Responder(exchange, self._answering)
        self.exchanges.add(exchange)
        if self._draining:
            # A handshake that was under way; those before it are sent away in their turn.
            self._loop.call_soon(self.send_away, exchange)
        self._unauthenticated[exchange] = now_s + FIRST_TOKEN_WITHIN_S

    def connection_closed(self, connection: Connection) -> None:
        """Forget a connection; its request in flight is finished, and nobody gets the answer."""
        responder = connection.state
        if not isinstance(responder, Responder):
            return
        exchange = responder.exchange
        self.exchanges.discard(exchange)
        self._unauthenticated.pop(exchange, None)
        self._hub.detach(exchange)
        exchange.inbox = responder.on_click = responder.on_reply = None
        connection.state = None
        exchange.on_lost()
        self._metrics.count_close(connection.close_code)
        self._log_close(connection, exchange)

    def _log_close(self, connection: Connection, exchange: Exchange) -> None:
        """Write a line for each connection of a player, and a few for the crowd of those without a token."""
        now_s = self._loop.time()
        left_out = self._tokenless_lines.left_out(now_s) if exchange.user_id is None else 0
        if left_out is None:
            return
        _log.info(
            "connection_closed",
            conn=exchange.number,
            user=exchange.user_id,
            code=connection.close_code,
            seconds=round(now_s - exchange.opened_s, 1),
            messages_in=connection.messages_in,
            messages_out=connection.messages_out,
            bytes_in=connection.bytes_in,
            bytes_out=connection.bytes_out,
            **({"left_out": left_out} if left_out else {}),
        )

    async def watch_unauthenticated(self) -> None:
        """Close connections that show no token of ours in time, until cancelled."""
        while True:
            await asyncio.sleep(_CLOSE_UNAUTHENTICATED_EVERY_S)
            self.close_unauthenticated()

    def close_unauthenticated(self) -> None:
        """Close connections that showed no token of ours in time.

        One whose token came and waits for this process has time until later: closed, it would come again, and
        a process that is behind would have the same work once more.
        """
        now_s = self._loop.time()
        due = []
        for exchange, until_s in self._unauthenticated.items():
            if until_s > now_s:
                break  # the others came later
            due.append(exchange)
        for exchange in due:
            del self._unauthenticated[exchange]
            if exchange.awaits_turn:
                self._unauthenticated[exchange] = now_s + FIRST_TOKEN_WITHIN_S
            elif not exchange.has_shown_token:
                exchange.connection.close(CloseCode.POLICY, "no token in time")

    # Messages.

    def message_received(self, connection: Connection, payload: bytes) -> None:
        """Handle a message, or keep it until those before it are answered."""
        responder = connection.state
        if responder.__class__ is not Responder:
            return
        exchange = responder.exchange
        if exchange.busy or exchange.inbox:
            if not exchange.leaving:
                exchange.enqueue(payload)
        else:
            self._handle(responder, exchange, payload)

    def _handle(self, responder: Responder, exchange: Exchange, payload: bytes) -> None:
        """Answer a message at once, or leave the exchange busy with it."""
        for pattern in exchange.patterns:
            request = pattern.read(payload)
            if request is not None:
                break
        else:
            try:
                request = parse(payload, self._shapes)
            except Refused as fault:
                self._refuse_message(exchange, fault)
                self._answering.go_on_in_turn(responder)
                return
            if request.request_type in _CLICKS:
                exchange.learn(payload, request, self._shapes)
        exchange.invalid_in_a_row = 0
        exchange.request = request
        verdict = exchange.check_token(request.token, time.time())
        if verdict is Verdict.KNOWN:
            exchange.started_s = time.monotonic()
            exchange.busy = True
            try:
                self._start(responder, request)
            except StorageUnavailable as fault:
                responder.unavailable(fault)
        elif verdict is Verdict.UNKNOWN:
            exchange.started_s = time.monotonic()
            exchange.busy = exchange.awaits_turn = True
            self._turns.add(partial(self._begin_to_identify, responder, exchange, request))
        elif verdict is Verdict.MISSING:
            responder.refuse(errors.MissingToken())
        else:
            responder.refuse(errors.TokenInvalid())

    def _begin_to_identify(self, responder: Responder, exchange: Exchange, request: Request) -> None:
        exchange.awaits_turn = False
        if exchange in self.exchanges:
            responder.spawn(self._identify(responder, exchange, request))

    def _refuse_message(self, exchange: Exchange, fault: Refused) -> None:
        """Answer a message that is no request; a peer that sends nothing else is closed."""
        self._metrics.count(fault.request_type, fault.refusal.code)
        exchange.connection.send(error(fault.request_id_json, fault.refusal))
        if fault.refusal.code != errors.InvalidMessage.code:
            exchange.invalid_in_a_row = 0
        elif exchange.count_invalid():
            exchange.connection.close(CloseCode.POLICY, "too many invalid messages")

    async def _identify(self, responder: Responder, exchange: Exchange, request: Request) -> None:
        """Check a token that is not the connection's, keep it if it is good, and go on with the request."""
        try:
            claims = self._identity.verify(request.token)
        except TokenInvalid as fault:
            exchange.has_shown_token = exchange.has_shown_token or fault.expired
            responder.refuse(errors.TokenInvalid())
            return
        exchange.has_shown_token = True
        if exchange.is_of_another(claims.user_id):
            responder.refuse(errors.TokenInvalid())
            return
        if exchange not in self.exchanges:
            return
        player = exchange.player or self._hub.attach(exchange, claims.user_id)
        if player is None:
            exchange.connection.close(CloseCode.TOO_MANY_CONNECTIONS, "too many connections")
            return
        exchange.checking = claims.family
        try:
            if await self._is_live(exchange, player, claims):
                exchange.bind(request.token, claims.user_id, claims.family, claims.expires_at_s)
        finally:
            exchange.checking = ""
            if exchange.user_id is None:
                self._hub.detach(exchange)
                exchange.player = None
        if exchange.token == request.token:
            self._start(responder, request)
        else:
            responder.refuse(errors.TokenInvalid())

    async def _is_live(self, exchange: Exchange, player: Player, claims: AccessClaims) -> bool:
        """Ask whether a family lives and its end will be heard of. Raises StorageUnavailable: nobody can say.

        The connection is among its player's, whose channel was subscribed to before this asks on the same
        lane: a revocation is in the answer, or comes behind it. The confirmation of the subscription lies
        before the answer too, unless Redis refused it.
        """
        until_s = self._loop.time() + RETRY_FOR_S
        while True:
            if await self._identity.is_revoked(claims.user_id, claims.family):
                return False
            if exchange not in self.exchanges or exchange.revoked or exchange.checking != claims.family:
                return False
            if self._hub.hears(player):
                return True
            if self._loop.time() > until_s:
                raise StorageUnavailable("the player's channel is not subscribed to")
            # It is being subscribed to again, where its slot went.
            await asyncio.sleep(_HEARS_AGAIN_S)

    def _finish(self, responder: Responder) -> None:
        """Take what waits, until a message keeps the exchange busy."""
        exchange = responder.exchange
        exchange.busy = False
        if exchange.leaving:
            self.send_away(exchange)
            return
        if exchange.inbox:
            self._take_waiting(responder, exchange)

    def _take_waiting(self, responder: Responder, exchange: Exchange) -> None:
        """Handle waiting messages in order; a few a pass, so that no connection holds up the loop."""
        for _ in range(_LOCAL_ANSWERS_PER_PASS):
            if exchange.busy:
                return
            payload = exchange.next_payload()
            if payload is None:
                return
            self._handle(responder, exchange, payload)
        if exchange.inbox and not exchange.busy:
            self._loop.call_soon(self._resume, responder)

    def _resume(self, responder: Responder) -> None:
        """Go on with what waits, in a later pass."""
        if not responder.exchange.busy:
            self._take_waiting(responder, responder.exchange)

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
        await self._answering.stop()
