"""Logging in: e-mail and password to tokens, a refresh token to the next pair, over plain HTTP."""

from __future__ import annotations

import asyncio
import base64
import http.client
import json
import random
import urllib.error
import urllib.request
from dataclasses import dataclass
from typing import Any, Final, Protocol

from scripts.clicker.failures import AccountRefusedError, LoggedOutError, UnreachableError

_ANSWER_WITHIN_S: Final = 15.0
_FIRST_ANSWER_WITHIN_S: Final = 5.0
_FIRST_RETRY_S: Final = 0.25
_MOST_RETRY_S: Final = 5.0
_BUSY: Final = frozenset({429, 500, 502, 503, 504})


@dataclass(frozen=True, slots=True)
class Tokens:
    """A pair as the server hands it out."""

    access: str
    refresh: str

    @property
    def expires_at_s(self) -> float:
        """When the access token ends, in Unix time. Read, not checked: only the server can check."""
        return float(self._claims()["exp"])

    @property
    def user_id(self) -> int:
        """Whose tokens these are."""
        return int(self._claims()["id"])

    def _claims(self) -> dict[str, Any]:
        payload = self.access.split(".")[1]
        claims: dict[str, Any] = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
        return claims


class Account(Protocol):
    """Where a client gets its tokens."""

    async def log_in(self) -> Tokens:
        """Begin a new family of tokens. Raises LoggedOutError or AccountRefusedError where that is final."""

    async def refresh(self, tokens: Tokens) -> Tokens:
        """Trade a refresh token for the next pair. Raises LoggedOutError when it is no longer good."""


class PasswordAccount:
    """An account by e-mail and password, opened where it does not exist yet.

    A server that is busy or away is asked again, as late as it says, until it answers.
    """

    def __init__(self, url: str, email: str, password: str) -> None:
        self._url = url.rstrip("/")
        self._form = {"email": email, "password": password}
        self._may_exist = False

    async def log_in(self) -> Tokens:
        """Log in, or open the account."""
        for path in ("/auth", "/reg") if self._may_exist else ("/reg", "/auth"):
            status, body = await self._post(path, self._form)
            if status == 200:  # noqa: PLR2004 - HTTP's own number
                self._may_exist = True
                return _tokens(body)
            if status == 400:  # noqa: PLR2004 - as above
                raise AccountRefusedError(str(body.get("message")))
        raise LoggedOutError(str(body.get("message")))

    async def refresh(self, tokens: Tokens) -> Tokens:
        """Trade the refresh token. Where the answer was lost, it trades again for 30 s."""
        status, body = await self._post("/refresh", {}, tokens.refresh)
        if status != 200:  # noqa: PLR2004 - HTTP's own number
            raise LoggedOutError(str(body.get("message")))
        return _tokens(body)

    async def _post(
        self, path: str, form: dict[str, str], bearer: str | None = None
    ) -> tuple[int, dict[str, Any]]:
        """Post until the server has an answer that is not about itself."""
        delay_s = _FIRST_RETRY_S
        while True:
            wait_s = delay_s
            try:
                status, body, retry_after_s = await asyncio.to_thread(
                    _post_once, self._url + path, form, bearer
                )
                if status not in _BUSY:
                    return status, body
                wait_s = max(delay_s, retry_after_s)
            except OSError:
                pass  # refused, reset, timed out: the server is on its way back, or a proxy cut the line
            await asyncio.sleep(wait_s * random.uniform(0.5, 1.0))  # noqa: S311 - jitter, not a secret
            delay_s = min(2 * delay_s, _MOST_RETRY_S)


async def require_answer(url: str) -> None:
    """Raise UnreachableError unless something speaks HTTP there: a mistyped address is not waited for."""
    url = url.rstrip("/")
    try:
        await asyncio.to_thread(_ask_once, f"{url}/healthz")
    except OSError as error:
        reason = getattr(error, "reason", error)
        raise UnreachableError(f"nobody answers at {url}: {reason or type(reason).__name__}") from error


def _ask_once(url: str) -> None:
    """Raise OSError unless there is an answer, whatever it says."""
    try:
        with urllib.request.urlopen(url, timeout=_FIRST_ANSWER_WITHIN_S):  # noqa: S310 - the user's own URL
            pass
    except urllib.error.HTTPError as error:
        error.close()
    except (ValueError, http.client.HTTPException) as error:
        raise OSError(str(error)) from error


def _post_once(url: str, form: dict[str, str], bearer: str | None) -> tuple[int, dict[str, Any], float]:
    """Return status, body and `Retry-After` in seconds (0 without one)."""
    headers = {"Content-Type": "application/json"}
    if bearer is not None:
        headers["Authorization"] = f"Bearer {bearer}"
    request = urllib.request.Request(url, json.dumps(form).encode(), headers)  # noqa: S310 - the user's own URL
    try:
        with urllib.request.urlopen(request, timeout=_ANSWER_WITHIN_S) as answer:  # noqa: S310 - as above
            return answer.status, _object(answer.read()), 0.0
    except urllib.error.HTTPError as error:
        with error:
            later = error.headers.get("Retry-After", "")
            return error.code, _object(error.read()), float(later) if later.isdecimal() else 0.0
    except (ValueError, EOFError) as error:  # what http.client makes of an answer that was cut off
        raise OSError(str(error)) from error


def _object(body: bytes) -> dict[str, Any]:
    try:
        value = json.loads(body)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


def _tokens(body: dict[str, Any]) -> Tokens:
    return Tokens(body["tokens"]["access_token"], body["tokens"]["refresh_token"])
