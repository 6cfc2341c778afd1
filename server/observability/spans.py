"""Spans of OpenTelemetry: HTTP requests, flushed batches, and one in so many clicks and cold loads.

Imported only where traces are wanted. What is traced is wrapped where it is built; what is not sampled goes
through unchanged. No span holds a token, an e-mail or a text of an error.
"""

from __future__ import annotations

from dataclasses import replace
from time import time_ns
from typing import TYPE_CHECKING, Final

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import SpanKind, StatusCode, get_current_span, set_span_in_context, use_span

from persistence.errors import StorageUnavailable
from persistence.writeback.batch import FAST
from server.http.error_answers import answer_to
from server.observability.build import version
from server.observability.tracing import Tracing
from server.ws.responder import Responder

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine, Sequence

    from opentelemetry.trace import Span, Tracer

    from game.errors import Refusal
    from game.session import UserId
    from persistence.live.session_ref import SessionRef
    from persistence.live.sources import ColdStore
    from persistence.writeback.batch import Batch, BatchOutcome, BatchSaver, Portions
    from server.http.messages import HttpRequest, HttpResponse
    from server.http.routes import Route
    from server.protocol.messages import Request
    from server.ws.responder import Start

_EXPORT_WITHIN_S: Final = 5.0
_INTERNAL_ERROR: Final = 500
_FAULTS: Final = frozenset({"unavailable", "failed"})


def open_spans(endpoint: str, one_in: int, worker: int) -> Spans:
    """Send spans to an OTLP collector over HTTP, from a thread, in batches."""
    resource = Resource.create(
        {
            "service.name": "click-and-cook",
            "service.version": version(),
            "service.instance.id": str(worker),
        }
    )
    provider = TracerProvider(resource=resource)
    exporter = OTLPSpanExporter(endpoint=f"{endpoint.rstrip('/')}/v1/traces", timeout=_EXPORT_WITHIN_S)
    provider.add_span_processor(BatchSpanProcessor(exporter))
    return Spans(provider, one_in)


class Spans(Tracing):
    """Makes spans with a provider; of clicks, and of cold loads outside them, one in `one_in`."""

    def __init__(self, provider: TracerProvider, one_in: int) -> None:
        self._provider = provider
        self._tracer = provider.get_tracer("click-and-cook", version())
        self._one_in = one_in

    def requests(self, start: Start) -> Start:
        """Trace one request in `one_in`."""
        left = self._one_in

        def start_sampled(responder: Responder, request: Request) -> None:
            nonlocal left
            left -= 1
            if left:
                start(responder, request)
            else:
                left = self._one_in
                _TracedResponder(self._tracer, responder, request).start(start, request)

        return start_sampled

    def cold_store(self, store: ColdStore) -> ColdStore:
        """Trace the cold loads of traced requests, and one in `one_in` of the others."""
        return _TracedColdStore(store, self._tracer, self._one_in)

    def saver(self, saver: BatchSaver) -> BatchSaver:
        """Trace every batch that is written."""
        return _TracedSaver(saver, self._tracer)

    def routes(self, routes: tuple[Route, ...]) -> tuple[Route, ...]:
        """Trace every request over HTTP."""
        return tuple(replace(route, handler=self._answering(route)) for route in routes)

    def close(self) -> None:
        """Send the spans not sent yet; takes a few seconds at most."""
        self._provider.shutdown()

    def _answering(self, route: Route) -> Callable[[HttpRequest], Awaitable[HttpResponse]]:
        async def answer_traced(request: HttpRequest) -> HttpResponse:
            attributes = {"http.request.method": request.method, "http.route": route.path}
            with self._tracer.start_as_current_span(
                f"{route.method} {route.path}",
                kind=SpanKind.SERVER,
                attributes=attributes,
                record_exception=False,
                set_status_on_exception=False,
            ) as span:
                try:
                    response = await route.handler(request)
                except Exception as error:
                    answer = answer_to(error)
                    span.set_attribute("error.type", type(error).__name__)
                    _say_status(span, answer.status if answer is not None else _INTERNAL_ERROR)
                    raise
                _say_status(span, response.status)
                return response

        return answer_traced


