"""Measure write-behind on servers of its own: `python -m scripts.bench.flush`, under a minute.

Redis to PostgreSQL as `scripts.flush` does it and row by row, PostgreSQL to Redis as `scripts.restore` does
it. The floors are the same rows by COPY and update alone, and the same sessions by HSET alone, made before
the clock starts. Valkey syncs its append-only file at each write and PostgreSQL at each commit, as embedded.
CPU is that of each program, for a session.
"""

from __future__ import annotations

import argparse
import asyncio
import re
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple, cast

import psutil
import structlog

from game.session import ClientWindow, Session, UserId
from persistence.durable.migrate import migrate
from persistence.durable.pool import open_pool
from persistence.durable.rows import row_of_session
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
from scripts.databases import open_databases
from scripts.flush_helpers import flush_together, helpers, shares

if TYPE_CHECKING:
    from collections.abc import Awaitable, Iterator, Sequence

    from persistence.durable.pool import Pool
    from persistence.durable.rows import Row
    from persistence.live.store import Call
    from scripts.databases import Databases
    from scripts.flush_helpers import Helper

_KEYS: Final = Keys()
TTL_S: Final = 1200
PUT_AT_ONCE: Final = 500
MIDDLE_OF_THE_GAME: Final = 40  # upgrades owned
RATES: Final = PACKED_RATES.pack(*[1234.0] * len(Rates._fields)) + b"1.run"
PROCESSES: Final = 3
ROWS_A_BATCH: Final = 1024
HSETS_AT_ONCE: Final = 3000
_LAST_BACKEND_ENDS_S: Final = 0.5


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


class Cost(NamedTuple):
    """What a way took: sessions a second, and µs of CPU of each program for a session."""

    rate: float
    python_us: float
    valkey_us: float
    postgres_us: float


class Cpu(NamedTuple):
    """CPU seconds of this process and its helpers, of Valkey, and of PostgreSQL with all its backends."""

    python_s: float
    valkey_s: float
    postgres_s: float

    def cost(self, before: Cpu, rate: float, sessions: int) -> Cost:
        """Say what so many sessions took since `before`."""
        spent = (1e6 * (after - earlier) / sessions for after, earlier in zip(self, before, strict=True))
        return Cost(rate, *spent)


async def cpu(store: LiveStore, pool: Pool, helping: Sequence[Helper] = ()) -> Cpu:
    """Read the CPU seconds of all programs."""
    await asyncio.sleep(_LAST_BACKEND_ENDS_S)
    [info] = await store.run([call(bucket_of(UserId(0)), "INFO", "server")])
    [valkey] = re.findall(rb"process_id:(\d+)", cast("bytes", info))
    backend = psutil.Process(await pool.fetchval("SELECT pg_backend_pid()"))
    postmaster = backend.parent()
    if postmaster is None:
        raise RuntimeError("a backend without a postmaster")
    alive = sum(_used_s(each) for each in postmaster.children())
    ended = postmaster.cpu_times().children_user + postmaster.cpu_times().children_system
    python_s = time.process_time() + sum(_used_s(psutil.Process(each.process.pid)) for each in helping)
    return Cpu(python_s, _used_s(psutil.Process(int(valkey))), _used_s(postmaster) + alive + ended)


def _used_s(process: psutil.Process) -> float:
    times = process.cpu_times()
    return times.user + times.system


async def put(store: LiveStore, count: int, version: int) -> None:
    """Make every player's session dirty."""
    for first in range(1, count + 1, PUT_AT_ONCE):
        calls = []
        for number in range(first, min(first + PUT_AT_ONCE, count + 1)):
            user_id, bucket = UserId(number), bucket_of(UserId(number))
            words = [
                *fields_of(player(number, version), dirty=True, saved=0),
                b"rates",
                RATES,
            ]
            calls.append(call(bucket, "HSET", _KEYS.session(user_id), *words))
            calls.append(call(bucket, "ZADD", _KEYS.dirty(bucket), version, user_id))
        await store.run(calls)


async def copied(dsn: str, rows: Sequence[Row]) -> float:
    """Write rows by COPY and update alone, a batch after the other; returns sessions a second."""
    writer = SessionWriter(dsn)
    began_s = time.perf_counter()
    for at in range(0, len(rows), ROWS_A_BATCH):
        await writer.write(rows[at : at + ROWS_A_BATCH])
    took_s = time.perf_counter() - began_s
    writer.close()
    return len(rows) / took_s


