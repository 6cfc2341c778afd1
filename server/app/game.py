"""The game as players meet it: connections, requests, and what happens once a second."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

from persistence.durable.community import Community
from runtime.settings import StartupError
from server.app.databases import WITHIN_S
from server.observability.metrics import RequestMetrics
from server.protocol.fields import MAX_COUNT
from server.ws.dispatch import Dispatch
from server.ws.gateway import Gateway
from server.ws.gathering import Gathering
from server.ws.handlers import Handlers
from server.ws.hub import Hub
from server.ws.limits import ConnectionLimits
from server.ws.sweeper import Sweeper
from server.ws.ticker import Ticker

if TYPE_CHECKING:
    from contextlib import AsyncExitStack

    from runtime.settings import Settings
    from runtime.turns import Turns
    from server.app.storage import Storage
    from server.observability.tracing import Tracing
    from server.ws.identity import Identity


@dataclass(frozen=True, slots=True)
class Game:
    """The parts that serve players."""

    metrics: RequestMetrics
    hub: Hub
    dispatch: Dispatch
    gateway: Gateway
    sweeper: Sweeper
    ticker: Ticker
    community: Community


async def build_game(
    settings: Settings,
    storage: Storage,
    identity: Identity,
    turns: Turns,
    *,
    tracing: Tracing,
    stack: AsyncExitStack,
) -> Game:
    """Build what serves players and begin to hear Redis; `stack` closes it.

    Raises StartupError where Redis does not answer.
    """
    hub = Hub(
        storage.sessions,
        storage.catalogues,
        settings.max_connections_per_user,
        settings.session_ttl_s,
        Gathering(asyncio.get_running_loop(), settings.copy_window_ms / 1000),
    )
    stack.push_async_callback(hub.catching_up.stop)
    await storage.lanes.start(hub)
    if not await storage.lanes.wait_up(WITHIN_S):
        raise StartupError("REDIS_CONNECTION: Redis does not answer; start it or correct the address")
    community = Community(storage.pool)
    stack.push_async_callback(community.stop)
    handlers = Handlers(storage.sessions, hub, storage.catalogues, community)
    metrics = RequestMetrics()
    max_count = min(MAX_COUNT, settings.click_burst) if settings.click_rate else MAX_COUNT
    dispatch = Dispatch(
        hub, tracing.requests(handlers.start), identity, metrics, turns=turns, max_count=max_count
    )
    stack.push_async_callback(dispatch.stop)
    sweeper = Sweeper()
    ticker = Ticker(
        hub,
        storage.sessions,
        interval_ms=settings.passive_interval_ms,
        session_ttl_s=settings.session_ttl_s,
        offline_cap_s=settings.offline_cap_s,
    )
    gateway = Gateway(dispatch, ConnectionLimits(), sweeper, turns)
    return Game(metrics, hub, dispatch, gateway, sweeper, ticker, community)
