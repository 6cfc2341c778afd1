"""The routes that operators and their tools ask: is it alive, is it ready, what are its figures."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from server.http.messages import STATUS_UNAVAILABLE, HttpRequest, HttpResponse, json_response
from server.http.routes import Route

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

_RETRY_AFTER_S: Final = (("Retry-After", "2"),)
_METRICS_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"


class Condition(StrEnum):
    """Whether players should be sent here: `ok` and `degraded` mean yes."""

    OK = "ok"
    DEGRADED = "degraded"
    UNAVAILABLE = "unavailable"
    DRAINING = "draining"


@dataclass(frozen=True, slots=True)
class Readiness:
    """The condition of this process, and the state of each part by its name, like `postgresql: away`."""

    condition: Condition
    parts: Mapping[str, str]


def service_routes(
    readiness: Callable[[], Readiness], render_metrics: Callable[[], Awaitable[bytes]]
) -> tuple[Route, ...]:
    """Return the routes for operators."""

    async def alive(_request: HttpRequest) -> HttpResponse:
        return json_response(200, {"status": "ok"})

    async def ready(_request: HttpRequest) -> HttpResponse:
        found = readiness()
        parts = dict(found.parts)
        if found.condition in {Condition.OK, Condition.DEGRADED}:
            return json_response(200, {**parts, "status": found.condition.value})
        refused = {"status": STATUS_UNAVAILABLE, "message": f"service unavailable: {found.condition.value}"}
        return json_response(503, {**parts, **refused}, _RETRY_AFTER_S)

    async def metrics(_request: HttpRequest) -> HttpResponse:
        headers = (("Content-Type", _METRICS_TYPE), ("Cache-Control", "no-store"))
        return HttpResponse(200, await render_metrics(), headers)

    return (
        Route("GET", "/healthz", alive),
        Route("GET", "/readyz", ready),
        Route("GET", "/metrics", metrics),
    )
