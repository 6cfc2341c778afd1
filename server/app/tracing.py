"""Traces, where they are wanted: OTEL_EXPORTER_OTLP_ENDPOINT is set and the extra `tracing` installed.

Otherwise nothing of OpenTelemetry is imported and every part stays as it is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import structlog

from server.observability.tracing import Tracing

if TYPE_CHECKING:
    from contextlib import AsyncExitStack

    from runtime.settings import Settings

_log = structlog.get_logger(__name__)


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