def hsets(count: int) -> list[Call]:
    """Make a command for each session."""
    return [
        call(
            bucket_of(UserId(number)),
            "HSET",
            _KEYS.session(UserId(number)),
            *fields_of(player(number, 1000)),
            b"rates",
            RATES,
        )
        for number in range(1, count + 1)
    ]


async def set_alone(store: LiveStore, calls: Sequence[Call]) -> float:
    """Send commands over all connections at once, and do nothing else; returns sessions a second."""
    began_s = time.perf_counter()
    for at in range(0, len(calls), HSETS_AT_ONCE):
        await store.run(calls[at : at + HSETS_AT_ONCE])
    return len(calls) / (time.perf_counter() - began_s)


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


async def flushed_together(databases: Databases, helping: Sequence[Helper]) -> float:
    """Flush everything, with helpers that wait for it; returns sessions a second."""
    began_s = time.perf_counter()
    done = await flush_together(databases, helping, shares(0, 1 + len(helping)))
    return done.written / (time.perf_counter() - began_s)


async def restored(store: LiveStore, pool: Pool) -> float:
    """Restore everything; returns sessions a second."""
    began_s = time.perf_counter()
    outcome = await restore(store, pool, TTL_S)
    return outcome.seen / (time.perf_counter() - began_s)


async def measure(settings: Settings, count: int) -> dict[str, Cost]:
    """Measure all ways on the same players; returns what each took, by name."""
    dsn, redis_url = settings.db_connection.reveal(), settings.redis_connection.reveal()
    scripts = load_scripts()
    await migrate(dsn)
    pool = await open_pool(dsn)
    costs: dict[str, Cost] = {}

    async def note(
        name: str,
        store: LiveStore,
        way: Awaitable[float],
        sessions: int = count,
        helping: Sequence[Helper] = (),
    ) -> None:
        before = await cpu(store, pool, helping)
        rate = await way
        costs[name] = (await cpu(store, pool, helping)).cost(before, rate, sessions)

    few = max(200, count // 50)
    try:
        async with open_store(redis_url, "bench", scripts, connections=BULK_CONNECTIONS) as store:
            await pool.execute(
                "INSERT INTO accounts (email, password_hash) "
                "SELECT i || '@example.org', 'x' FROM generate_series(1, $1::int) AS i",
                count,
            )
            await put(store, count, 1000)
            await note("flush, new rows", store, flushed(store, dsn))
            await put(store, count, 2000)
            await note("flush, row by row", store, row_by_row(store, dsn, few), few)
            await note("flush, known rows", store, flushed(store, dsn))
            with helpers(settings, PROCESSES - 1) as helping:
                # A helper that has flushed nothing once has its connections.
                for each in helping:
                    await each.flush((), lambda _: None)
                await put(store, count, 2500)
                async with open_databases(settings, BULK_CONNECTIONS) as databases:
                    together = flushed_together(databases, helping)
                    await note(f"… in {PROCESSES} processes", store, together, helping=helping)
            rows = [row_of_session(player(number, 3000)) for number in range(1, count + 1)]
            await note("floor: COPY, update", store, copied(dsn, rows))
        async with open_store(redis_url, "bench", scripts, connections=RESTORE_CONNECTIONS) as store:
            await note("restore, all older", store, restored(store, pool))
            await note("restore, all there", store, restored(store, pool))
            await store.run([call(bucket_of(UserId(0)), "FLUSHALL")])
            await note("restore, emptied Redis", store, restored(store, pool))
            await store.run([call(bucket_of(UserId(0)), "FLUSHALL")])
            commands = hsets(count)
            await note("floor: HSET", store, set_alone(store, commands))
        return costs
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
        costs = asyncio.run(measure(settings, options.sessions))
    print(f"{'':24} {'sessions/s':>10} {'Python µs':>10} {'Valkey µs':>10} {'PostgreSQL µs':>14}")
    for name, cost in costs.items():
        print(
            f"{name:24} {cost.rate:10,.0f} {cost.python_us:10.1f} "
            f"{cost.valkey_us:10.1f} {cost.postgres_us:14.1f}"
        )
    ratio = costs["flush, known rows"].rate / costs["flush, row by row"].rate
    print(f"{'flush over row by row':24} {ratio:10.1f} times")
    return 0


if __name__ == "__main__":
    sys.exit(main())
