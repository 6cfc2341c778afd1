"""/metrics: the figures of this process, or of all workers that share its port."""

from __future__ import annotations

import asyncio
import secrets
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

import structlog
from prometheus_client import CollectorRegistry, generate_latest

from runtime.logs import STORM_LIMITS
from server.http.service_routes import Condition
from server.observability.build import add_build
from server.observability.exposition import merged
from server.observability.metric_families import MetricFamilies
from server.observability.shared import SharedRendering
from server.observability.siblings import Siblings
from server.observability.storage import add_storage
from server.observability.traffic import add_traffic, count_crowd

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from prometheus_client.metrics_core import Metric

    from server.observability.health import Health
    from server.observability.parts import Parts
    from server.observability.probes import Probes

_log = structlog.get_logger(__name__)


class Exporter:
    """Renders the figures of `parts` when it is asked. Run `run` in a supervised task.

    `worker` is this process' index among `workers`, which tell each other their figures in `folder`; without
    a folder it is alone.
    """

    def __init__(
        self, parts: Parts, probes: Probes, worker: int = 0, workers: int = 1, folder: Path | None = None
    ) -> None:
        self._parts = parts
        self._probes = probes
        self._process = secrets.token_hex(8)
        """Tells this process from others, at whatever address it is asked."""
        self._worker = worker
        self._siblings = Siblings(folder, worker, workers, self.own) if folder is not None else None
        self.render = SharedRendering(self._render)
        """Return the text for Prometheus: each sample of each worker, and which of the workers answered."""

    async def run(self) -> None:
        """Show the parts to the other workers too, and probe the databases, until cancelled."""
        async with AsyncExitStack() as stack:
            if self._siblings is not None:
                try:
                    await self._siblings.start()
                except OSError as error:
                    # The others will say that this worker is down; players are served all the same.
                    _log.error("worker_metrics_not_shared", error=str(error))
                stack.push_async_callback(self._siblings.stop)
            await self._probes.run()

    async def _render(self) -> bytes:
        texts = {self._worker: await self.own()}
        others = await self._siblings.ask() if self._siblings is not None else {}
        texts |= {index: text for index, text in others.items() if text is not None}
        up = [(str(index), index in texts) for index in sorted({*texts, *others})]
        return merged([*(texts[index] for index in sorted(texts)), _workers_up(up)])

    async def own(self) -> bytes:
        """Return the text of this process alone."""
        families = MetricFamilies(str(self._worker))
        parts = self._parts
        add_traffic(families, parts, await count_crowd(parts.dispatch))
        await asyncio.sleep(0)
        add_storage(families, parts, self._probes)
        await asyncio.sleep(0)
        _add_condition(families, self._probes, parts.health)
        await add_build(families, self._process)
        return await text_in_passes(families.made)


def _add_condition(families: MetricFamilies, probes: Probes, health: Health) -> None:
    found = health.readiness().condition
    families.gauges(
        "condition",
        "1 for what /readyz says now: players should be sent to `ok` and `degraded`.",
        ("condition",),
        {(each.value,): each is found for each in Condition},
    )
    families.counter("log_lines_lost", "Lines of the log that could not be written.", health.log.lost)
    families.counter(
        "log_lines_left_out",
        "Warnings and errors that were counted and not written, as a crowd of their kind came at once.",
        STORM_LIMITS.left_out,
    )
    families.durations(
        "loop_delay_seconds",
        "How much later than asked the event loop woke a timer, once a second.",
        (),
        {(): (probes.loop_delay.counts, probes.loop_delay.sum_s)},
    )


def _workers_up(workers: Iterable[tuple[str, bool]]) -> bytes:
    made: list[Metric] = []
    for index, is_up in workers:
        families = MetricFamilies(index)
        families.gauge("worker_up", "Whether this worker told its figures within a second.", is_up)
        made += families.made
    return merged(_text([each]) for each in made)


class _Once:
    """What a registry collects: families that are ready."""

    def __init__(self, families: list[Metric]) -> None:
        self._families = families

    def collect(self) -> Iterable[Metric]:
        """Give the families."""
        return self._families


async def text_in_passes(families: list[Metric]) -> bytes:
    """Write the text, one family in a pass of the event loop: clicks go in between."""
    texts = []
    for family in families:
        texts.append(_text([family]))
        await asyncio.sleep(0)
    return b"".join(texts)


def _text(families: list[Metric]) -> bytes:
    registry = CollectorRegistry()
    registry.register(_Once(families))
    return generate_latest(registry)
