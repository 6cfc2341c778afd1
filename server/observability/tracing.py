"""Traces, where they are wanted: OTEL_EXPORTER_OTLP_ENDPOINT is set and the extra `tracing` installed.

Otherwise nothing of OpenTelemetry is imported and every part stays as it is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import structlog

if TYPE_CHECKING:
    from contextlib import AsyncExitStack

    from persistence.live.sources import ColdStore
    from persistence.writeback.batch import BatchSaver
    from runtime.settings import Settings
    from server.http.routes import Route
    from server.ws.responder import Start

_log = structlog.get_logger(__name__)


class Tracing:
    """Traces nothing: each part is handed back as it was given.

    A part is wrapped where it is built, so whoever uses it is given what traces.
    """

    def requests(self, start: Start) -> Start:
        """Return what begins a request, traced."""
        return start

    def cold_store(self, store: ColdStore) -> ColdStore:
        """Return what loads sessions, traced."""
        return store

    def saver(self, saver: BatchSaver) -> BatchSaver:
        """Return what saves batches, traced."""
        return saver

    def routes(self, routes: tuple[Route, ...]) -> tuple[Route, ...]:
        """Return the routes to serve, traced."""
        return routes


def open_tracing(settings: Settings, stack: AsyncExitStack) -> Tracing:
    """Return what traces as the settings say; closed with `stack`.

    Without the packages nothing is traced, and a line in the log says how to get them.
    """
    if not settings.trace_endpoint:
        return Tracing()
    try:
        from server.observability.spans import open_spans  # noqa: PLC0415 - imported only where it is used
    except ImportError as error:
        _log.warning(
            "tracing_not_installed",
            missing=error.name,
            advice="pip install 'opentelemetry-sdk' 'opentelemetry-exporter-otlp-proto-http'",
        )
        return Tracing()
    _log.info("tracing_started", requests_one_in=settings.trace_one_in)
    spans = open_spans(settings.trace_endpoint, settings.trace_one_in, settings.worker_index or 0)
    stack.callback(spans.close)
    return spans
