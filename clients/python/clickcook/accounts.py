"""The account over HTTP: logging in, claiming, renewing, logging out."""

from __future__ import annotations

import asyncio
import http.client
import json
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from .core import RENEW_AFTER
from .errors import AccountRefused, LoggedOut, Suspended, Unreachable
from .tokens import Tokens

if TYPE_CHECKING:
    from collections.abc import Callable

    from .tokens import TokenStore

_BUSY: Final = frozenset({429, 500, 502, 503, 504})
_OK: Final = 200
_UNAUTHORIZED: Final = 401
_NAME_TAKEN: Final = 409
_SUSPENDED: Final = 10


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer over HTTP; `retry_after_s` is 0 without the header."""

    http_status: int
    body: dict[str, Any]
    retry_after_s: float


class Account:
    """One player's account at one server. Every pair goes into the store at once."""

    def __init__(self, url: str, store: TokenStore, *, timeout_s: float = 15.0) -> None:
        self.url = url.rstrip("/")
        self.store = store
        self._timeout_s = timeout_s
        self._credentials: tuple[str, str] | None = None
        self._one_at_a_time = asyncio.Lock()

    async def guest(self) -> Tokens:
        """Begin as a new player without an e-mail."""
        return self._keep(await self._ask("POST", "/guest", {}))

    async def register(self, email: str, password: str) -> Tokens:
        """Open an account. Raises AccountRefused with `http_status` 409 where there is one already."""
        return self._keep(await self._ask("POST", "/reg", {"email": email, "password": password}))

    async def log_in(self, email: str, password: str) -> Tokens:
        """Log in."""
        return self._keep(await self._ask("POST", "/auth", {"email": email, "password": password}))

    async def claim(self, email: str, password: str) -> Tokens:
        """Give a guest's account an e-mail and a password."""
        return await self._change("/claim", {"email": email, "password": password})

    async def change_password(self, password: str, new_password: str) -> Tokens:
        """Change the password; every other log-in of the player ends."""
        return await self._change("/password", {"password": password, "new_password": new_password})

    async def delete(self, password: str = "") -> None:
        """Delete the account and all that belongs to it; a guest has no password."""
        tokens = await self.renewed(None)
        async with self._one_at_a_time:
            body = {"password": password} if password else {}
            answer = await self._exchange("DELETE", "/account", body, tokens.access)
            if answer.http_status != _OK:
                raise _failure(answer)
            self.store.clear()

    async def log_out(self, *, everywhere: bool = False) -> None:
        """End the log-in at the server, `everywhere` each of the player's, and forget it."""
        async with self._one_at_a_time:
            tokens = self.store.load()
            if tokens is not None:
                path = "/logout/everywhere" if everywhere else "/logout"
                answer = await self._exchange("POST", path, {}, tokens.refresh)
                if answer.http_status not in (_OK, _UNAUTHORIZED):
                    raise _failure(answer)
            self.store.clear()

    def remember(self, email: str, password: str) -> None:
        """Log in with these, and open the account where there is none, whenever the log-in has ended."""
        self._credentials = (email, password)

    async def renewed(self, refused: str | None) -> Tokens:
        """Return a pair whose access token is not `refused`, and not about to end.

        Raises LoggedOut where the server knows the log-in no more; Unreachable says nothing: try again.
        """
        async with self._one_at_a_time:
            tokens = self.store.load()
            if tokens is None:
                return await self._log_in_again("there is no log-in")
            if tokens.access != refused and tokens.age_ms < RENEW_AFTER * tokens.life_ms:
                return tokens
            answer = await self._exchange("POST", "/refresh", {}, tokens.refresh)
            if answer.http_status == _OK:
                return self._keep(answer)
            if answer.http_status != _UNAUTHORIZED and answer.body.get("status") != _SUSPENDED:
                raise _failure(answer)
            newer = self.store.load()
            if newer is not None and newer.refresh != tokens.refresh:
                return newer  # another client of the same store was quicker
            self.store.clear()
            if answer.body.get("status") == _SUSPENDED:
                raise LoggedOut(str(answer.body.get("message"))) from _failure(answer)
            return await self._log_in_again(str(answer.body.get("message")))

    async def _log_in_again(self, why: str) -> Tokens:
        if self._credentials is None:
            raise LoggedOut(why)
        email, password = self._credentials
        body = {"email": email, "password": password}
        answer = await self._exchange("POST", "/reg", body)
        if answer.http_status == _NAME_TAKEN:
            answer = await self._exchange("POST", "/auth", body)
        if answer.http_status != _OK:
            raise _failure(answer)
        return self._keep(answer)

    async def _change(self, path: str, body: dict[str, str]) -> Tokens:
        tokens = await self.renewed(None)
        async with self._one_at_a_time:
            answer = await self._exchange("POST", path, body, tokens.access)
            if answer.http_status != _OK:
                raise _failure(answer)
            return self._keep(answer)

    async def _ask(self, method: str, path: str, body: dict[str, str]) -> Answer:
        answer = await self._exchange(method, path, body)
        if answer.http_status != _OK:
            raise _failure(answer)
        return answer

    async def _exchange(self, method: str, path: str, body: dict[str, str], bearer: str = "") -> Answer:
        request = _Request(method, path, body, bearer)
        try:
            return await _in_thread(lambda: _exchange(self.url, request, self._timeout_s))
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise Unreachable(f"nobody answers at {self.url}: {error or type(error).__name__}") from error

    def _keep(self, answer: Answer) -> Tokens:
        pair = answer.body["tokens"]
        tokens = Tokens(pair["access_token"], pair["refresh_token"])
        self.store.save(tokens)
        return tokens


