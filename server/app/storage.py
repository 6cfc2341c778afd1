"""Where players are kept: PostgreSQL, the connections to Redis, cold loads, and the write-behind."""

from __future__ import annotations

import os
import secrets
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from game.achievements import ACHIEVEMENTS, packed_achievements
from persistence.durable.current_catalogue import open_catalogues
from persistence.durable.sessions import SessionWriter, load_rows
from persistence.live.lane_contract import LaneLimits
from persistence.live.lanes import Lanes
from persistence.live.reach import reach_redis
from persistence.live.scripts import load_scripts
from persistence.live.session_commands import PlayLimits, SessionCommands
from persistence.live.sessions import Sessions
from persistence.live.store import open_store
from persistence.recovery.cold_load import Loader
from persistence.recovery.reconcile import Reconciler
from persistence.writeback.batch import Saver
from persistence.writeback.flusher import Flusher, Pace
from persistence.writeback.leases import Leases
from server.app.databases import close_database, open_database, within

if TYPE_CHECKING:
    from contextlib import AsyncExitStack

    from persistence.durable.current_catalogue import Catalogues
    from persistence.durable.pool import Pool
    from persistence.live.store import LiveStore
    from runtime.settings import Settings
    from server.observability.tracing import Tracing


@dataclass(frozen=True, slots=True)
class Storage:
    """The parts that keep players.

    `lanes` are the game's own connections to Redis and carry its commands alone; flushes and log-ins go
    through `store`, which has connections of its own. `flusher` is None where another process flushes.
    """

    pool: Pool
    catalogues: Catalogues
    lanes: Lanes
    store: LiveStore
    loader: Loader
    sessions: Sessions
    flusher: Flusher | None
    reconciler: Reconciler


async def build_storage(settings: Settings, tracing: Tracing, stack: AsyncExitStack) -> Storage:
    """Connect to both databases and build the parts that use them; `stack` closes it in reverse.

    Raises StartupError where a database cannot be used.
    """
    dsn, redis_url = settings.db_connection.reveal(), settings.redis_connection.reveal()
    pool = await within("PostgreSQL", partial(open_database, dsn))
    stack.push_async_callback(close_database, pool)
    catalogues = await within("PostgreSQL", partial(open_catalogues, pool, settings.catalog_language))

    origin = f"{os.getpid()}-{secrets.token_hex(4)}"
    scripts = load_scripts()
    prefix = settings.redis_prefix
    lanes = Lanes(redis_url, origin, scripts, LaneLimits(wait_replicas=settings.wait_replicas), prefix)
    stack.push_async_callback(lanes.stop)
    loader = Loader(lanes, scripts, partial(load_rows, pool), settings.session_ttl_s)
    commands = SessionCommands(
        scripts,
        lanes.keys,
        PlayLimits(settings.click_rate, settings.click_burst, settings.offline_cap_s),
        packed_achievements(ACHIEVEMENTS),
    )
    sessions = Sessions(lanes, commands, catalogues, tracing.cold_store(loader))

    await within("Redis", partial(reach_redis, redis_url, prefix, wait_s=0))
    store = await within(
        "Redis",
        lambda: stack.enter_async_context(open_store(redis_url, f"{origin}-bulk", scripts, prefix=prefix)),
    )
    writer = SessionWriter(dsn)
    stack.callback(writer.close)
    flusher = Flusher(
        tracing.saver(Saver(store, writer, settings.session_ttl_s)),
        Leases(store, origin),
        Pace(interval_s=settings.flush_interval_ms / 1000),
        played=lambda: sum(lane.totals.sent for lane in lanes.all),
    )
    return Storage(
        pool=pool,
        catalogues=catalogues,
        lanes=lanes,
        store=store,
        loader=loader,
        sessions=sessions,
        flusher=flusher if settings.flusher else None,
        reconciler=Reconciler(store, pool, settings.session_ttl_s, loader.totals),
    )
