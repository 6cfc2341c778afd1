"""Which build this is, and what the system knows of its process."""

from __future__ import annotations

import asyncio
import platform
import tomllib
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Final

from prometheus_client import ProcessCollector

from server.observability.metric_families import WORKER

if TYPE_CHECKING:
    from server.observability.metric_families import MetricFamilies

_PROJECT: Final = Path(__file__).parents[2] / "pyproject.toml"


@cache
def version() -> str:
    """Return the project's version, or `unknown` where the code was copied without its pyproject.toml."""
    try:
        with _PROJECT.open("rb") as file:
            found: str = tomllib.load(file)["project"]["version"]
            return found
    except (OSError, KeyError, tomllib.TOMLDecodeError):
        return "unknown"


async def add_build(families: MetricFamilies, process: str) -> None:
    """Add version, the id `process` and, where there is a /proc, CPU time, memory, open files and start."""
    families.gauges(
        "build_info",
        "Always 1; the labels say which build runs.",
        ("version", "python"),
        {(version(), platform.python_version()): 1},
    )
    families.gauges("process_info", "Always 1; a random id of this process.", ("process",), {(process,): 1})
    # It lists every open file, connections among them: not in the event loop.
    for metric in await asyncio.to_thread(ProcessCollector(registry=None).collect):
        metric.samples = [
            sample._replace(labels={**sample.labels, WORKER: families.worker}) for sample in metric.samples
        ]
        families.made.append(metric)
