"""Spans of OpenTelemetry: HTTP requests, flushed batches, and one in so many clicks and cold loads.

Imported only where traces are wanted. Parts are followed by putting a function in front of theirs, once, at
the start: what is not traced is called as ever. No span holds a token, an e-mail or a text of an error.
"""

from __future__ import annotations

from dataclasses import replace
from time import time_ns
from typing import TYPE_CHECKING, Final, cast

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import SpanKind, StatusCode, get_current_span, set_span_in_context, use_span

from persistence.live.lane_contract import LaneError
from server.http.error_answers import answer_to
from server.observability.build import version
from server.observability.tracing import Tracing

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine

    from opentelemetry.trace import Span, Tracer

    from game.errors import Refusal
    from persistence.live.sessions import SessionRef
    from persistence.recovery.cold_load import Loader
    from persistence.writeback.batch import Batch, Outcome, Saver
    from server.http.messages import HttpRequest, HttpResponse
    from server.http.routes import Route
    from server.protocol.messages import Request
    from server.ws.dispatch import Dispatch
    from server.ws.exchange import Exchange
    from server.ws.handlers import Handlers, Start

_EXPORT_WITHIN_S: Final = 5.0
_INTERNAL_ERROR: Final = 500
_ILL: Final = frozenset({"unavailable", "failed"})


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

    def follow(
        self, routes: tuple[Route, ...], handlers: Handlers, loader: Loader, saver: Saver
    ) -> tuple[Route, ...]:
        """Put a function in front of each part's own."""
        handlers.start = self._sampled(handlers.start)  # type: ignore[assignment]  # once, at the start
        loader.load = self._loading(loader.load)  # type: ignore[assignment]  # as above
        saver.write = self._writing(saver.write)  # type: ignore[assignment]  # as above
        return tuple(replace(route, handler=self._answering(route)) for route in routes)

    def close(self) -> None:
        """Send what was not sent yet; takes a few seconds at most."""
        self._provider.shutdown()

    def _sampled(self, start: Start) -> Start:
        left = self._one_in

        def start_sampled(dispatch: Dispatch, exchange: Exchange, request: Request) -> None:
            nonlocal left
            if isinstance(dispatch, _Followed):
                # Begun anew on the way, under another catalogue: the same request, the same span.
                start(dispatch, exchange, request)
                return
            left -= 1
            if left:
                start(dispatch, exchange, request)
            else:
                left = self._one_in
                _Followed(self._tracer, dispatch, exchange, request).start(start)

        return start_sampled

    def _loading(self, load: Callable[..., Awaitable[bool]]) -> Callable[..., Awaitable[bool]]:
        left = self._one_in

        async def load_sampled(ref: SessionRef, *, create: bool) -> bool:
            nonlocal left
            left -= 1
            if left and not get_current_span().is_recording():
                return await load(ref, create=create)
            left = left or self._one_in
            with self._tracer.start_as_current_span(
                "cold_load", attributes={"user": ref.user_id, "create": create}, record_exception=False
            ) as span:
                found = await load(ref, create=create)
                span.set_attribute("found", found)
                return found

        return load_sampled

    def _writing(self, write: Callable[[Batch], Awaitable[Outcome]]) -> Callable[[Batch], Awaitable[Outcome]]:
        async def write_traced(batch: Batch) -> Outcome:
            with self._tracer.start_as_current_span(
                "flush_batch", attributes={"rows": len(batch.rows)}, record_exception=False
            ) as span:
                outcome = await write(batch)
                span.set_attributes(
                    {"saved": outcome.saved, "bad": len(outcome.bad), "write_s": outcome.write_s}
                )
                return outcome

        return write_traced

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


def _say_status(span: Span, status: int) -> None:
    span.set_attribute("http.response.status_code", status)
    if status >= _INTERNAL_ERROR:
        span.set_status(StatusCode.ERROR)


class _Followed:
    """Stands in for dispatch while one request is answered, and makes its spans on the way.

    The request's span lasts from its handler to its answer; within it `redis` lasts until the reply, and what
    has to be recovered or asked of PostgreSQL until it is there.
    """

    def __init__(self, tracer: Tracer, dispatch: Dispatch, exchange: Exchange, request: Request) -> None:
        self._tracer = tracer
        self._dispatch = dispatch
        self._exchange = exchange
        self._request = request
        self._began_ns = time_ns()
        self._sent = False
        self._on_reply = exchange.on_reply
        self._span: Span = tracer.start_span(
            request.request_type,
            kind=SpanKind.SERVER,
            attributes={"conn": exchange.number, "user": exchange.user_id or 0},
            start_time=self._began_ns,
        )

    def start(self, start: Start) -> None:
        """Begin the request; raises as `start` does."""
        # The connection's usual callback would answer past us, ours must not outlive the request.
        self._exchange.on_reply = None
        try:
            start(cast("Dispatch", self), self._exchange, self._request)
        except LaneError:
            self._end("unavailable")
            raise
        self._sent = True

    # What handlers call of dispatch.

    def answer(self, exchange: Exchange, payload: bytes, result: str) -> None:
        """Answer, and end the span."""
        self._end(result)
        self._dispatch.answer(exchange, payload, result)

    def refuse(self, exchange: Exchange, refusal: Refusal) -> None:
        """Refuse, and end the span."""
        self._end(refusal.code)
        self._dispatch.refuse(exchange, refusal)

    def failed(self, exchange: Exchange) -> None:
        """Answer what a fault of ours broke, and end the span."""
        self._end("failed")
        self._dispatch.failed(exchange)

    def spawn(self, exchange: Exchange, work: Coroutine[None, None, None]) -> None:
        """Go on in a task, whose spans become this one's children."""
        self._replied()
        self._dispatch.spawn(exchange, self._within(work))

    async def _within(self, work: Coroutine[None, None, None]) -> None:
        with use_span(self._span, record_exception=False, set_status_on_exception=False):
            try:
                await work
            except BaseException as error:
                # Dispatch answers for what is raised.
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
        if self._exchange.connection.state is self._exchange:
            self._exchange.on_reply = self._on_reply
        self._span.set_attribute("result", result)
        if result in _ILL:
            self._span.set_status(StatusCode.ERROR)
        self._span.end()
