"""One look at a server: its figures and its readiness."""

from __future__ import annotations

import urllib.error
import urllib.request
from http.client import HTTPException
from typing import Final

import orjson

from server.observability.readings import Reading, samples_of

ANSWER_WITHIN_S: Final = 3.0
_SERVED_STATUSES: Final = (200, 503)


def read(url: str) -> Reading:
    """Look at a server; what goes wrong is in `error`."""
    try:
        readiness = orjson.loads(_fetch(f"{url}/readyz"))
        text = _fetch(f"{url}/metrics").decode()
        parts = {name: state for name, state in readiness.items() if name not in ("status", "message")}
        condition = str(readiness["status"])
        if "message" in readiness:
            condition = str(readiness["message"]).rpartition(": ")[2]
        return Reading(url, condition=condition, parts=parts, samples=samples_of(text))
    except (OSError, HTTPException) as error:
        reason = getattr(error, "reason", None) or error
        return Reading(url, error=str(reason) or type(error).__name__)
    except (ValueError, KeyError, TypeError, AttributeError):
        return Reading(url, error="it answers, but not as this game's server does")


def _fetch(url: str) -> bytes:
    try:
        with urllib.request.urlopen(url, timeout=ANSWER_WITHIN_S) as response:  # noqa: S310 - checked: http(s)
            body: bytes = response.read()
    except urllib.error.HTTPError as answer:
        with answer:
            if answer.code not in _SERVED_STATUSES:
                raise
            return answer.read()
    return body
