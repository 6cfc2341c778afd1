"""A server with its desk, and an operator who asks it over HTTP."""

from __future__ import annotations

import asyncio
import ssl
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import httpx

from scripts.ports import free_port
from tests.support.game_server import running_game
from tests.support.limits import LIMIT_S
from tests.support.players import EXTERNAL

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from tests.support.game_server import GameServer

_NO_AUTHORITIES = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
"""Nothing here is over TLS: reading the system's authorities would take most of a request's time."""

ANNA = "anna-token-" + "a" * 32
LOOKER = "looker-token-" + "l" * 32


class DeskClient:
    """Asks the desk with one token; `answers` are status and body."""

    def __init__(self, url: str, token: str | None = ANNA) -> None:
        self.url = url
        self._headers = {} if token is None else {"Authorization": f"Bearer {token}"}

    async def get(self, path: str) -> tuple[int, Any]:
        """Get a path of the API."""
        answer = await self.raw("GET", f"/api/{path}")
        return answer.status_code, answer.json()

    async def post(self, path: str, **fields: object) -> tuple[int, Any]:
        """Post fields to a path of the API; numbers become texts."""
        body = {name: value if isinstance(value, str) else str(value) for name, value in fields.items()}
        answer = await self.raw("POST", f"/api/{path}", json=body)
        return answer.status_code, answer.json()

    async def until(self, path: str, holds: Callable[[Any], bool], **fields: object) -> None:
        """Ask again and again until an answer of 200 is as wanted."""
        end_s = time.monotonic() + LIMIT_S
        while True:
            status, body = await (self.post(path, **fields) if fields else self.get(path))
            if status == 200 and holds(body):
                return
            assert time.monotonic() < end_s, body
            await asyncio.sleep(0.2)

    async def order(self, user_id: int, command: str, reason: str = "letter 1", **fields: object) -> Any:
        """Give an order that is carried out; returns what came of it."""
        status, body = await self.post("order", id=user_id, command=command, reason=reason, **fields)
        assert status == 200, body
        return body

    async def raw(self, method: str, path: str, **options: Any) -> httpx.Response:
        """Send any request."""
        async with httpx.AsyncClient(
            base_url=self.url, headers=self._headers, timeout=LIMIT_S, verify=_NO_AUTHORITIES
        ) as client:
            return await client.request(method, path, **options)


@contextmanager
def running_desk(databases: Mapping[str, str], **more: str) -> Iterator[tuple[GameServer, str]]:
    """Run a server whose desk takes the tokens ANNA and LOOKER; gives it, and the desk's address."""
    port = free_port()
    tokens = f"anna:{ANNA}, looker:{LOOKER}:read"
    desk = {"DESK_PORT": str(port), "DESK_TOKENS": tokens, "DESK_URL": "https://desk.example.com"}
    with running_game({**EXTERNAL, **databases, **desk, **more}) as server:
        yield server, f"http://127.0.0.1:{port}"
