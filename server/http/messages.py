"""A request and a response, as handlers see them: whole, decoded, without sockets."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import orjson

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

Headers = tuple[tuple[str, str], ...]

STATUS_MALFORMED: Final = 8
STATUS_UNAVAILABLE: Final = 6
STATUS_INTERNAL: Final = 7


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """One complete request.

    `path` is as sent, without the query; header names are lower case; `client` is the
    address of the peer behind our trusted proxies.
    """

    method: str
    path: str
    headers: Headers = ()
    body: bytes = b""
    client: str = ""

    def header(self, name: str) -> str | None:
        """Return a header's value, several joined by commas; `name` in lower case."""
        values = [value for key, value in self.headers if key == name]
        return ", ".join(values) if values else None


@dataclass(frozen=True, slots=True)
class HttpResponse:
    """One complete response; length, date and what every answer carries are added on its way out."""

    status: int
    body: bytes = b""
    headers: Headers = ()

    def with_headers(self, headers: Iterable[tuple[str, str]]) -> HttpResponse:
        """Return the same response with further headers; those it has stay, `Vary` adds up."""
        present = {name.lower() for name, _ in self.headers} - {"vary"}
        added = tuple((name, value) for name, value in headers if name.lower() not in present)
        return HttpResponse(self.status, self.body, self.headers + added)


def json_response(status: int, payload: Mapping[str, object], headers: Headers = ()) -> HttpResponse:
    """Answer with JSON that nobody may keep."""
    fixed = (("Content-Type", "application/json; charset=utf-8"), ("Cache-Control", "no-store"))
    return HttpResponse(status, orjson.dumps(payload), fixed + headers)


def refusal(http_status: int, status: int, message: str, headers: Headers = ()) -> HttpResponse:
    """Answer with an error: JSON with the wire's `status` (never 0) and a message."""
    return json_response(http_status, {"status": status, "message": message}, headers)


def malformed(http_status: int, message: str, headers: Headers = ()) -> HttpResponse:
    """Refuse a request that is not of this contract: path, method, type, size, syntax."""
    return refusal(http_status, STATUS_MALFORMED, message, headers)


def unavailable(retry_after_s: int) -> HttpResponse:
    """Refuse temporarily: something this needs is away or full."""
    return refusal(503, STATUS_UNAVAILABLE, "service unavailable", (("Retry-After", str(retry_after_s)),))


def internal_error() -> HttpResponse:
    """Admit a fault without a detail."""
    return refusal(500, STATUS_INTERNAL, "internal error")
