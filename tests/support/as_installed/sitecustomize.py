"""Hides from the programs under test what only tools of the tests have installed.

They start as on an operator's machine: structlog would import rich, and redis-py OpenTelemetry, wherever they
are found, which is a third of the time that a start takes.
"""

import os
import sys

sys.modules["rich"] = None  # type: ignore[assignment]  # importing it raises ImportError
if "OTEL_EXPORTER_OTLP_ENDPOINT" not in os.environ:
    sys.modules["opentelemetry"] = None  # type: ignore[assignment]  # as above
