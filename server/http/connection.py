"""One connection as HTTP/1.1: bytes in, requests to the site, answers out, in order.

HTTP or WebSocket is decided for each request: an upgrade of `/ws` hands the transport on, whatever the
connection served before. Nothing here is on the path of a click, so h11 does the reading.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from email.utils import formatdate
from http import HTTPStatus
from typing import TYPE_CHECKING, Final, Protocol

import h11
import structlog

from server.http.heads import (
    asks_for_websocket,
    handshake_of,
    path_of,
    refuse_handshake,
    refuse_head,
    refuse_syntax,
)
from server.http.messages import HttpRequest, HttpResponse, malformed
from server.http.reader import RequestReader, RequestRefused
from server.transports import release

if TYPE_CHECKING:
    from collections.abc import Sequence

    from websockets.http11 import Request as WebSocketRequest

    from runtime.turns import Turns

_log = structlog.get_logger(__name__)

# One buffer for all connections. It bounds what one peer can put into memory before anything of it is judged.
_RECEIVED: Final = bytearray(32 * 1024)

_NO_BODY_STATUSES: Final = (204, 304)
_MAX_DISCARDED_BYTES: Final = 1024 * 1024


@dataclass(frozen=True, slots=True)
class HttpLimits:
    """What one connection may take. A request's header and body share `request_s` from its first byte on.

    `idle_s` is the rest between two requests; a peer that does not read its answer for `write_s` is cut off;
    a refused peer has `linger_s` to read why.
    """

    max_header_bytes: int = 16 * 1024
    max_body_bytes: int = 16 * 1024
    request_s: float = 10.0
    idle_s: float = 75.0
    write_s: float = 30.0
    linger_s: float = 2.0


class Site(Protocol):
    """Answers requests."""

    async def respond(self, request: HttpRequest) -> HttpResponse:
        """Answer a request; never raises."""

    def finish(self, request: HttpRequest | None, response: HttpResponse) -> HttpResponse:
        """Add what every answer carries; `request` is None where none could be read."""

    def refuse_origin(self, request: HttpRequest) -> HttpResponse | None:
        """Refuse what a page of a foreign origin sends, before its body is read; None to let it pass."""

    def may_upgrade(self, request: HttpRequest) -> HttpResponse | None:
        """Refuse a WebSocket by an answer, or None to let it pass."""


class Owner(Protocol):
    """Who accepted the connection."""

    def client_address(self, forwarded_for: Sequence[str]) -> str:
        """Name the client of a request with these values of `X-Forwarded-For`."""

    def upgrade(
        self,
        connection: HttpConnection,
        transport: asyncio.Transport,
        request: WebSocketRequest,
        trailing: bytes,
    ) -> None:
        """Take the transport over: put another protocol in place. `trailing` came behind the request."""

    def http_closed(self, connection: HttpConnection) -> None:
        """Take note that the connection is gone. Not called after an upgrade."""


class HttpConnection(asyncio.BufferedProtocol):
    """The protocol of an accepted socket until it is closed or upgraded."""

    def __init__(self, site: Site, owner: Owner, limits: HttpLimits, turns: Turns) -> None:
        self._site = site
        self._turns = turns
        self._owner = owner
        self._limits = limits
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._h11 = h11.Connection(h11.SERVER, limits.max_header_bytes)
        self._reader = RequestReader(self._h11, limits.max_header_bytes)
        self._head: HttpRequest | None = None
        self._upgrades = False
        self._body = bytearray()
        self._task: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._begun = False
        self._congested = False
        self._drained_next = False
        self._lingering = False
        self._discarded_bytes = 0
        self._draining = False
        self._awaits_turn = False

    @property
    def busy(self) -> bool:
        """Whether a request is being answered."""
        return self._task is not None

    def drain(self) -> None:
        """Let each answer from now on be the connection's last."""
        self._draining = True

    def close_idle(self) -> None:
        """Close unless a request is being answered; call `drain` before."""
        if self._task is None and not self._lingering:
            self._close()

    def abort(self) -> None:
        """Cut the connection off."""
        if self._transport is not None:
            self._transport.abort()

    # What the transport calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Start waiting for the first request."""
        if not isinstance(transport, asyncio.Transport):
            raise TypeError("a stream transport is needed")
        self._transport = transport
        # Writing is over when nothing is left, so that the time for lingering starts then.
        transport.set_write_buffer_limits(high=64 * 1024, low=0)
        self._start_timer(self._limits.request_s)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - any reason is the same to us
        """Let go. A request that is being answered is carried out: it may have changed something already."""
        self._stop_timer()
        if self._transport is not None:
            release(self._transport)
            self._transport = None
        self._owner.http_closed(self)

    def get_buffer(self, sizehint: int) -> bytearray:  # noqa: ARG002 - the transport's signature
        """Say where what arrives is to be put."""
        return _RECEIVED

    def buffer_updated(self, nbytes: int) -> None:
        """Read on."""
        if self._lingering:
            self._discard(nbytes)
            return
        if not self._begun and self._task is None:
            self._begun = True
            self._start_timer(self._limits.request_s)
        self._reader.receive(_RECEIVED[:nbytes])
        self._wait_for_turn()

    def eof_received(self) -> bool:
        """Answer requests that came before the peer stopped sending; True keeps the transport open for it."""
        if self._lingering:
            return False
        self._reader.end()
        self._wait_for_turn()
        return True

    def pause_writing(self) -> None:
        """Note that the peer does not read."""
        self._congested = True

    def resume_writing(self) -> None:
        """Go on where a written answer was waited for."""
        self._congested = False
        if self._drained_next:
            self._drained_next = False
            self._next_request()

    # Reading.

    def _wait_for_turn(self) -> None:
        """Read on in a turn, and nothing more from the kernel until then."""
        if self._transport is not None and self._task is None and not self._awaits_turn:
            self._awaits_turn = True
            self._transport.pause_reading()
            self._turns.add(self._take_turn)

    def _take_turn(self) -> None:
        self._awaits_turn = False
        self._advance()
        if self._task is None:
            self._resume_reading()

    def _resume_reading(self) -> None:
        """Hear of what arrives; the end is heard of once."""
        if self._transport is not None and not self._reader.ended:
            self._transport.resume_reading()

    def _advance(self) -> None:
        """Read events until a request is complete, bytes are missing or the connection ends."""
        while self._task is None and not self._lingering and self._transport is not None:
            try:
                event = self._reader.next_event()
            except RequestRefused as error:
                self._refuse(error.response)
                return
            except h11.RemoteProtocolError as error:
                self._refuse(refuse_syntax(error.error_status_hint))
                return
            if event is h11.NEED_DATA and self._h11.they_are_waiting_for_100_continue:
                self._write(h11.InformationalResponse(status_code=100, headers=[]))
            if not isinstance(event, h11.Event):
                return
            self._take(event)

    def _take(self, event: h11.Event) -> None:
        if isinstance(event, h11.Request):
            self._begin(event)
        elif isinstance(event, h11.Data):
            self._body += event.data
            if len(self._body) > self._limits.max_body_bytes:
                self._refuse(malformed(413, "body too large"))
        elif isinstance(event, h11.EndOfMessage):
            self._complete()
        else:
            self._close()

    def _begin(self, event: h11.Request) -> None:
        """Judge a request by its head."""
        headers = tuple((name.decode("ascii"), value.decode("latin-1")) for name, value in event.headers)
        self._body.clear()
        self._head = request = HttpRequest(
            method=event.method.decode("ascii"),
            path=path_of(event.target.decode("ascii")),
            headers=headers,
            client=self._owner.client_address(
                [value for name, value in headers if name == "x-forwarded-for"]
            ),
        )
        refused = refuse_head(
            request, event.target, event.http_version, self._limits.max_body_bytes
        ) or self._site.refuse_origin(request)
        if refused is None and asks_for_websocket(request):
            self._upgrades = True
            refused = self._site.may_upgrade(request) or refuse_handshake(request, event.http_version)
        if refused is not None:
            self._refuse(refused)

    def _complete(self) -> None:
        """Hand a complete request on."""
        if self._head is None or self._transport is None:
            return
        self._stop_timer()
        if self._upgrades:
            self._hand_over(self._head, self._transport)
            return
        head = self._head
        request = HttpRequest(head.method, head.path, head.headers, bytes(self._body), head.client)
        self._body.clear()
        # What is pipelined waits in the kernel: one request at a time bounds what one peer occupies.
        self._transport.pause_reading()
        self._task = self._loop.create_task(self._answer(request), name=f"http {request.method}")

    def _hand_over(self, request: HttpRequest, transport: asyncio.Transport) -> None:
        self._transport = None
        transport.resume_reading()
        self._owner.upgrade(self, transport, handshake_of(request), self._reader.rest())

    # Answering.

    async def _answer(self, request: HttpRequest) -> None:
        try:
            response = self._site.finish(request, await self._site.respond(request))
            self._task = None
            if self._transport is not None:
                self._send(request.method, response)
                self._after_answer()
        except Exception:  # noqa: BLE001 - the top of a task: the connection ends, the server goes on
            _log.exception("http_answer_failed")
            self.abort()
        finally:
            self._task = None

    def _after_answer(self) -> None:
        """Wait until the peer has read, then take the next request."""
        if self._congested:
            self._drained_next = True
            self._start_timer(self._limits.write_s)
        else:
            self._next_request()

    def _next_request(self) -> None:
        self._head = None
        if self._h11.our_state is not h11.DONE or self._h11.their_state is not h11.DONE:
            self._linger()
            self._resume_reading()
            return
        self._h11.start_next_cycle()
        self._begun = self._reader.has_more
        self._start_timer(self._limits.request_s if self._begun else self._limits.idle_s)
        if self._begun or self._reader.ended:
            self._wait_for_turn()
        else:
            self._resume_reading()

    def _refuse(self, response: HttpResponse) -> None:
        """Answer bytes that were never a proper request, and end the connection."""
        _log.debug("http_refused", status=response.status)
        method = self._head.method if self._head is not None else ""
        if self._h11.our_state in {h11.IDLE, h11.SEND_RESPONSE}:
            self._draining = True
            self._send(method, self._site.finish(self._head, response))
        self._linger()

    def _send(self, method: str, response: HttpResponse) -> None:
        headers = [*response.headers, ("Date", formatdate(usegmt=True))]
        if response.status not in _NO_BODY_STATUSES:
            headers.append(("Content-Length", str(len(response.body))))
        if self._draining:
            headers.append(("Connection", "close"))
        head = h11.Response(
            status_code=response.status,
            reason=HTTPStatus(response.status).phrase.encode(),
            headers=[(n.encode(), v.encode("latin-1")) for n, v in headers],
        )
        has_body = method != "HEAD" and response.status not in _NO_BODY_STATUSES and response.body
        body = (h11.Data(data=response.body),) if has_body else ()
        self._write(head, *body, h11.EndOfMessage())

    def _write(self, *events: h11.InformationalResponse | h11.Response | h11.Data | h11.EndOfMessage) -> None:
        data = b"".join(filter(None, map(self._h11.send, events)))
        if data and self._transport is not None:
            self._transport.write(data)

    # Ending.

    def _linger(self) -> None:
        """Stop writing but read on for a moment: closing over unread bytes would reset the answer away."""
        if self._transport is None or self._lingering:
            return
        self._reader.rest()
        if self._reader.ended or not self._transport.can_write_eof():
            self._close()
            return
        self._lingering = True
        try:
            self._transport.write_eof()
        except OSError:  # the peer has gone already, and nothing of it can be read
            self._close()
            return
        unsent = self._transport.get_write_buffer_size()
        self._start_timer(self._limits.write_s if unsent else self._limits.linger_s)

    def _close(self) -> None:
        """Close when the peer has read all that was written, or takes too long to read it."""
        if self._transport is not None:
            self._lingering = True
            self._transport.close()
            self._start_timer(self._limits.write_s)

    def _discard(self, count: int) -> None:
        self._discarded_bytes += count
        if self._discarded_bytes > _MAX_DISCARDED_BYTES:
            self.abort()

    def _start_timer(self, delay_s: float) -> None:
        self._stop_timer()
        self._timer = self._loop.call_later(delay_s, self._turns.add, self._cut_off)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _cut_off(self) -> None:  # in the turn after what came was read: it may be all that is missing
        if self._transport is None or self._timer is None or self._timer.when() > self._loop.time():
            return
        self._timer = None
        if self._lingering or self._drained_next:
            self._transport.abort()
        elif self._begun:
            self._refuse(malformed(408, "request took too long"))
        else:
            self._close()
