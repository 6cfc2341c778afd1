"""The stack that one would write first: every library as its first page shows it, each step awaited.

    PORT=… REDIS_CONNECTION=… ACCESS_TOKEN_SECRET=… python -m scripts.bench.naive

`websockets`' asyncio API, one `jwt.decode`, one EVALSHA of the project's own `cook` and one PUBLISH a
message, over redis-py with hiredis and its pool. Not hobbled: no compression, no logging, RESP parsed in C,
JSON by orjson. It leaves out what the server does besides: checks, limits, fan-out to connections.
"""

from __future__ import annotations

import asyncio
import os
import signal
from typing import Any, Final

import jwt
import orjson
import redis.asyncio as redis
from websockets.asyncio.server import ServerConnection, serve

from game.session import UserId
from persistence.live.keys import Keys, bucket_of
from persistence.live.record import STAMP_AT
from persistence.live.scripts import load_scripts

_KEYS: Final = Keys()
RATE_INTERVAL_US = "1.0"
BURST = "1000000"


class Naive:
    """One handler for all connections."""

    def __init__(self, client: redis.Redis, secret: str) -> None:
        self._redis = client
        self._secret = secret
        self._sha = load_scripts()["cook"].sha

    async def handle(self, connection: ServerConnection) -> None:
        """Answer each message before the next is read."""
        stamp: Any = None
        async for message in connection:
            request = orjson.loads(message)
            data = request["data"]
            claims = jwt.decode(data["token"], self._secret, algorithms=["HS256"])
            user_id = UserId(int(claims["id"]))
            key, name = _KEYS.session(user_id), _KEYS.channel(user_id)
            if stamp is None:
                rates: Any = await self._redis.hget(key, "rates")
                stamp = rates[STAMP_AT:]
            reply: Any = await self._redis.evalsha(
                self._sha,
                2,
                key,
                _KEYS.dirty(bucket_of(user_id)),
                stamp,
                str(user_id),
                name,
                "0",
                "naive",
                "1",
                RATE_INTERVAL_US,
                BURST,
                data.get("client", ""),
                str(data.get("seq", "")),
            )
            _, version, dishes, xp, applied = reply
            answer = {"dishes": dishes, "xp": xp / 100, "applied": applied, "version": version}
            text = orjson.dumps(
                {
                    "message_type": "response",
                    "request_id": request["request_id"],
                    "request_type": request["request_type"],
                    "data": answer,
                }
            ).decode()
            await self._redis.publish(name, text)
            await connection.send(text)


async def main() -> None:
    """Serve until SIGTERM."""
    stopping = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopping.set)
    # The pool grows with the players: one connection each while a call is in flight.
    client = redis.Redis.from_url(os.environ["REDIS_CONNECTION"], max_connections=1000)
    naive = Naive(client, os.environ["ACCESS_TOKEN_SECRET"])
    async with serve(naive.handle, "127.0.0.1", int(os.environ["PORT"]), compression=None):
        await stopping.wait()
    await client.aclose()


if __name__ == "__main__":
    asyncio.run(main())
