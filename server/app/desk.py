"""The desk in a browser: its own port, its pages, and what operators do over this process' databases."""

from __future__ import annotations

import asyncio
import errno
import secrets
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

import structlog

from persistence.durable.sessions import load_rows
from persistence.errors import LiveUnavailable
from persistence.live.lanes import Lanes
from persistence.writeback.marks import EVERY_BUCKET, read_due
from runtime.settings import StartupError
from server.desk.figures import Figures
from server.desk.following import Following
from server.desk.guard import Guard
from server.desk.operations import Operations
from server.desk.points import Backlog
from server.desk.routes import CHANGES, desk_routes
from server.desk.servers import Servers
from server.desk.sessions import operator_loader, operator_sessions
from server.desk.site import DeskSite, NoWebSockets
from server.http.connection import HttpLimits
from server.http.static import read_files
from server.listener import Listener, PortLimits
from server.ports import bind_port

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine

    from persistence.live.store import LiveStore
    from persistence.recovery.cold_load import Loader
    from runtime.settings import Settings
    from runtime.turns import Turns
    from server.app.storage import Storage
    from server.http.service_routes import Readiness

_log = structlog.get_logger(__name__)

_WEB: Final = Path(__file__).parent.parent / "desk" / "web"
_MOST_CONNECTIONS: Final = 200
_MOST_OF_ADDRESS: Final = 100
"""One address alone cannot keep all others out."""
_MOST_BODY_BYTES: Final = 512 * 1024
"""An export goes up whole: of a player with a thousand log-ins it has about half as much."""
_BIND_WITHIN_S: Final = 3.0
_LOOK_AGAIN_S: Final = 0.1


@dataclass(frozen=True, slots=True)
class Desk:
    """The desk's port and its tasks."""

    listener: Listener
    figures: Figures
    following: Following
    loader: Loader

    async def start(self, settings: Settings) -> None:
        """Listen; raises StartupError when the port is not available.

        A worker that was just killed may hold it for a moment.
        """
        loop = asyncio.get_running_loop()
        end_s = loop.time() + _BIND_WITHIN_S
        while True:
            try:
                bound = bind_port(settings.desk_host, settings.desk_port)
                await self.listener.start_on(bound.sockets)
                break
            except OSError as error:
                if error.errno != errno.EADDRINUSE or loop.time() >= end_s:
                    raise StartupError(
                        f"DESK_HOST={settings.desk_host} DESK_PORT={settings.desk_port} cannot be used: "
                        f"{error.strerror}; choose another"
                    ) from error
            await asyncio.sleep(_LOOK_AGAIN_S)
        _log.info("desk_ready", address=bound.url, listens_on=bound.addresses)

    def tasks(self) -> dict[str, Callable[[], Coroutine[None, None, None]]]:
        """Name every task that runs as long as the server does."""
        return {
            "desk figures": self.figures.run,
            "desk following": self.following.run,
            "desk cold loads": self.loader.run,
        }

    def stop_accepting(self) -> None:
        """Accept nobody any more, and answer those who wait for a change."""
        self.listener.stop_accepting()
        self.following.end()


def build_desk(
    settings: Settings,
    storage: Storage,
    turns: Turns,
    render: Callable[[], Awaitable[bytes]],
    readiness: Callable[[], Readiness],
) -> Desk | None:
    """Build the desk, which does not listen yet; None where this process serves none."""
    if not settings.opens_desk:
        return None
    lanes = storage.store.lanes
    loader = operator_loader(lanes, partial(load_rows, storage.pool), settings)
    sessions = operator_sessions(lanes, storage.catalogues, loader, settings)
    operations = Operations(storage.pool, storage.store, sessions, settings.public_url)
    figures = Figures(render, readiness, Servers(settings.desk_servers), partial(_backlog, storage.store))
    following = Following(partial(_hearing_lanes, settings, storage), lambda: storage.catalogues.current)
    guard = Guard(settings.desk_tokens, settings.desk_host, settings.desk_url)
    site = DeskSite(desk_routes(operations, figures, following, guard), read_files(_WEB), guard, CHANGES)
    limits = PortLimits(_MOST_CONNECTIONS, _MOST_OF_ADDRESS, settings.trusted_proxies)
    http_limits = HttpLimits(max_body_bytes=_MOST_BODY_BYTES)
    listener = Listener(site, NoWebSockets(), limits, http_limits, turns=turns)
    return Desk(listener, figures, following, loader)


async def _backlog(store: LiveStore) -> Backlog:
    """Count who waits to be saved, as a flusher does; a dozen or so commands."""
    try:
        due = await read_due(store, EVERY_BUCKET, 1)
    except LiveUnavailable:
        return Backlog()
    return Backlog(due.dirty, due.oldest_age_ms / 1000)


def _hearing_lanes(settings: Settings, storage: Storage) -> Lanes:
    """Make connections to Redis that hear what every process publishes, this one too."""
    scripts = storage.store.lanes.scripts
    return Lanes(
        settings.redis_connection.reveal(),
        f"desk-{secrets.token_hex(8)}",
        scripts,
        prefix=settings.redis_prefix,
    )
