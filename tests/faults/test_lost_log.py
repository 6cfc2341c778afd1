"""The log's reader dies, then Redis: the log is gone, and everything else recovers."""

from __future__ import annotations

import asyncio
import os
import time
from typing import TYPE_CHECKING

import httpx

from tests.support.game_server import GameServer
from tests.support.limits import LIMIT_S
from tests.support.players import EXTERNAL, player
from tests.support.servers import fresh_folder

if TYPE_CHECKING:
    from tests.support.players import Player
    from tests.support.servers import ValkeyServer


async def played(ada: Player, wanted: str) -> None:
    """Ask for the levels until the answer is the wanted one, `ok` or an error's code."""
    end_s = time.monotonic() + LIMIT_S
    while True:
        answer = await ada.ask("level_check")
        if (answer.get("code") or "ok") == wanted:
            return
        assert time.monotonic() < end_s, answer
        await asyncio.sleep(0.05)


async def test_everything_recovers_without_a_log(own_valkey: ValkeyServer, postgres_dsn: str) -> None:
    """Redis dies and comes back after the log's reader died: play goes on, what was lost is shown."""
    databases = {"REDIS_CONNECTION": own_valkey.url, "DB_CONNECTION": postgres_dsn}
    with fresh_folder("game") as folder:
        server = GameServer(folder, {**EXTERNAL, **databases})
        os.mkfifo(folder / "server.log")
        reader = os.open(folder / "server.log", os.O_RDONLY | os.O_NONBLOCK)
        try:
            await asyncio.to_thread(server.start)
            async with player(server) as ada:
                await ada.ask("session")
                await played(ada, "ok")
                os.close(reader)
                own_valkey.kill()
                await played(ada, "unavailable")
                own_valkey.start()
                await played(ada, "ok")

            async with httpx.AsyncClient(base_url=server.url, timeout=LIMIT_S) as client:
                ready = await client.get("/readyz")
                metrics = (await client.get("/metrics")).text
            assert ready.status_code == httpx.codes.OK
            assert ready.json()["log"].startswith("not written: ")
            assert ready.json()["status"] == "degraded"
            [lost] = [
                line for line in metrics.splitlines() if line.startswith("clickcook_log_lines_lost_total{")
            ]
            assert float(lost.rpartition(" ")[2]) > 0
            assert await asyncio.to_thread(server.stop) == 0
        finally:
            server.end_everything()
