"""Who may use the desk: the page's own address, and the operators' tokens."""

from __future__ import annotations

import hmac
import ipaddress
import time
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

import structlog

from runtime.desk_settings import digest_of
from runtime.log_limits import LogLimiter
from server.auth.throttle import address_group
from server.http.account_routes import bearer_token
from server.http.error_answers import BearerRefused
from server.http.messages import malformed, refusal
from server.http.origins import canonical_origin, from_header, origins_of_host

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from runtime.desk_settings import DeskToken
    from server.http.messages import HttpRequest, HttpResponse

_log = structlog.get_logger(__name__)

_LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})
_EVERYWHERE: Final = frozenset({"0.0.0.0", "::"})
MOST_WRONG: Final = 10
WINDOW_S: Final = 60.0
_MOST_ADDRESSES: Final = 1000
_CHALLENGE: Final = (("WWW-Authenticate", "Bearer"),)


@dataclass(frozen=True, slots=True)
class Operator:
    """Who asks: the name in the log, and whether they may only look."""

    name: str
    read_only: bool


class Guard:
    """Judges requests by their heads, before a body is read.

    A page of another site reaches nothing: its `Origin` is not ours, and where a name of its own was made to
    lead here (DNS rebinding), that name is in `Host`.
    """

    def __init__(
        self,
        tokens: Sequence[DeskToken],
        host: str,
        url: str,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._tokens = tokens
        self._any_address = host in _EVERYWHERE
        parts = urlsplit(url)
        self._hosts = _LOOPBACK | {name for name in (host.lower(), parts.hostname) if name} - _EVERYWHERE
        self._origin = canonical_origin(f"{parts.scheme}://{parts.netloc}") if url else None
        self._clock = clock
        self._wrong: dict[str, deque[float]] = {}
        self._lines = LogLimiter()

    def refuse_site(self, request: HttpRequest) -> HttpResponse | None:
        """Refuse what another site's page sends, whatever it asks for."""
        host = request.header("host")
        if host is None or not self._is_ours(from_header(host)):
            return malformed(403, "host not allowed: name the desk's own address in DESK_URL")
        origin = request.header("origin")
        if origin is None:
            return None
        canonical = canonical_origin(from_header(origin))
        ours = canonical is not None and (
            canonical == self._origin or canonical in origins_of_host(from_header(host))
        )
        return None if ours else malformed(403, "origin not allowed")

    def refuse_operator(self, request: HttpRequest) -> HttpResponse | None:
        """Refuse who shows no good token. After ten wrong ones in a minute an address waits."""
        group, now_s = address_group(request.client), self._clock()
        wrong = self._wrong.get(group, deque())
        while wrong and next(iter(wrong)) <= now_s - WINDOW_S:
            wrong.popleft()
        if len(wrong) >= MOST_WRONG:
            wait_s = int(next(iter(wrong)) + WINDOW_S - now_s) + 1
            return refusal(429, 4, "too many requests", (("Retry-After", str(wait_s)),))
        if self.operator_of(request) is not None:
            return None
        if request.header("authorization") is None:
            return refusal(401, 1, "missing token", _CHALLENGE)
        if group not in self._wrong and len(self._wrong) >= _MOST_ADDRESSES:
            del self._wrong[next(iter(self._wrong))]
        self._wrong[group] = wrong
        wrong.append(now_s)
        left_out = self._lines.left_out(now_s)
        if left_out is not None:
            _log.warning("desk_token_refused", address=request.client, left_out=left_out)
        return refusal(401, 1, "token invalid", _CHALLENGE)

    def operator_of(self, request: HttpRequest) -> Operator | None:
        """Return whose token a request shows. Every token is compared, each in constant time."""
        try:
            shown = digest_of(bearer_token(request))
        except BearerRefused:
            return None
        found = None
        for token in self._tokens:
            if hmac.compare_digest(shown, token.digest):
                found = Operator(token.name, token.read_only)
        return found

    def _is_ours(self, host: str) -> bool:
        """Say whether a request's Host is an address of the desk; the port may be a tunnel's."""
        origin = canonical_origin(f"http://{host}")
        name = urlsplit(origin).hostname if origin is not None else None
        if name is None:
            return False
        return name in self._hosts or (self._any_address and _is_address(name))


def _is_address(name: str) -> bool:
    """Say whether a host is an address: no other site's name can be made to look like one."""
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
