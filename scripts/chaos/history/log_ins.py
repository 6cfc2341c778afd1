"""Log-ins of a recorded player over plain HTTP: each one a family of its own, which a log-out ends."""

from __future__ import annotations

import asyncio
import base64
import json
import urllib.error
import urllib.request
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from scripts.chaos.history.events import LoggedIn, Revoked

if TYPE_CHECKING:
    from scripts.chaos.history.recorder import Recorder

PASSWORD: Final = "correct horse"  # noqa: S105 - of players who live for minutes
_ANSWER_WITHIN_S: Final = 60.0
_AGAIN_AFTER_S: Final = 0.25
_OK: Final = 200
_CONFLICT: Final = 409


@dataclass(frozen=True, slots=True)
class Family:
    """One log-in: its tokens, and the name that the server gave it."""

    access: str
    refresh: str
    name: str
    user_id: int


async def log_in(recorder: Recorder, player: str, server: str, url: str) -> Family | None:
    """Log in at a server once, registering where the player is new; None where the server cannot now."""
    form = {"email": f"{player}@example.org", "password": PASSWORD}
    asked_s = recorder.now_s
    status, body = await _post(url, "/auth", form)
    if status == 401:  # noqa: PLR2004 - HTTP's own number
        status, body = await _post(url, "/reg", form)
    recorder.add(LoggedIn(asked_s, recorder.now_s, player, server, status))
    if status != _OK:
        await asyncio.sleep(_AGAIN_AFTER_S)
        return None
    access = str(body["tokens"]["access_token"])
    claims = _claims(access)
    return Family(access, str(body["tokens"]["refresh_token"]), str(claims["fam"]), int(claims["id"]))


async def log_out(recorder: Recorder, player: str, family: Family, url: str) -> None:
    """End a family at a server; it is written down where the server says that it is done."""
    status, _ = await _post(url, "/logout", {}, family.refresh)
    if status == _OK:
        recorder.add(Revoked(recorder.now_s, player, family.name))


def _claims(token: str) -> dict[str, Any]:
    payload = token.split(".")[1]
    claims: dict[str, Any] = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    return claims


async def _post(
    url: str, path: str, form: dict[str, str], bearer: str | None = None
) -> tuple[int, dict[str, Any]]:
    return await asyncio.to_thread(_post_now, url + path, form, bearer)


def _post_now(url: str, form: dict[str, str], bearer: str | None) -> tuple[int, dict[str, Any]]:
    """Return status and body; 0 where there was no answer."""
    headers = {"Content-Type": "application/json"}
    if bearer is not None:
        headers["Authorization"] = f"Bearer {bearer}"
    request = urllib.request.Request(url, json.dumps(form).encode(), headers)  # noqa: S310 - our own server
    try:
        with urllib.request.urlopen(request, timeout=_ANSWER_WITHIN_S) as answer:  # noqa: S310 - as above
            return answer.status, json.loads(answer.read())
    except urllib.error.HTTPError as error:
        with error:
            return error.code, {}
    except (OSError, ValueError, EOFError):
        return 0, {}
