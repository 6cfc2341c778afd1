"""Players with a past: sessions that PostgreSQL has before they first connect, as after years of play."""

from __future__ import annotations

import itertools
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import asyncpg
import redis

from game.session import UserId
from server.auth.tokens import TokenSigner
from tests.support.live_hash import by_name
from tests.support.plain_keys import session_key
from tests.support.players import EXTERNAL

if TYPE_CHECKING:
    from tests.support.servers import ValkeyServer

_emails = itertools.count(1)


@dataclass(frozen=True, slots=True)
class Seeded:
    """A player whose session was written into PostgreSQL."""

    user_id: UserId
    token: str

    @property
    def key(self) -> str:
        """The session's key in Redis."""
        return session_key(self.user_id)

    def fields(self, valkey: ValkeyServer, *names: str) -> list[str]:
        """Read fields of the session as Redis holds them."""
        with redis.Redis.from_url(valkey.url) as client:
            held = by_name(client.hgetall(self.key))
        return [held[name] for name in names]


async def seeded_player(dsn: str, *, away_s: float = 0, **columns: object) -> Seeded:
    """Write an account and its session, paid up to `away_s` ago; `columns` are those of `sessions`."""
    values: dict[str, object] = {
        "version": 1,
        "accrued_at": int((time.time() - away_s) * 1000),
        "bought": "1:1",
        **columns,
    }
    connection = await asyncpg.connect(dsn)
    try:
        user_id = await connection.fetchval(
            "INSERT INTO accounts (email, password_hash) VALUES ($1, '-') RETURNING id",
            f"seeded{next(_emails)}@example.com",
        )
        places = ", ".join(f"${number}" for number in range(1, len(values) + 2))
        await connection.execute(
            f"INSERT INTO sessions (user_id, {', '.join(values)}) VALUES ({places})",  # noqa: S608 - of this test
            user_id,
            *values.values(),
        )
    finally:
        await connection.close()
    signer = TokenSigner([EXTERNAL["ACCESS_TOKEN_SECRET"]], [EXTERNAL["REFRESH_TOKEN_SECRET"]])
    pair = signer.issue_pair(user_id, f"f{user_id}", f"j{user_id}", int(time.time()))
    return Seeded(UserId(user_id), pair.access_token)
