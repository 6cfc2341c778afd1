"""Thousands of clients that come back in the same second, as after a rolling restart."""

from __future__ import annotations

import asyncio
import contextlib
import statistics
import time
from typing import TYPE_CHECKING

import asyncpg
import orjson

from game.session import UserId
from server.auth.tokens import TokenSigner
from tests.support.game_server import GameServer, running_game
from tests.support.players import EXTERNAL, Player, player
from tests.support.ws_peer import text

if TYPE_CHECKING:
    from collections.abc import Sequence

RETURNING = 3000
PLAYING_WITHIN_S = 10.0

HANDSHAKE = (
    b"GET /ws HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)


async def prepare_players(dsn: str) -> list[UserId]:
    """Write accounts that played before and whose sessions only PostgreSQL has."""
    connection = await asyncpg.connect(dsn)
    try:
        records = await connection.fetch(
            "INSERT INTO accounts (email, password_hash) SELECT 'storm' || n || '@example.com', '-'"
            " FROM generate_series(1, $1::int) AS n RETURNING id",
            RETURNING,
        )
        ids = [UserId(record["id"]) for record in records]
        await connection.execute(
            "INSERT INTO sessions (user_id, version, accrued_at, bought, money)"
            " SELECT id, 1, 0, '1:1', 77 FROM unnest($1::bigint[]) AS id",
            ids,
        )
        return ids
    finally:
        await connection.close()


def tokens_of(user_ids: Sequence[UserId]) -> list[str]:
    """Sign access tokens as the server does."""
    signer = TokenSigner([EXTERNAL["ACCESS_TOKEN_SECRET"]], [EXTERNAL["REFRESH_TOKEN_SECRET"]])
    now_s = int(time.time())
    return [
        signer.issue_pair(user_id, f"f{user_id}", f"j{user_id}", now_s).access_token for user_id in user_ids
    ]


async def come_back(
    server: GameServer, token: str, arrived: asyncio.Event, everybody: asyncio.Event
) -> float:
    """Connect, ask for the session until it is answered; return when it was. Stay until everybody is back."""
    message = {
        "message_type": "request",
        "request_id": "1",
        "request_type": "session",
        "data": {"token": token},
    }
    frame = text(orjson.dumps(message))
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    try:
        writer.write(HANDSHAKE + frame)
        await reader.readuntil(b"\r\n\r\n")
        received = b""
        while b'"money":77' not in received:
            if b'"code":' in received:
                # Not yet: what is loaded for so many is bounded. Ask again, as clients do.
                received = b""
                await asyncio.sleep(0.5)
                writer.write(frame)
            chunk = await reader.read(65_536)
            assert chunk, "the server closed the connection"
            received += chunk
        played_s = time.monotonic()
        arrived.set()
        await everybody.wait()
        return played_s
    finally:
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()


async def click_steadily(each: Player, stop: asyncio.Event) -> list[float]:
    """Click 20 times a second; return how long each answer took."""
    latencies_s = []
    while not stop.is_set():
        began_s = time.monotonic()
        assert "code" not in await each.ask("cook")
        latencies_s.append(time.monotonic() - began_s)
        await asyncio.sleep(0.05)
    return latencies_s


async def test_three_thousand_clients_come_back_in_the_same_second(module_databases: dict[str, str]) -> None:
    """All are playing again within 10 s, their sessions loaded from PostgreSQL; those already in play on."""
    settings = {**EXTERNAL, **module_databases}
    with running_game(settings) as server:
        tokens = tokens_of(await prepare_players(module_databases["DB_CONNECTION"]))
        async with player(server) as anna:
            await anna.ask("session")
            await anna.ask("upgrade_buy", id=1)
            everybody, stop = asyncio.Event(), asyncio.Event()
            clicking = asyncio.create_task(click_steadily(anna, stop))
            began_s = time.monotonic()
            arrivals = [asyncio.Event() for _ in tokens]
            returning = [
                asyncio.create_task(come_back(server, token, arrived, everybody))
                for token, arrived in zip(tokens, arrivals, strict=True)
            ]
            back = asyncio.gather(*(arrived.wait() for arrived in arrivals))
            try:
                async with asyncio.timeout(60):
                    await back
            finally:
                everybody.set()
                stop.set()
            played_s = await asyncio.gather(*returning)
            latencies_s = await clicking
        assert max(played_s) - began_s <= PLAYING_WITHIN_S
        # The client shares the two cores with the server and is the slower of the two.
        assert statistics.median(latencies_s) < 2
