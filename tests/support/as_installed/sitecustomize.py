"""Hides from the programs under test what only tools of the tests have installed.

They start as on an operator's machine: redis-py would import OpenTelemetry wherever it is found. What
requirements.lock has stays: an operator has it too.
"""

import os
import sys

if "OTEL_EXPORTER_OTLP_ENDPOINT" not in os.environ:
    sys.modules["opentelemetry"] = None  # type: ignore[assignment]  # importing it raises ImportError
