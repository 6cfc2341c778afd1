"""The HTTP connection over a pair of connected sockets, with a site that answers what it was asked."""

from __future__ import annotations

import asyncio
import socket
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from runtime.turns import Turns
from server.http.connection import HttpConnection, HttpLimits
from server.http.messages import HttpRequest, HttpResponse
from tests.support.limits import LIMIT_S

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from websockets.http11 import Request


@dataclass
class EchoSite:
    """Answers with the method, path and body; `/big` with more than a socket holds, `/held` when released."""

    seen: list[HttpRequest] = field(default_factory=list)
    begun: asyncio.Event = field(default_factory=asyncio.Event)
    hold: asyncio.Event = field(default_factory=asyncio.Event)
    refused_upgrade: HttpResponse | None = None

    async def respond(self, request: HttpRequest) -> HttpResponse:
        """Answer by the path."""
        self.seen.append(request)
        self.begun.set()
        if request.path == "/held":
            await self.hold.wait()
        if request.path == "/big":
            return HttpResponse(200, b"x" * 4_000_000)
        if request.path == "/bad":
            return HttpResponse(200, b"", (("Bad\n", "header"),))
        return HttpResponse(200, f"{request.method} {request.path} ".encode() + request.body)

    def finish(self, request: HttpRequest | None, response: HttpResponse) -> HttpResponse:
        """Add whether there was a request."""
        return response.with_headers((("X-Known", "yes" if request else "no"),))

    def refuse_origin(self, request: HttpRequest) -> HttpResponse | None:  # noqa: ARG002 - all may send
        """Let everybody send."""
        return None

    def may_upgrade(self, request: HttpRequest) -> HttpResponse | None:  # noqa: ARG002 - one answer for all
        """Refuse as told."""
        return self.refused_upgrade


@dataclass
class Owner:
    """Notes what the connection tells it."""

    upgraded: asyncio.Future[tuple[asyncio.Transport, Request, bytes]]
    closed: asyncio.Event = field(default_factory=asyncio.Event)

    def client_address(self, forwarded_for: Sequence[str]) -> str:
        """Show what was passed."""
        return f"client {','.join(forwarded_for)}".strip()

    def upgrade(
        self, _connection: HttpConnection, transport: asyncio.Transport, request: Request, trailing: bytes
    ) -> None:
        """Keep what is handed on."""
        self.upgraded.set_result((transport, request, trailing))

    def http_closed(self, _connection: HttpConnection) -> None:
        """Note the end."""
        self.closed.set()


@dataclass
class Peer:
    """The other end of a connection under test."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    site: EchoSite
    owner: Owner
    connection: HttpConnection

    async def ask(self, data: bytes) -> bytes:
        """Send bytes and return the next whole answer, head and body."""
        self.writer.write(data)
        return await self.answer()

    async def answer(self) -> bytes:
        """Return the next whole answer."""
        async with asyncio.timeout(LIMIT_S):
            head = await self.reader.readuntil(b"\r\n\r\n")
            length = 0
            for line in head.lower().split(b"\r\n"):
                if line.startswith(b"content-length:"):
                    length = int(line.split(b":")[1])
            return head + await self.reader.readexactly(length)

    async def rest(self) -> bytes:
        """Return everything until the end of the connection."""
        async with asyncio.timeout(LIMIT_S):
            return await self.reader.read()


@asynccontextmanager
async def connected(**limits: float) -> AsyncIterator[Peer]:
    """Connect a peer to a new HttpConnection; both ends are gone after the block."""
    loop = asyncio.get_running_loop()
    near, far = socket.socketpair()
    site, owner = EchoSite(), Owner(loop.create_future())
    connection = HttpConnection(site, owner, HttpLimits(**limits), Turns(loop))  # type: ignore[arg-type]  # times and sizes mixed
    transport, _ = await loop.connect_accepted_socket(lambda: connection, near)
    reader, writer = await asyncio.open_connection(sock=far)
    try:
        yield Peer(reader, writer, site, owner, connection)
    finally:
        writer.close()
        transport.abort()
        if owner.upgraded.done():
            owner.upgraded.result()[0].abort()
        else:
            async with asyncio.timeout(LIMIT_S):
                await owner.closed.wait()
