"""Thousands of clients that come back in the same second, as after a rolling restart."""

from __future__ import annotations

import asyncio
import contextlib
import time
from typing import TYPE_CHECKING

import asyncpg
import orjson

from game.session import UserId
from server.auth.tokens import TokenSigner
from tests.support.game_server import GameServer, running_game
from tests.support.limits import LIMIT_S
from tests.support.players import EXTERNAL, Player, player
from tests.support.ws_peer import text

if TYPE_CHECKING:
    from collections.abc import Sequence

RETURNING = 3000
LEAST_CLICKS_MEANWHILE = 3

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


async def come_back(server: GameServer, token: str, arrived: asyncio.Event, everybody: asyncio.Event) -> None:
    """Connect, ask for the session until it is answered, and stay until everybody is back."""
    message = {
        "message_type": "request",
        "request_id": "1",
        "request_type": "session",
        "data": {"token": token},
    }
    frame = text(orjson.dumps(message))
    while not arrived.is_set():
        try:
            await play_once(server, frame, arrived, everybody)
        except (asyncio.IncompleteReadError, ConnectionError):
            # A server that is far too busy cuts a handshake off that took ten seconds. Clients come again.
            await asyncio.sleep(0.5)


async def play_once(
    server: GameServer, frame: bytes, arrived: asyncio.Event, everybody: asyncio.Event
) -> None:
    """Connect and play; raises IncompleteReadError or ConnectionError if the server ends the connection."""
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
            if not chunk:
                raise ConnectionResetError("the server closed the connection")
            received += chunk
        arrived.set()
        await everybody.wait()
    finally:
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()


async def click_steadily(each: Player, arrivals: Sequence[asyncio.Event], stop: asyncio.Event) -> list[int]:
    """Click about 20 times a second; return how many were back at each answer."""
    back: list[int] = []
    while not stop.is_set():
        answer = await each.ask("cook")
        assert "code" not in answer
        back.append(sum(arrived.is_set() for arrived in arrivals))
        await asyncio.sleep(0.05)
    return back


async def until_all_are_back(arrivals: Sequence[asyncio.Event]) -> None:
    """Wait for all; raises TimeoutError where for a long time nobody more comes back."""
    count = 0
    while count < len(arrivals):
        async with asyncio.timeout(LIMIT_S):
            while (now := sum(arrived.is_set() for arrived in arrivals)) == count:  # noqa: ASYNC110 - of any of them
                await asyncio.sleep(0.1)
        count = now


async def test_three_thousand_clients_come_back_in_the_same_second(module_databases: dict[str, str]) -> None:
    """All are playing again, their sessions loaded from PostgreSQL; those already in play on meanwhile."""
    settings = {**EXTERNAL, **module_databases}
    with running_game(settings) as server:
        tokens = tokens_of(await prepare_players(module_databases["DB_CONNECTION"]))
        async with player(server) as anna:
            await anna.ask("session")
            await anna.ask("upgrade_buy", id=1)
            everybody, stop = asyncio.Event(), asyncio.Event()
            arrivals = [asyncio.Event() for _ in tokens]
            clicking = asyncio.create_task(click_steadily(anna, arrivals, stop))
            returning = [
                asyncio.create_task(come_back(server, token, arrived, everybody))
                for token, arrived in zip(tokens, arrivals, strict=True)
            ]
            try:
                await until_all_are_back(arrivals)
            finally:
                everybody.set()
                stop.set()
            await asyncio.gather(*returning)
            back_at_clicks = await clicking
        # A player who had to wait until all are back would be answered once.
        meanwhile = [count for count in back_at_clicks if 0 < count < RETURNING]
        assert len(meanwhile) >= LEAST_CLICKS_MEANWHILE, back_at_clicks
