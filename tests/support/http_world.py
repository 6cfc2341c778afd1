"""The HTTP side of a server, whole and in this process, on real databases and a real port."""

from __future__ import annotations

import asyncio
import ipaddress
import secrets
import time
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

import httpx

from persistence.durable.account_table import AccountTable
from persistence.durable.guest_table import GuestTable
from persistence.durable.migrate import migrate
from persistence.durable.pool import open_pool
from persistence.durable.reset_links import ResetLinks
from persistence.durable.token_families import TokenFamilies
from persistence.live.emails import show_emails
from persistence.live.forget import forget as forget_in_redis
from persistence.live.revocations import Revocations
from persistence.live.scripts import load_scripts
from persistence.live.store import open_store
from persistence.live.throttle import AttemptLog
from persistence.recovery.export import export_player
from runtime.turns import Turns
from server.auth.account_service import AccountService
from server.auth.export_service import ExportService
from server.auth.guest_service import GuestService
from server.auth.passwords import PasswordHasher
from server.auth.recovery_service import RecoveryService
from server.auth.throttle import WINDOW_S, Throttle
from server.auth.tokens import ACCESS_TTL_S, REFRESH_TTL_S, TokenSigner
from server.http.account_routes import account_routes
from server.http.cors import Origins
from server.http.people_routes import Features, people_routes
from server.http.routes import Website
from server.http.service_routes import Condition, Readiness, service_routes
from server.listener import Listener, PortLimits
from server.ws.connection import Connection
from server.ws.limits import ConnectionLimits
from server.ws.sweeper import Sweeper
from tests.support.limits import LIMIT_S

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence

    from websockets.http11 import Request

    from game.session import UserId
    from persistence.durable.pool import Pool
    from persistence.live.store import LiveStore
    from server.auth.recovery_service import Mail
    from server.http.connection import HttpLimits
    from server.http.routes import Route

ACCESS, REFRESH = "a" * 32, "r" * 32
COST = 4
FEATURES = Features(guests=True, guest_ttl_days=90, mail=True)


@dataclass(slots=True)
class EchoSockets:
    """WebSockets that send back what they receive; those turned away are closed with 1013."""

    turns: Turns
    open_now: int = 0
    sweeper: Sweeper = field(default_factory=Sweeper)

    def open(
        self,
        transport: asyncio.Transport,
        request: Request,
        trailing: bytes,
        *,
        on_lost: Callable[[], None],
    ) -> None:
        """Echo."""
        self._accept(transport, request, trailing, on_lost)

    def turn_away(
        self, transport: asyncio.Transport, request: Request, trailing: bytes, *, on_lost: Callable[[], None]
    ) -> None:
        """Close with 1013."""
        connection = self._accept(transport, request, trailing, on_lost)
        if connection is not None:
            connection.close(1013)

    def _accept(
        self, transport: asyncio.Transport, request: Request, trailing: bytes, on_lost: Callable[[], None]
    ) -> Connection | None:
        connection = Connection.accept(
            transport,
            request,
            trailing,
            origins=None,
            receiver=_Echo(on_lost),
            limits=ConnectionLimits(),
            sweeper=self.sweeper,
            turns=self.turns,
        )
        if connection is None:
            on_lost()
        return connection


@dataclass(slots=True)
class _Echo:
    on_lost: Callable[[], None]

    def message_received(self, connection: Connection, payload: bytes) -> None:
        connection.send(payload)

    def connection_closed(self, _connection: Connection) -> None:
        self.on_lost()


async def _no_figures() -> bytes:
    return b""


@asynccontextmanager
async def listening(
    *routes: Route,
    limits: PortLimits | None = None,
    http_limits: HttpLimits | None = None,
    allowed_origins: tuple[str, ...] = (),
) -> AsyncIterator[tuple[Listener, EchoSockets]]:
    """Listen on a free port with these routes; closed after the block."""
    turns = Turns(asyncio.get_running_loop())
    sockets = EchoSockets(turns)
    sockets.sweeper.start()
    site = Website(
        (*routes, *service_routes(lambda: Readiness(Condition.OK, {}), _no_figures)),
        {},
        Origins(allowed_origins),
    )
    listener = Listener(site, sockets, limits, http_limits, turns=turns)
    await listener.start("127.0.0.1", 0)
    try:
        yield listener, sockets
    finally:
        await listener.close(2.0)
        sockets.sweeper.stop()


