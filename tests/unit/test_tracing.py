"""Spans as they are made, and that nobody pays for them who wants none."""

from __future__ import annotations

import subprocess
import sys

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import StatusCode

from server.auth.errors import CredentialsInvalid
from server.http.messages import HttpRequest, HttpResponse, json_response
from server.http.routes import Route
from server.observability.spans import Spans
from tests.support.game_server import REPOSITORY
from tests.support.limits import LIMIT_S

SECRET = "pepper@example.com"


@pytest.fixture
def kept() -> InMemorySpanExporter:
    """Where finished spans are kept."""
    return InMemorySpanExporter()


@pytest.fixture
def spans(kept: InMemorySpanExporter) -> Spans:
    """What makes spans, of every request."""
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(kept))
    return Spans(provider, one_in=1)


def followed(spans: Spans, route: Route) -> Route:
    """Let a route be followed."""
    (found,) = spans.routes((route,))
    return found


async def _served(_request: HttpRequest) -> HttpResponse:
    return json_response(200, {"status": 0})


async def _refused(_request: HttpRequest) -> HttpResponse:
    raise CredentialsInvalid(SECRET)


async def _broken(_request: HttpRequest) -> HttpResponse:
    raise RuntimeError(SECRET)


async def test_a_request_over_http_is_a_span(spans: Spans, kept: InMemorySpanExporter) -> None:
    """It names method, route and status; what the client sent is not in it."""
    route = followed(spans, Route("POST", "/auth", _served))

    response = await route.handler(HttpRequest("POST", f"/auth?{SECRET}", body=SECRET.encode()))

    (span,) = kept.get_finished_spans()
    assert response.status == 200
    assert span.name == "POST /auth"
    assert dict(span.attributes or {}) == {
        "http.request.method": "POST",
        "http.route": "/auth",
        "http.response.status_code": 200,
    }
    assert SECRET not in span.to_json()


@pytest.mark.parametrize(
    ("handler", "status", "error"),
    [(_refused, 401, "CredentialsInvalid"), (_broken, 500, "RuntimeError")],
    ids=["a refusal", "a fault"],
)
async def test_what_is_raised_goes_on(
    spans: Spans, kept: InMemorySpanExporter, handler: object, status: int, error: str
) -> None:
    """A refusal has its status and kind, a fault of ours is an error; neither shows its text."""
    route = followed(spans, Route("POST", "/auth", handler))  # type: ignore[arg-type]  # one of two handlers

    with pytest.raises(Exception, match=SECRET):
        await route.handler(HttpRequest("POST", "/auth"))

    (span,) = kept.get_finished_spans()
    attributes = dict(span.attributes or {})
    assert (attributes["http.response.status_code"], attributes["error.type"]) == (status, error)
    assert (span.status.status_code is StatusCode.ERROR) is (status >= 500)
    assert SECRET not in span.to_json()


def run(code: str) -> str:
    """Run a piece of code in a process of its own; return what it printed."""
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


HIDDEN = """
import sys
class Hidden:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "opentelemetry":
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Hidden())
"""
OPEN = """
from contextlib import AsyncExitStack
import server.app
from runtime.settings import Settings
from server.app.tracing import open_tracing
from tests.support.limits import LIMIT_S
tracing = open_tracing(Settings(trace_endpoint={endpoint!r}), AsyncExitStack())
print(type(tracing).__name__, "server.observability.spans" in sys.modules)
"""


def test_nothing_is_imported_where_no_traces_are_wanted() -> None:
    """Without an endpoint the server does without the packages and without what uses them."""
    assert run(HIDDEN + OPEN.format(endpoint="")) == "Tracing False\n"
    assert run("import sys" + OPEN.format(endpoint="")) == "Tracing False\n"


def test_missing_packages_are_named() -> None:
    """With an endpoint, but without the packages, the server starts and says what to install."""
    said = run(HIDDEN + OPEN.format(endpoint="http://collector:4318"))

    assert "Tracing False\n" in said
    assert "tracing_not_installed" in said
    assert "pip install" in said