class _TracedColdStore:
    """Loads sessions as `store` does, some of the loads in a span."""

    def __init__(self, store: ColdStore, tracer: Tracer, one_in: int) -> None:
        self._store = store
        self._tracer = tracer
        self._one_in = one_in
        self._left = one_in

    async def load(self, ref: SessionRef, *, create: bool) -> bool:
        """Load a session, or create one; as the store behind."""
        self._left -= 1
        if self._left and not get_current_span().is_recording():
            return await self._store.load(ref, create=create)
        self._left = self._left or self._one_in
        with self._tracer.start_as_current_span(
            "cold_load", attributes={"user": ref.user_id, "create": create}, record_exception=False
        ) as span:
            found = await self._store.load(ref, create=create)
            span.set_attribute("found", found)
            return found

    async def verify(self, ref: SessionRef) -> None:
        """Replace an older session; as the store behind."""
        await self._store.verify(ref)


class _TracedSaver:
    """Saves batches as `saver` does, each in a span."""

    def __init__(self, saver: BatchSaver, tracer: Tracer) -> None:
        self._saver = saver
        self._tracer = tracer
        self.store = saver.store

    async def collect(self, user_ids: Sequence[UserId], read_ms: int, portions: Portions = FAST) -> Batch:
        """Read sessions; as the saver behind."""
        return await self._saver.collect(user_ids, read_ms, portions)

    async def write(self, batch: Batch) -> BatchOutcome:
        """Write a batch; as the saver behind."""
        with self._tracer.start_as_current_span(
            "flush_batch", attributes={"rows": len(batch.rows)}, record_exception=False
        ) as span:
            outcome = await self._saver.write(batch)
            span.set_attributes({"saved": outcome.saved, "bad": len(outcome.bad), "write_s": outcome.write_s})
            return outcome


def _say_status(span: Span, status: int) -> None:
    span.set_attribute("http.response.status_code", status)
    if status >= _INTERNAL_ERROR:
        span.set_status(StatusCode.ERROR)


class _TracedResponder(Responder):
    """Answers one request through another responder, and makes its spans on the way.

    The request's span lasts from its handler to its answer; within it `redis` lasts until the reply, and what
    has to be recovered or asked of PostgreSQL until it is there.
    """

    __slots__ = ("_began_ns", "_responder", "_sent", "_span", "_tracer")

    def __init__(self, tracer: Tracer, responder: Responder, request: Request) -> None:
        # Callbacks of its own: the connection's usual ones would answer past this.
        self.on_click = self.on_reply = None
        self.exchange = responder.exchange
        self._tracer = tracer
        self._responder = responder
        self._began_ns = time_ns()
        self._sent = False
        self._span: Span = tracer.start_span(
            request.request_type,
            kind=SpanKind.SERVER,
            attributes={"conn": self.exchange.number, "user": self.exchange.user_id or 0},
            start_time=self._began_ns,
        )

    def start(self, start: Start, request: Request) -> None:
        """Begin the request; raises as `start` does."""
        try:
            start(self, request)
        except StorageUnavailable:
            self._end("unavailable")
            raise
        self._sent = True

    def answer(self, payload: bytes, result: str) -> None:
        """Answer, and end the span."""
        self._end(result)
        self._responder.answer(payload, result)

    def refuse(self, refusal: Refusal) -> None:
        """Refuse, and end the span."""
        self._end(refusal.code)
        self._responder.refuse(refusal)

    def fail(self) -> None:
        """Answer what a fault of ours broke, and end the span."""
        self._end("failed")
        self._responder.fail()

    def unavailable(self, fault: StorageUnavailable) -> None:
        """Answer that it could not be served, and end the span."""
        self._end("unavailable")
        self._responder.unavailable(fault)

    def spawn(self, work: Coroutine[None, None, None]) -> None:
        """Go on in a task, whose spans become this one's children."""
        self._replied()
        self._responder.spawn(self._within(work))

    async def _within(self, work: Coroutine[None, None, None]) -> None:
        with use_span(self._span, record_exception=False, set_status_on_exception=False):
            try:
                await work
            except BaseException as error:
                # The responder behind answers for what is raised.
                self._end("unavailable" if isinstance(error, Exception) else "cancelled")
                raise

    def _replied(self) -> None:
        """Make the span of Redis, once, where something was sent."""
        if self._sent:
            self._sent = False
            context = set_span_in_context(self._span)
            lane = self._tracer.start_span(
                "redis", context, SpanKind.CLIENT, {"db.system.name": "redis"}, start_time=self._began_ns
            )
            lane.end()

    def _end(self, result: str) -> None:
        self._replied()
        self._span.set_attribute("result", result)
        if result in _FAULTS:
            self._span.set_status(StatusCode.ERROR)
        self._span.end()
