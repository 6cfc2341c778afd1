"""Traces of a running server, as a collector receives them."""

from __future__ import annotations

import asyncio
import gzip
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import httpx
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tests.support.game_server import running_game
from tests.support.limits import LIMIT_S
from tests.support.players import EXTERNAL, PASSWORD, player, register

if TYPE_CHECKING:
    from collections.abc import Iterator

    from opentelemetry.proto.trace.v1.trace_pb2 import Span

    from tests.support.servers import ValkeyServer


class Collector(ThreadingHTTPServer):
    """Keeps the spans that it is sent over OTLP."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        # By their ids: a batch whose answer comes too late is sent again.
        self.found: dict[bytes, Span] = {}
        self.services: set[str] = set()

    @property
    def url(self) -> str:
        """What OTEL_EXPORTER_OTLP_ENDPOINT is set to."""
        return f"http://127.0.0.1:{self.server_port}"

    @property
    def spans(self) -> list[Span]:
        """Every span, in the order of their arrival."""
        return list(self.found.values())

    def named(self, name: str) -> list[Span]:
        """Return the spans of a name."""
        return [span for span in self.spans if span.name == name]

    def below(self, parent: Span) -> list[str]:
        """Name the spans whose parent this one is."""
        return sorted(
            span.name
            for span in self.spans
            if (span.trace_id, span.parent_span_id) == (parent.trace_id, parent.span_id)
        )


class _Handler(BaseHTTPRequestHandler):
    server: Collector

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.headers["Content-Encoding"] == "gzip":
            body = gzip.decompress(body)
        request = ExportTraceServiceRequest()
        request.ParseFromString(body)
        for resource in request.resource_spans:
            self.server.services |= {
                each.value.string_value for each in resource.resource.attributes if each.key == "service.name"
            }
            for scope in resource.scope_spans:
                self.server.found |= {span.span_id: span for span in scope.spans}
        self.send_response(200 if self.path == "/v1/traces" else 404)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - its name in the base class
        """Say nothing."""


@contextmanager
def collecting() -> Iterator[Collector]:
    """Run a collector until the block ends."""
    with Collector() as collector:
        thread = threading.Thread(target=collector.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield collector
        finally:
            collector.shutdown()
            thread.join()


def attributes(span: Span) -> dict[str, object]:
    """Return a span's attributes."""
    return {each.key: getattr(each.value, str(each.value.WhichOneof("value"))) for each in span.attributes}


async def test_a_click_is_followed_to_redis_and_back(module_databases: dict[str, str]) -> None:
    """Requests have their span, with Redis and a cold load below; log-ins and flushes have theirs."""
    settings = {**EXTERNAL, **module_databases, "TRACE_ONE_IN": "1"}
    with collecting() as collector:
        with running_game({**settings, "OTEL_EXPORTER_OTLP_ENDPOINT": collector.url}) as server:
            tokens = await asyncio.to_thread(register, server, "traced@example.com")
            account = {"email": "traced@example.com", "password": "wrong" + PASSWORD}
            wrong = await asyncio.to_thread(httpx.post, f"{server.url}/auth", json=account, timeout=LIMIT_S)
            assert wrong.status_code == 401
            async with player(server, tokens["access_token"]) as one:
                await one.ask("session")
                await one.ask("upgrade_buy", id=1)
                first = [await one.send("cook") for _ in range(20)]
                assert [(await one.answer(each))["data"]["applied"] for each in first] == [1] * 20
                assert (await one.ask("upgrade_buy", id=10**9))["code"] == "upgrade_not_found"
                await one.ask("leaderboard")
            server.stop()

        assert collector.services == {"click-and-cook"}
        cooks = collector.named("cook")
        assert len(cooks) == 20
        for cook in cooks:
            assert attributes(cook)["result"] == "ok"
            assert collector.below(cook) == ["redis"]
            assert 0 < cook.end_time_unix_nano - cook.start_time_unix_nano < LIMIT_S * 1e9
        (session,) = collector.named("session")
        assert {"redis", "cold_load"} <= set(collector.below(session))
        results = [attributes(span)["result"] for span in collector.named("upgrade_buy")]
        assert sorted(map(str, results)) == ["ok", "upgrade_not_found"]
        (registered,) = collector.named("POST /reg")
        assert attributes(registered)["http.response.status_code"] == 200
        (refused,) = collector.named("POST /auth")
        assert attributes(refused)["error.type"] == "CredentialsInvalid"
        assert any(attributes(span).get("saved") == 1 for span in collector.named("flush_batch"))
        for secret in ("traced@", PASSWORD, tokens["access_token"]):
            assert not any(secret in str(span) for span in collector.spans)


async def test_a_request_that_redis_does_not_answer_ends(own_valkey: ValkeyServer, postgres_dsn: str) -> None:
    """Without Redis each request is answered and its span ends as unavailable; play goes on afterwards."""
    settings = {
        **EXTERNAL,
        "REDIS_CONNECTION": own_valkey.url,
        "DB_CONNECTION": postgres_dsn,
        "TRACE_ONE_IN": "2",
    }
    with collecting() as collector:
        with running_game({**settings, "OTEL_EXPORTER_OTLP_ENDPOINT": collector.url}) as server:
            async with player(server) as one:
                await one.ask("session")
                await one.ask("upgrade_buy", id=1)
                own_valkey.kill()
                assert [(await one.ask("cook"))["code"] for _ in range(4)] == ["unavailable"] * 4
                own_valkey.start()
                async with asyncio.timeout(LIMIT_S):
                    while "applied" not in await one.ask("cook"):
                        pass
                assert [(await one.ask("cook"))["applied"] for _ in range(10)] == [1] * 10
            server.stop()

        ended = [(str(attributes(span)["result"]), int(span.status.code)) for span in collector.named("cook")]
        assert ended.count(("unavailable", 2)) >= 2
        assert ended[-5:] == [("ok", 0)] * 5


async def test_a_collector_that_is_away_harms_nobody(module_databases: dict[str, str]) -> None:
    """Spans that nobody takes are dropped; players are served and the server ends in time."""
    with collecting() as collector:
        address = collector.url
    settings = {
        **EXTERNAL,
        **module_databases,
        "TRACE_ONE_IN": "1",
    }
    with running_game({**settings, "OTEL_EXPORTER_OTLP_ENDPOINT": address}) as server:
        async with player(server) as one:
            await one.ask("session")
            await one.ask("upgrade_buy", id=1)
            assert [(await one.ask("cook"))["applied"] for _ in range(10)] == [1] * 10
        assert server.stop() == 0
