"""Measure write-behind on servers of its own: `python -m scripts.bench.flush`, under a minute.

Redis to PostgreSQL as the flusher does it and row by row, PostgreSQL to Redis as a restore does it. Valkey
syncs its append-only file at each write and PostgreSQL at each commit, as embedded.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

import structlog

from game.session import ClientWindow, Session, UserId
from persistence.durable.migrate import migrate
from persistence.durable.pool import open_pool
from persistence.durable.sessions import SessionWriter
from persistence.live.hashes import fields_of
from persistence.live.keys import Keys, bucket_of
from persistence.live.record import PACKED_RATES, Rates
from persistence.live.scripts import load_scripts
from persistence.live.store import LiveStore, call, open_store
from persistence.recovery.restore import RESTORE_CONNECTIONS, restore
from persistence.writeback.batch import BULK, BULK_CONNECTIONS, Saver
from persistence.writeback.flusher import Flusher
from persistence.writeback.marks import EVERY_BUCKET, read_due
from runtime.embedded import embedded_servers
from runtime.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from persistence.durable.pool import Pool

_KEYS: Final = Keys()
TTL_S: Final = 1200
PUT_AT_ONCE: Final = 500
MIDDLE_OF_THE_GAME: Final = 40  # upgrades owned


def player(user_id: int, version: int) -> Session:
    """Make a session in the middle of a game."""
    amount = 1e9 + user_id
    return Session(
        UserId(user_id),
        version,
        1_700_000_000_000,
        money=amount,
        dishes=amount,
        rank=40,
        xp=1150,
        stars=15_000,
        bought=dict.fromkeys(range(1, MIDDLE_OF_THE_GAME + 1), 3),
        clicks=amount,
        cooked=amount,
        earned=amount,
        clients={"5f0c8a52-tab": ClientWindow(9000, 2**64 - 1, 1_700_000_000)},
    )


async def put(store: LiveStore, count: int, version: int) -> None:
    """Make every player's session dirty."""
    rates = PACKED_RATES.pack(*[1234.0] * len(Rates._fields))
    for first in range(1, count + 1, PUT_AT_ONCE):
        calls = []
        for number in range(first, min(first + PUT_AT_ONCE, count + 1)):
            user_id, bucket = UserId(number), bucket_of(UserId(number))
            words = [
                *fields_of(player(number, version), dirty=True, saved=0),
                b"rates",
                rates + b"1.run",
            ]
            calls.append(call(bucket, "HSET", _KEYS.session(user_id), *words))
            calls.append(call(bucket, "ZADD", _KEYS.dirty(bucket), version, user_id))
        await store.run(calls)


async def row_by_row(store: LiveStore, dsn: str, count: int) -> float:
    """Flush so many sessions one after the other; returns sessions a second."""
    writer = SessionWriter(dsn)
    saver = Saver(store, writer, TTL_S)
    due = await read_due(store, EVERY_BUCKET, 1 + count // len(EVERY_BUCKET))
    users = [mark.user_id for mark in due.marks][:count]
    began_s = time.perf_counter()
    for user_id in users:
        await saver.save([user_id], due.now_ms)
    took_s = time.perf_counter() - began_s
    writer.close()
    return len(users) / took_s


async def flushed(store: LiveStore, dsn: str) -> float:
    """Flush everything; returns sessions a second."""
    writer = SessionWriter(dsn)
    flusher = Flusher(Saver(store, writer, TTL_S), portions=BULK)
    began_s = time.perf_counter()
    written = await flusher.flush_once()
    took_s = time.perf_counter() - began_s
    writer.close()
    return written / took_s


async def restored(store: LiveStore, pool: Pool) -> float:
    """Restore everything; returns sessions a second."""
    began_s = time.perf_counter()
    outcome = await restore(store, pool, TTL_S)
    return outcome.seen / (time.perf_counter() - began_s)


async def measure(settings: Settings, count: int) -> dict[str, float]:
    """Measure all ways on the same players; returns sessions a second by name."""
    dsn, redis_url = settings.db_connection.reveal(), settings.redis_connection.reveal()
    scripts = load_scripts()
    await migrate(dsn)
    pool = await open_pool(dsn)
    rates: dict[str, float] = {}
    try:
        async with open_store(redis_url, "bench", scripts, connections=BULK_CONNECTIONS) as store:
            await pool.execute(
                "INSERT INTO accounts (email, password_hash) "
                "SELECT i || '@example.org', 'x' FROM generate_series(1, $1::int) AS i",
                count,
            )
            await put(store, count, 1000)
            rates["flush, new rows"] = await flushed(store, dsn)
            await put(store, count, 2000)
            rates["flush, row by row"] = await row_by_row(store, dsn, max(200, count // 50))
            rates["flush, known rows"] = await flushed(store, dsn)
        async with open_store(redis_url, "bench", scripts, connections=RESTORE_CONNECTIONS) as store:
            rates["restore, all there"] = await restored(store, pool)
            await store.run([call(bucket_of(UserId(0)), "FLUSHALL")])
            rates["restore, emptied Redis"] = await restored(store, pool)
        return rates
    finally:
        pool.terminate()


@contextmanager
def servers() -> Iterator[Settings]:
    """Run both servers in a fresh folder."""
    with tempfile.TemporaryDirectory(prefix="cc-bench-") as folder:
        settings = Settings(data_dir=Path(folder))
        with embedded_servers(settings, on_loss=sys.exit) as filled:
            yield filled


def main() -> int:
    """Parse the command line, measure, print a table."""
    parser = argparse.ArgumentParser(
        prog="python -m scripts.bench.flush", description="Measure flush and restore on servers of their own."
    )
    parser.add_argument("--sessions", type=int, default=40_000, metavar="N", help="how many (default 40000)")
    options = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(40))
    with servers() as settings:
        rates = asyncio.run(measure(settings, options.sessions))
    for name, rate in rates.items():
        print(f"{name:24} {rate:10,.0f} sessions/s")
    ratio = rates["flush, known rows"] / rates["flush, row by row"]
    print(f"{'flush over row by row':24} {ratio:10.1f} times")
    return 0


if __name__ == "__main__":
    sys.exit(main())