def _failure(answer: Answer) -> AccountRefused | Unreachable:
    if answer.body.get("status") == _SUSPENDED:
        return Suspended(answer.http_status, answer.body)
    if answer.http_status in _BUSY:
        message = str(answer.body.get("message", f"HTTP {answer.http_status}"))
        return Unreachable(message, answer.retry_after_s)
    return AccountRefused(answer.http_status, answer.body)


@dataclass(frozen=True, slots=True)
class _Request:
    method: str
    path: str
    body: dict[str, str]
    bearer: str


def _exchange(url: str, request: _Request, timeout_s: float) -> Answer:
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError(f"{url!r} is not an address of http:// or https://")
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    connection = kind(parts.netloc, timeout=timeout_s)
    headers = {"Content-Type": "application/json"}
    if request.bearer:
        headers["Authorization"] = f"Bearer {request.bearer}"
    try:
        body = json.dumps(request.body).encode()
        connection.request(request.method, parts.path + request.path, body, headers)
        response = connection.getresponse()
        later = response.headers.get("Retry-After", "")
        return Answer(response.status, _object(response.read()), float(later) if later.isdecimal() else 0.0)
    finally:
        connection.close()


def _object(body: bytes) -> dict[str, Any]:
    try:
        value = json.loads(body)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


async def _in_thread(work: Callable[[], Answer]) -> Answer:
    """Run blocking work in a thread of its own, which never keeps the program from ending."""
    loop = asyncio.get_running_loop()
    done: asyncio.Future[Answer] = loop.create_future()

    def settle(answer: Answer | None, error: Exception | None) -> None:
        if done.cancelled():
            return
        if answer is not None:
            done.set_result(answer)
        elif error is not None:
            done.set_exception(error)

    def run() -> None:
        answer, failed = None, None
        try:
            answer = work()
        except Exception as error:  # noqa: BLE001 - handed to the task that waits
            failed = error
        if not loop.is_closed():
            loop.call_soon_threadsafe(settle, answer, failed)

    threading.Thread(target=run, daemon=True, name="clickcook http").start()
    return await done
