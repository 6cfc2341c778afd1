"""The answer to a request: exactly one, whatever happens, and then what waits behind it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Final

import structlog

from persistence.errors import NoSession, StorageUnavailable
from runtime.log_limits import LogLimiter
from runtime.stopping import end_tasks
from server.protocol import errors
from server.protocol.close_codes import CloseCode
from server.protocol.fields import STATE_CHANGING
from server.protocol.messages import error

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from game.errors import Refusal
    from persistence.live.lane_contract import OnReply
    from runtime.turns import Turns
    from server.observability.metrics import RequestMetrics
    from server.protocol.messages import Request
    from server.ws.exchange import Exchange

_log = structlog.get_logger(__name__)

PAUSE_S: Final = 0.25
"""How long nothing is answered after `rate_limited` or `unavailable`: clients give up at 15 errors in 3 s."""

RETRY_AFTER_MS: Final = 500
"""When a client may send an unavailable request again."""


class Answering:
    """What the responders of a process share.

    `go_on` is called after each answer: it takes the connection's next message. After all but a change of the
    state it is called in a turn, since nothing else limits how often a player asks. Requests that need
    several steps run in tasks that `stop` ends.
    """

    __slots__ = ("_turns", "go_on", "loop", "metrics", "tasks", "unavailable_lines")

    def __init__(self, metrics: RequestMetrics, turns: Turns, go_on: Callable[[Responder], None]) -> None:
        self._turns = turns
        self.metrics = metrics
        self.go_on = go_on
        self.loop = asyncio.get_running_loop()
        self.tasks: set[asyncio.Task[None]] = set()
        self.unavailable_lines = LogLimiter()

    def go_on_in_turn(self, responder: Responder) -> None:
        """Keep what arrives until the connection's turn comes."""
        responder.exchange.busy = True
        self._turns.add(partial(self.go_on, responder))

    async def stop(self) -> None:
        """End the tasks that still run; their connections are gone."""
        await end_tasks(self.tasks)


class Responder:
    """Answers the requests of one connection, of which one is in flight at a time.

    A handler is given it and ends with exactly one of `answer`, `refuse`, `unavailable` and `fail`, at once
    or later; a second one does nothing. `on_reply` and `on_click` are the handlers' own: they keep what takes
    a script's reply in them.
    """

    __slots__ = ("_answering", "exchange", "on_click", "on_reply")

    def __init__(self, exchange: Exchange, answering: Answering) -> None:
        self._answering = answering
        self.exchange = exchange
        self.on_click: OnReply | None = None
        self.on_reply: OnReply | None = None

    def answer(self, payload: bytes, result: str) -> None:
        """Send the one response to the request in flight, then go on with what waits."""
        exchange = self.exchange
        request = exchange.request
        if request is None:
            return
        exchange.request = None
        answering = self._answering
        answering.metrics.observe(request.request_type, result, time.monotonic() - exchange.started_s)
        exchange.connection.send(payload)
        if result == "ok" and request.request_type in STATE_CHANGING:
            answering.go_on(self)
        else:
            answering.go_on_in_turn(self)

    def refuse(self, refusal: Refusal) -> None:
        """Answer the request with an error; after those that clients should slow down for, pause."""
        exchange = self.exchange
        request = exchange.request
        if request is None:
            return
        exchange.request = None
        answering = self._answering
        answering.metrics.count(request.request_type, refusal.code)
        exchange.connection.send(error(request.request_id_json, refusal))
        if refusal.code == errors.InvalidMessage.code and exchange.count_invalid():
            exchange.connection.close(CloseCode.POLICY, "too many invalid messages")
        if refusal.retryable:
            exchange.busy = True
            answering.loop.call_later(PAUSE_S, answering.go_on, self)
        else:
            answering.go_on_in_turn(self)

    def fail(self) -> None:
        """Answer a request that our own fault broke; called while its exception is handled."""
        exchange = self.exchange
        request_id = _id_of(exchange.request)
        _log.exception("request_failed", conn=exchange.number, user=exchange.user_id, request=request_id)
        self.refuse(errors.Unavailable(RETRY_AFTER_MS, maybe_applied=True))

    def unavailable(self, fault: StorageUnavailable) -> None:
        """Answer that Redis or PostgreSQL could not serve the request."""
        exchange = self.exchange
        # Without Redis every connection is refused four times a second.
        left_out = self._answering.unavailable_lines.left_out(self._answering.loop.time())
        if left_out is not None:
            _log.warning(
                "request_not_served",
                conn=exchange.number,
                user=exchange.user_id,
                request=_id_of(exchange.request),
                why=str(fault),
                left_out=left_out,
            )
        self.refuse(errors.Unavailable(RETRY_AFTER_MS, maybe_applied=fault.maybe_applied))

    def spawn(self, work: Coroutine[None, None, None]) -> None:
        """Run what takes several steps; whatever happens, the request is answered."""
        answering = self._answering
        task = answering.loop.create_task(self._run(work))
        answering.tasks.add(task)
        task.add_done_callback(answering.tasks.discard)

    async def _run(self, work: Coroutine[None, None, None]) -> None:
        try:
            await work
        except StorageUnavailable as fault:
            self.unavailable(fault)
        except NoSession:
            self.refuse(errors.SessionRequired())
        except Exception:  # noqa: BLE001 - a task's top
            self.fail()


Start = Callable[[Responder, "Request"], None]
"""Begins a request. Raises NotSent where its command could not be sent."""


def _id_of(request: Request | None) -> str:
    return request.request_id_json[1:-1] if request is not None else ""
