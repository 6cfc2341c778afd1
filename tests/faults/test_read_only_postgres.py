"""PostgreSQL stops taking writes under a running server, and takes them again."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import httpx

from tests.integration.test_read_only_postgres import set_read_only
from tests.support.game_server import running_game
from tests.support.limits import LIMIT_S
from tests.support.players import EXTERNAL, PASSWORD, register

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.game_server import GameServer
    from tests.support.servers import PostgresServer, ValkeyServer

EMAIL = "ada@example.com"
TRIED_EVERY_S = 0.05


async def until(server: GameServer, is_so: Callable[[httpx.Response, httpx.Response], bool]) -> None:
    """Wait for what `/readyz` and a log-in answer together."""
    body = {"email": EMAIL, "password": PASSWORD}
    async with httpx.AsyncClient(base_url=server.url, timeout=LIMIT_S) as client, asyncio.timeout(LIMIT_S):
        while True:
            if is_so(await client.get("/readyz"), await client.post("/auth", json=body)):
                return
            await asyncio.sleep(TRIED_EVERY_S)


async def test_log_ins_go_on_by_themselves(own_valkey: ValkeyServer, own_postgres: PostgresServer) -> None:
    """`/readyz` says why nobody can log in; when writes are taken again, log-ins go on without a restart."""
    databases = {"REDIS_CONNECTION": own_valkey.url, "DB_CONNECTION": own_postgres.dsn()}
    with running_game(EXTERNAL | databases) as server:
        await asyncio.to_thread(register, server, EMAIL)

        await set_read_only(own_postgres, True)
        await until(
            server,
            lambda ready, log_in: (
                "read-only" in ready.json()["postgresql"]
                and ready.json()["status"] == "degraded"
                and log_in.status_code == httpx.codes.SERVICE_UNAVAILABLE
            ),
        )
        await set_read_only(own_postgres, False)
        await until(
            server,
            lambda ready, log_in: ready.json()["postgresql"] == "ok" and log_in.status_code == httpx.codes.OK,
        )