@dataclass(slots=True)
class World:
    """A running server with its client and its parts."""

    dsn: str
    client: httpx.AsyncClient
    listener: Listener
    pool: Pool
    store: LiveStore
    hasher: PasswordHasher
    accounts: AccountService
    guests: GuestService
    recovery: RecoveryService
    forgotten: list[UserId]
    mail: Mail | None

    async def post(self, path: str, bearer: str | None = None, **fields: str) -> httpx.Response:
        """Send fields as the existing browser client does: multipart."""
        headers = {} if bearer is None else {"Authorization": f"Bearer {bearer}"}
        files = {name: (None, text) for name, text in fields.items()} or None
        return await self.client.post(path, files=files, headers=headers)

    async def delete(self, bearer: str, password: str) -> httpx.Response:
        """Ask for the account to be deleted."""
        headers = {"Authorization": f"Bearer {bearer}"}
        return await self.client.request("DELETE", "/account", json={"password": password}, headers=headers)

    async def registered(self) -> tuple[str, dict[str, str]]:
        """Register somebody new with the password "pass word"; returns the e-mail and the tokens."""
        email = f"{secrets.token_hex(6)}@example.com"
        response = await self.post("/reg", email=email, password="pass word")
        tokens: dict[str, str] = response.json()["tokens"]
        return email, tokens


@asynccontextmanager
async def running(
    dsn: str,
    redis_url: str,
    *,
    rate: int = 0,
    cost: int = COST,
    max_waiting: int = 32,
    trusted_proxies: tuple[str, ...] = (),
    clock: Callable[[], float] | None = None,
    features: Features = FEATURES,
    mail: Mail | None = None,
) -> AsyncIterator[World]:
    """Run accounts over HTTP on these databases."""
    async with AsyncExitStack() as stack:
        await migrate(dsn)
        pool = await open_pool(dsn)
        stack.callback(pool.terminate)
        store = await stack.enter_async_context(open_store(redis_url, secrets.token_hex(4), load_scripts()))
        hasher = PasswordHasher(cost, max_waiting=max_waiting)
        stack.callback(hasher.close)
        forgotten: list[UserId] = []

        async def forget(user_id: UserId) -> None:
            await forget_all([user_id])

        async def forget_all(user_ids: Sequence[UserId]) -> None:
            forgotten.extend(user_ids)
            await forget_in_redis(store, *user_ids)

        table, signer = AccountTable(pool, REFRESH_TTL_S), TokenSigner([ACCESS], [REFRESH])
        # A key of its own, so that tests that share a Redis don't share counts.
        throttle = Throttle(AttemptLog(store, WINDOW_S), rate, secrets.token_bytes(16))
        accounts = AccountService(
            accounts=table,
            families=TokenFamilies(pool, REFRESH_TTL_S),
            revocations=Revocations(store, ACCESS_TTL_S),
            hasher=hasher,
            throttle=throttle,
            signer=signer,
            forget=forget,
            show_emails=partial(show_emails, store),
            clock=clock or time.time,
        )
        guests = GuestService(
            accounts,
            table=table,
            away=GuestTable(pool, REFRESH_TTL_S),
            hasher=hasher,
            throttle=throttle,
            signer=signer,
            forget=forget_all,
            ttl_days=features.guest_ttl_days,
            clock=clock or time.time,
        )
        recovery = RecoveryService(
            accounts,
            emails=table,
            links=ResetLinks(pool, REFRESH_TTL_S),
            hasher=hasher,
            throttle=throttle,
            mail=mail,
        )
        exports = ExportService(accounts, partial(export_player, pool, store))
        networks = tuple(ipaddress.ip_network(network) for network in trusted_proxies)
        listener, _ = await stack.enter_async_context(
            listening(
                *account_routes(accounts),
                *people_routes(guests, recovery, exports, features),
                limits=PortLimits(0, 0, networks),
            )
        )
        client = await stack.enter_async_context(
            httpx.AsyncClient(base_url=f"http://127.0.0.1:{listener.port}", timeout=LIMIT_S, trust_env=False)
        )
        yield World(dsn, client, listener, pool, store, hasher, accounts, guests, recovery, forgotten, mail)
