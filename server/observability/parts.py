"""The running parts whose numbers are shown."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from persistence.durable.pool import Pool
    from persistence.live.sessions import Sessions
    from persistence.recovery.cold_load import Loader
    from server.auth.passwords import PasswordHasher
    from server.listener import ConnectionCounts
    from server.mail.outbox import Outbox
    from server.observability.health import Health
    from server.observability.metrics import RequestMetrics
    from server.ws.dispatch import Dispatch
    from server.ws.hub import Hub
    from server.ws.ticker import Ticker


@dataclass(frozen=True, slots=True)
class Parts:
    """What the exporter reads and never changes.

    `health` knows the lanes and the flusher; `outbox` is None where no mail can be sent.
    """

    metrics: RequestMetrics
    counts: ConnectionCounts
    dispatch: Dispatch
    hub: Hub
    hasher: PasswordHasher
    outbox: Outbox | None
    ticker: Ticker
    sessions: Sessions
    pool: Pool
    loader: Loader
    health: Health
